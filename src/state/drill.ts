/**
 * Words of drills, shared by domain (what they mean) and engine (how they are carried out). Types only.
 * What was seen stands on one axis: all times are ms on the controller's monotonic clock; only differences mean anything.
 */
import type { Script } from '../ports.ts'

/** One probe of the service through a virtual address. */
export interface ProbeSample {
  readonly kind: 'probe'
  /** "controller", or the name of the server it was sent from. */
  readonly from: string
  readonly sentMs: number
  readonly tookMs: number
  readonly ok: boolean
  readonly error?: string | undefined
}

/** What one server said about itself at one moment. */
export interface HolderSample {
  readonly kind: 'holder'
  readonly server: string
  /** When it arrived at the controller. */
  readonly atMs: number
  /** The server's own uptime when it looked: spacing without the network's delays. */
  readonly uptimeMs?: number | undefined
  /** False: the connection is gone, nothing is known, and the rest means nothing. */
  readonly reachable: boolean
  /** The watched virtual addresses that stand on its interfaces. */
  readonly holds: readonly string[]
  /** systemd's ActiveState by unit name without ".service". */
  readonly units: Readonly<Record<string, string>>
  /** First line of each watched file by name; undefined where it is missing. */
  readonly trackers?: Readonly<Record<string, string | undefined>>
}

/** armed: the undo timer runs; disturbed, undone: the command is about to be sent; restored: the undo was confirmed. */
export interface Mark {
  readonly kind: 'mark'
  readonly mark: 'armed' | 'disturbed' | 'undone' | 'restored'
  readonly atMs: number
  readonly server: string
}

/** A long-lived connection through a virtual address: one that stands from request to request. */
export interface ConnectionSample {
  readonly kind: 'connection'
  readonly from: string
  readonly atMs: number
  readonly id: number
  readonly event: 'opened' | 'cut'
  /** Why it was cut. */
  readonly error?: string | undefined
}

export type Sample = ProbeSample | HolderSample | Mark | ConnectionSample

/** What of a server's journal is about the services that hactl looks after. */
export interface JournalSubject {
  /** For journalctl, word by word. */
  readonly matches: readonly string[]
  /** What is logged only because hactl asked. */
  readonly ownLooks: RegExp
}

/** What the journal of one server has of a drill's window. */
export interface ServerJournal {
  readonly server: string
  /** In the order in which they were logged. */
  readonly lines: readonly JournalLine[]
  /** There were more; these are the last. */
  readonly isCut: boolean
  /** The server's wall clock less its uptime, in ms, when it was read: how its lines are laid on the samples' axis. */
  readonly bootedAtMs: number | undefined
  /** Why the journal could not be read. */
  readonly problem: string | undefined
}

export interface JournalLine {
  /** By the server's wall clock, in ms since the epoch. */
  readonly atMs: number
  /** Who logged it: "haproxy", "Keepalived_vrrp", "systemd". */
  readonly source: string
  /** As it was logged: may hold anything. */
  readonly message: string
}

/** How a server stands before and after a drill; equal means that the drill left nothing behind. */
export interface DrillState {
  readonly server: string
  /** systemd's ActiveState by unit name without ".service". */
  readonly units: Readonly<Record<string, string>>
  /** The watched virtual addresses that stand on its interfaces. */
  readonly holds: readonly string[]
  /** hactl's own transient units still there. */
  readonly residue: readonly string[]
  /** First line of each watched file by path; undefined where it is missing. */
  readonly trackers?: Readonly<Record<string, string | undefined>>
  /** A checksum of each watched file by path; missing files are left out. */
  readonly files?: Readonly<Record<string, string>>
  /** A checksum of the packet filter's rules without counters and set elements; undefined where there is none to ask. */
  readonly firewall?: string | undefined
}

/**
 * Something a drill does to a server, with its way back. All texts are shell, made of hactl's constants and of words
 * from a closed vocabulary only: nothing an operator typed is in them.
 */
export interface Disturbance {
  /** "stop haproxy". */
  readonly title: string
  /** "start haproxy". */
  readonly undoTitle: string
  readonly script: Script
  /** Idempotent: may run twice, at once with itself, and where nothing was disturbed. */
  readonly undo: Script
  /** Exits 0 once what was disturbed works again. */
  readonly confirm: Script
  /** What an operator runs on the server where hactl could not undo it. */
  readonly byHand: string
  /** The server is expected to be gone before it answers: a lost connection is then what was wanted, not a fault. */
  readonly severs: boolean
  /** The server boots: no timer outlives that, and it may take minutes until the undo can be confirmed. */
  readonly boots?: boolean
  /** How long the script itself takes, in ms, where that is more than a moment. */
  readonly lastsMs?: number
  /** What must be there on the server: `script` exits 0 where it is. */
  readonly needs?: { readonly script: Script; readonly what: string; readonly fix: string }
}

/** A drill as its file declares it (playbooks/drills): what is disturbed where, and what must be seen. Never how. */
export interface DrillFile {
  readonly name: string
  readonly title: string
  /** A word that domain/failover/disturbances.ts knows. */
  readonly disturb: string
  /** holder: who has the address; next: who should take it over; each-holder: whoever has it, in turn, until one server is left. */
  readonly on: 'holder' | 'next' | 'each-holder'
  readonly expect: DrillExpectation
  /** What differs with the classic profile. */
  readonly classic?: Partial<DrillExpectation>
  /** Kills or reboots a server: left out of --all unless --destructive. */
  readonly destructive: boolean
}

export interface DrillExpectation {
  /** next: another server must take the address over; nobody: it must stay where it is; either: both are right. */
  readonly taker: 'next' | 'nobody' | 'either'
  /** The most holders that are right for longer than a second; 2: must be seen; either: may be seen. */
  readonly holders: 1 | 2 | 'either'
  /** For how long after the disturbance two holders are right where one is expected, in ms; a second where undefined. */
  readonly twoHoldersMs?: number
  /** How soon after the undo there must be one holder again, in ms; undefined: not judged. */
  readonly healsMs?: number
  /** The most times that the address may come to another server, its way home counted; undefined: not judged. */
  readonly moves?: number
  /** The most probes that may be lost over the whole drill; undefined: the outage alone counts. */
  readonly lost?: number
  /** What the failover detects here, for the predicted worst case: a word of domain/vrrp/outage.ts. */
  readonly event: string
}
