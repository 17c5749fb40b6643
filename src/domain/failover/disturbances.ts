/** Everything that a drill file may do to a server, each with its undo. A new one is an entry here and a file in playbooks/drills. */
import { HactlError } from '../../errors.ts'
import type { Script } from '../../ports.ts'
import { sh, shWith, systemdWord } from '../../shell/sh.ts'
import type { Disturbance } from '../../state/drill.ts'
import type { Unit } from '../../state/units.ts'
import { TRACK_DIR } from '../paths.ts'
import { CUT_NEEDS, cutLinkScript, cutVrrpScript, type DrillPlace, IS_UNCUT, UNCUT } from './packet-filter.ts'

const call = shWith('drill.sh')
const start = (unit: Unit) => call`start_anew ${unit}`
const runs = (unit: Unit) => call`runs ${unit}`
const runsOn = (unit: Unit) => call`runs ${unit} && none_stopped ${unit}`

/** A loop that must end with the undo is a unit: it may outlive the connection that started it, and the undo can stop it. */
const loop = (body: Script) =>
  sh`systemd-run --quiet --collect --wait --unit=hactl-drill-loop --property=RuntimeMaxSec=45 /bin/sh -c ${systemdWord(body)}`

const CRASHES = 8
const CRASH_EVERY_SECONDS = 1.2
const RELOADS = 5
/** The time that systemctl itself takes in a loop, on a busy server. */
const LOOP_EXTRA_MS = 4000

/** On tmpfs: gone once the server has booted. */
const BOOTING = `${TRACK_DIR}-booting`
const BOOTED = sh`[ ! -e ${BOOTING} ]`
const bootBy = (command: Script): Omit<Disturbance, 'title'> => ({
  undoTitle: 'boot, and start haproxy and keepalived',
  script: sh`: >${BOOTING} && ${command}`,
  // Nothing may be started before the server has gone down: a start would be refused, or would hinder the shutdown.
  undo: sh`${BOOTED} && systemctl start keepalived.service haproxy.service`,
  confirm: sh`${BOOTED} && ${runs('keepalived')} && ${runs('haproxy')}`,
  byHand: `rm -f ${BOOTING}; systemctl start keepalived haproxy`,
  severs: true,
  boots: true,
  needs: {
    script: sh`systemctl is-enabled --quiet haproxy.service keepalived.service`,
    what: 'haproxy and keepalived do not both start when the server boots',
    fix: 'systemctl enable haproxy keepalived',
  },
})

const UNFILTER: Pick<Disturbance, 'undo' | 'confirm' | 'byHand' | 'needs'> = {
  undo: UNCUT,
  confirm: IS_UNCUT,
  byHand: 'nft delete table inet hactl_drill; nft delete table arp hactl_drill   (iptables: remove the chain HACTL_DRILL)',
  needs: CUT_NEEDS,
}

/** By the word in a drill file. Each undo may run twice: the controller and the timer on the server may both run it. */
const KNOWN = {
  'stop-haproxy': () => ({
    title: 'stop haproxy',
    undoTitle: 'start haproxy',
    // The stop waits for open connections, the drill's own among them (decision 36). The move that is measured is over before.
    script: sh`systemctl stop --no-block haproxy.service`,
    undo: start('haproxy'),
    confirm: runs('haproxy'),
    byHand: 'systemctl start haproxy',
    severs: false,
  }),
  'restart-haproxy': () => ({
    title: 'restart haproxy',
    undoTitle: 'start haproxy',
    // It waits as a stop does.
    script: sh`systemctl restart --no-block haproxy.service`,
    undo: start('haproxy'),
    confirm: runs('haproxy'),
    byHand: 'systemctl start haproxy',
    severs: false,
  }),
  'kill-haproxy': () => ({
    title: 'kill haproxy (SIGKILL to all of its processes)',
    undoTitle: 'start haproxy',
    script: call`signal KILL haproxy`,
    undo: start('haproxy'),
    confirm: runs('haproxy'),
    byHand: 'systemctl start haproxy',
    severs: false,
  }),
  'hang-haproxy': () => ({
    title: 'hang haproxy (SIGSTOP to all of its processes)',
    undoTitle: 'continue haproxy (SIGCONT)',
    script: call`signal STOP haproxy`,
    undo: call`continue_again haproxy`,
    confirm: runsOn('haproxy'),
    byHand: 'systemctl kill --signal=CONT haproxy',
    severs: false,
  }),
  'crash-haproxy-repeatedly': () => ({
    title: `kill haproxy ${CRASHES} times, every ${CRASH_EVERY_SECONDS} s`,
    undoTitle: 'stop the kills and start haproxy',
    script: loop(call`crash_repeatedly ${CRASHES} ${CRASH_EVERY_SECONDS}`),
    undo: call`end_loop`,
    confirm: call`loop_has_ended`,
    byHand: `systemctl stop hactl-drill-loop; systemctl reset-failed haproxy; systemctl start haproxy`,
    severs: false,
    lastsMs: CRASHES * CRASH_EVERY_SECONDS * 1000 + LOOP_EXTRA_MS,
  }),
  'reload-haproxy-repeatedly': () => ({
    title: `reload haproxy ${RELOADS} times, every second`,
    undoTitle: 'stop the reloads',
    script: loop(call`reload_repeatedly ${RELOADS} 1`),
    undo: call`end_loop`,
    confirm: call`loop_has_ended`,
    byHand: `systemctl stop hactl-drill-loop; systemctl start haproxy`,
    severs: false,
    lastsMs: RELOADS * 1000 + LOOP_EXTRA_MS,
  }),
  'stop-keepalived': () => ({
    title: 'stop keepalived',
    undoTitle: 'start keepalived',
    script: sh`systemctl stop keepalived.service`,
    undo: start('keepalived'),
    confirm: runs('keepalived'),
    byHand: 'systemctl start keepalived',
    severs: false,
  }),
  'kill-keepalived': () => ({
    title: 'kill keepalived (SIGKILL to all of its processes)',
    undoTitle: 'start keepalived',
    script: call`signal KILL keepalived`,
    undo: start('keepalived'),
    confirm: runs('keepalived'),
    byHand: 'systemctl reset-failed keepalived; systemctl start keepalived',
    severs: false,
  }),
  'hang-keepalived': () => ({
    title: "hang keepalived's VRRP process (SIGSTOP)",
    undoTitle: 'continue keepalived (SIGCONT)',
    script: call`stop_vrrp_process`,
    undo: call`continue_again keepalived`,
    confirm: runsOn('keepalived'),
    byHand: 'systemctl kill --signal=CONT keepalived',
    severs: false,
  }),
  'drop-vrrp': () => ({
    title: 'drop VRRP both ways',
    undoTitle: 'let VRRP pass again',
    script: cutVrrpScript(['in', 'out']),
    ...UNFILTER,
    severs: false,
  }),
  'drop-vrrp-in': () => ({
    title: 'drop incoming VRRP',
    undoTitle: 'let VRRP pass again',
    script: cutVrrpScript(['in']),
    ...UNFILTER,
    severs: false,
  }),
  'drop-vrrp-out': () => ({
    title: 'drop outgoing VRRP',
    undoTitle: 'let VRRP pass again',
    script: cutVrrpScript(['out']),
    ...UNFILTER,
    severs: false,
  }),
  'drop-link': place => ({
    title: `drop all traffic on ${place.interface} except this SSH`,
    undoTitle: `let traffic pass on ${place.interface} again`,
    script: cutLinkScript(checked(place), true),
    ...UNFILTER,
    severs: false,
  }),
  'drop-link-and-ssh': place => ({
    title: `drop all traffic on ${place.interface}, SSH too`,
    undoTitle: `let traffic pass on ${place.interface} again`,
    script: cutLinkScript(checked(place), false),
    ...UNFILTER,
    severs: true,
  }),
  reboot: () => ({ title: 'reboot the server', ...bootBy(sh`systemctl reboot`) }),
  'kill-server': () => ({
    title: 'reboot the server without stopping anything first, as a power failure would',
    // --force twice: not even the file systems are unmounted (systemctl(1)). They are synced here, because a drill must not lose files.
    ...bootBy(sh`sync && systemctl reboot --force --force`),
  }),
} satisfies Readonly<Record<string, (place: DrillPlace) => Disturbance>>

type DisturbanceWord = keyof typeof KNOWN

/** Whether a drill file may name it. */
function isDisturbance(word: string): word is DisturbanceWord {
  return Object.hasOwn(KNOWN, word)
}

/**
 * fault: it promises nothing. planned: what an operator does on purpose too, and after which the old holder can go on serving whom it knows.
 * planned-stop: haproxy stops in it, too, and ends what is open after stop_timeout.
 */
type Nature = 'fault' | 'planned' | 'planned-stop'

const NATURE: Readonly<Record<DisturbanceWord, Nature>> = {
  'stop-haproxy': 'planned-stop',
  'restart-haproxy': 'planned-stop',
  'kill-haproxy': 'fault',
  'hang-haproxy': 'fault',
  'crash-haproxy-repeatedly': 'fault',
  'reload-haproxy-repeatedly': 'planned',
  'stop-keepalived': 'planned',
  'kill-keepalived': 'fault',
  'hang-keepalived': 'fault',
  'drop-vrrp': 'fault',
  'drop-vrrp-in': 'fault',
  'drop-vrrp-out': 'fault',
  'drop-link': 'fault',
  'drop-link-and-ssh': 'fault',
  reboot: 'planned-stop',
  'kill-server': 'fault',
}

/** `disturb`: the word of a drill's file. */
export function natureOf(disturb: string): Nature {
  return isDisturbance(disturb) ? NATURE[disturb] : 'fault'
}

/** Every word that a drill file may name. */
export const DISTURBANCES: readonly string[] = Object.keys(KNOWN)

/** The disturbance of that name at that place; undefined where no disturbance has that name. Throws E_INTERNAL for an invalid place. */
export function disturbanceFor(name: string, place: DrillPlace): Disturbance | undefined {
  return isDisturbance(name) ? KNOWN[name](place) : undefined
}

/** These texts come from a server and go into a script: only a name that the kernel allows and a valid address are accepted. */
function checked(place: DrillPlace): DrillPlace {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,14}$/.test(place.interface) && /^[0-9a-fA-F.:]{2,45}$/.test(place.vip)) return place
  throw new HactlError({ code: 'E_INTERNAL', what: `"${place.vip}" on "${place.interface}" is no place for a drill` })
}
