/**
 * keepalived's track files of the fast profile: how haproxy's state and planned hand-overs reach keepalived without polling.
 * keepalived watches the directory with inotify and sees a rename (IN_MOVE), so every write is a temp file renamed over the old one.
 */
import type { ObservedNode } from '../state.ts'
import type { Cluster } from './cluster-types.ts'
import { DRAIN_TMPFILES_CONF, KEEPALIVED_CONF, RUN_DIR } from './paths.ts'

/** haproxy_down: systemd's word that haproxy does not run. The others carry a priority offset, one file per writer. */
export type Tracker = 'haproxy_down' | 'haproxy_offset' | 'keepalived_offset' | 'drain'

export interface TrackerSpec {
  readonly name: Tracker
  readonly path: string
  /** 0: any value but 0 is FAULT; 1: the value is added to the priority. */
  readonly weight: 0 | 1
  /** What a missing file is made with while haproxy does not run. haproxy is down until systemd says it is up. */
  readonly initial: 0 | 1
  /** Who writes it. */
  readonly purpose: string
}

/** In the order in which they stand in keepalived.conf. */
export const TRACKERS: readonly TrackerSpec[] = [
  { name: 'haproxy_down', path: `${RUN_DIR}/haproxy_down`, weight: 0, initial: 1, purpose: "haproxy.service's hooks: 1 when it has ended" },
  {
    name: 'haproxy_offset',
    path: `${RUN_DIR}/haproxy_offset`,
    weight: 1,
    initial: 0,
    purpose: "haproxy.service's hooks, before a planned stop",
  },
  {
    name: 'keepalived_offset',
    path: `${RUN_DIR}/keepalived_offset`,
    weight: 1,
    initial: 0,
    purpose: "keepalived.service's hooks, before a planned stop",
  },
  { name: 'drain', path: `${RUN_DIR}/drain`, weight: 1, initial: 0, purpose: 'the operator: hactl drain' },
]

/** Path of each tracker file by name. */
export const TRACKER_FILES: Readonly<Record<Tracker, string>> = {
  haproxy_down: `${RUN_DIR}/haproxy_down`,
  haproxy_offset: `${RUN_DIR}/haproxy_offset`,
  keepalived_offset: `${RUN_DIR}/keepalived_offset`,
  drain: `${RUN_DIR}/drain`,
}

/**
 * The value that makes a server hand its addresses over: -253 lowers any priority to 1 while it goes on serving until a backup has
 * taken over (make before break, evidence T6). Backups that do not preempt (nopreempt), or only after a delay (preempt_delay), would let a demoted
 * master keep the address, so there it is -254, which keepalived takes as FAULT: the address is given up first.
 * keepalived, vrrp_track.c: a tracker below -253 is FAULT; keepalived.conf(5), vrrp_track_file.
 */
export function handOverOffset(cluster: Cluster): -253 | -254 {
  return cluster.instances.some(i => i.nopreempt || i.preemptDelayMs > 0) ? -254 : -253
}

/** Shell text that sets a tracker atomically; constants only, so that it may stand in a unit file or a resource's whenActive. */
export function writeTrackerShell(tracker: Tracker, value: number): string {
  const temp = `${RUN_DIR}/.${tracker}.$$`
  return `echo ${value} > ${temp} && mv -f ${temp} ${TRACKER_FILES[tracker]}`
}

/**
 * Shell text that makes the folder and whatever track file is missing, and leaves alone what is there. keepalived's own init_file cannot do
 * it: 2.2.8 to 2.3.2 write its value over a file that exists, at every start (keepalived commit 516032ec, fixed by pull request
 * 2577), so that a drain is forgotten and haproxy_down says that a running haproxy is down. Constants only, as in writeTrackerShell.
 */
export function makeMissingTrackersShell(): string {
  const missing = TRACKERS.map(({ name, path, initial }) => {
    const make = writeTrackerShell(name, initial)
    const isRunning = 'systemctl --quiet is-active haproxy.service'
    const right = name === 'haproxy_down' ? `if ${isRunning}; then ${writeTrackerShell(name, 0)}; else ${make}; fi` : make
    return `[ -e ${path} ] || { ${right}; };`
  })
  return [`[ -d ${RUN_DIR} ] || mkdir -p -m 0755 ${RUN_DIR};`, ...missing].join(' ')
}

/** Whether the keepalived.conf that is there has a track file for drains; classic has none. */
export function tracksDrain(node: ObservedNode): boolean {
  return node.files[KEEPALIVED_CONF]?.content?.includes(TRACKER_FILES.drain) === true
}

/** Whether its operator has lowered this server, so that it holds no address while another server can. */
export function isDrained(node: ObservedNode): boolean {
  return tracksDrain(node) && (Number(node.trackers[TRACKER_FILES.drain] ?? 0) || 0) < 0
}

/** Whether the next boot of this server will drain it. */
export function drainsAtBoot(node: ObservedNode): boolean {
  return node.files[DRAIN_TMPFILES_CONF] !== undefined
}
