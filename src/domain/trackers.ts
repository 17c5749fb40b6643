/**
 * keepalived's track files of the fast profile: how haproxy's state and planned hand-overs reach keepalived without polling.
 * keepalived watches the directory with inotify and sees a rename (IN_MOVE), so every write is a temp file renamed over the old one.
 */
import type { Script } from '../ports.ts'
import { shWith } from '../shell/sh.ts'
import type { ObservedNode } from '../state/observed.ts'
import type { Cluster } from './cluster-types.ts'
import { DRAIN_TMPFILES_CONF, KEEPALIVED_CONF, TRACK_DIR } from './paths.ts'

/** haproxy_down: whether haproxy is down, by systemd. The others contain a priority offset, one file per writer. */
export type Tracker = 'haproxy_down' | 'haproxy_offset' | 'keepalived_offset' | 'drain'

export interface TrackerSpec {
  readonly name: Tracker
  readonly path: string
  /** 0: any value except 0 is FAULT; 1: the value is added to the priority. */
  readonly weight: 0 | 1
  /** Who writes it. */
  readonly purpose: string
}

/** In the order in which keepalived.conf has them. */
export const TRACKERS: readonly TrackerSpec[] = [
  { name: 'haproxy_down', path: `${TRACK_DIR}/haproxy_down`, weight: 0, purpose: "haproxy.service's hooks: 1 when it has ended" },
  {
    name: 'haproxy_offset',
    path: `${TRACK_DIR}/haproxy_offset`,
    weight: 1,
    purpose: "haproxy.service's hooks, before a planned stop",
  },
  {
    name: 'keepalived_offset',
    path: `${TRACK_DIR}/keepalived_offset`,
    weight: 1,
    purpose: "keepalived.service's hooks, before a planned stop",
  },
  { name: 'drain', path: `${TRACK_DIR}/drain`, weight: 1, purpose: 'the operator: hactl drain' },
]

/** Path of each tracker file by name. */
export const TRACKER_FILES: Readonly<Record<Tracker, string>> = {
  haproxy_down: `${TRACK_DIR}/haproxy_down`,
  haproxy_offset: `${TRACK_DIR}/haproxy_offset`,
  keepalived_offset: `${TRACK_DIR}/keepalived_offset`,
  drain: `${TRACK_DIR}/drain`,
}

/**
 * The value that makes a server hand its addresses over: -253 lowers any priority to 1, and the server goes on serving until a backup has
 * taken over (make before break, evidence T6). Backups that do not preempt (nopreempt), or only after a delay (preempt_delay), would let
 * the master keep the address. There the value is -254, which keepalived takes as FAULT: the address is given up first.
 * keepalived, vrrp_track.c: a tracker below -253 is FAULT; keepalived.conf(5), vrrp_track_file.
 */
export function handOverOffset(cluster: Cluster): -253 | -254 {
  return cluster.instances.some(i => i.nopreempt || i.preemptDelayMs > 0) ? -254 : -253
}

/** The variables of every file of src/on-server that writes track files. */
export const TRACKER_VARIABLES = { TRACK_DIR }

const trackers = shWith('trackers.sh', TRACKER_VARIABLES)
const say = shWith('say.sh', TRACKER_VARIABLES)

/** Sets a tracker, atomically. */
export function writeTracker(tracker: Tracker, value: number): Script {
  return trackers`write_tracker ${tracker} ${value}`
}

/** The command with which an operator does the same. */
export function writeTrackerByHand(tracker: Tracker, value: number): string {
  return `echo ${value} > ${TRACK_DIR}/.${tracker} && mv -f ${TRACK_DIR}/.${tracker} ${TRACKER_FILES[tracker]}`
}

/** Makes the folder and the missing track files, and does not change existing ones. */
export const MAKE_MISSING_TRACKERS = trackers`make_missing_trackers`

/** Run once haproxy is active: no hook ran for a haproxy that was started before its drop-in existed, and its track file may say "down". */
export const SAY_HAPROXY_RUNS = say`say_haproxy_runs`

/** For keepalived's service, which may get its track files while haproxy needs no step, or after the files were lost. */
export const SAY_HAPROXY_RUNS_TO_KEEPALIVED = say`say_haproxy_runs_to_keepalived`

/** Whether the present keepalived.conf has a track file for drains; classic has none. */
export function tracksDrain(node: ObservedNode): boolean {
  return node.files[KEEPALIVED_CONF]?.content?.includes(TRACKER_FILES.drain) === true
}

/** Whether this server is drained, so that it holds no address while another server can. */
export function isDrained(node: ObservedNode): boolean {
  return tracksDrain(node) && (Number(node.trackers[TRACKER_FILES.drain] ?? 0) || 0) < 0
}

/** Whether the next boot of this server will drain it. */
export function drainsAtBoot(node: ObservedNode): boolean {
  return node.files[DRAIN_TMPFILES_CONF] !== undefined
}
