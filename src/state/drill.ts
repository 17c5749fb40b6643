/**
 * Words of drills, shared by domain (what they mean) and engine (how they are carried out). Types only.
 * All times are ms on the controller's monotonic clock; only differences mean anything.
 */
import type { CutBy, LongLivedUse, Script } from '../ports.ts'

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
  /** When the sample arrived at the controller. */
  readonly atMs: number
  /** The server's own uptime when it looked. It spaces samples without the network's delays. */
  readonly uptimeMs?: number | undefined
  /** False: the connection is lost, nothing is known, and the other fields mean nothing. */
  readonly reachable: boolean
  /** The watched virtual addresses that are on its interfaces. */
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

/** A long-lived connection through a virtual address. */
export interface ConnectionSample {
  readonly kind: 'connection'
  readonly from: string
  readonly atMs: number
  readonly id: number
  /** closed: in order, between two requests or by the drill itself; nobody lost anything. */
  readonly event: 'opened' | 'cut' | 'closed'
  readonly use?: LongLivedUse | undefined
  /** Of one that was cut. */
  readonly by?: CutBy | undefined
  /** Why it was cut or closed. */
  readonly error?: string | undefined
}

export type Sample = ProbeSample | HolderSample | Mark | ConnectionSample

/** Which lines of a server's journal are about the services that hactl looks after. */
export interface JournalSubject {
  /** Words for journalctl. */
  readonly matches: readonly string[]
  /** What is logged only because hactl asked. */
  readonly ownLooks: RegExp
}

/** What the journal of one server has from the time of a drill. */
export interface ServerJournal {
  readonly server: string
  /** In the order in which they were logged. */
  readonly lines: readonly JournalLine[]
  /** True: there were more lines; these are the last. */
  readonly isCut: boolean
  /** The server's wall clock minus its uptime, in ms, when the journal was read. It puts the lines on the samples' axis. */
  readonly bootedAtMs: number | undefined
  /** Why the journal could not be read. */
  readonly problem: string | undefined
}

export interface JournalLine {
  /** By the server's wall clock, in ms since the epoch. */
  readonly atMs: number
  /** Who logged it: "haproxy", "Keepalived_vrrp", "systemd". */
  readonly source: string
  /** As it was logged. It may contain anything. */
  readonly message: string
}

/** The state of a server before and after a drill; equal means that the drill left nothing behind. */
export interface DrillState {
  readonly server: string
  /** systemd's ActiveState by unit name without ".service". */
  readonly units: Readonly<Record<string, string>>
  /** The watched virtual addresses that are on its interfaces. */
  readonly holds: readonly string[]
  /** hactl's own transient units that still exist. */
  readonly residue: readonly string[]
  /** First line of each watched file by path; undefined where it is missing. */
  readonly trackers?: Readonly<Record<string, string | undefined>>
  /** A checksum of each watched file by path; missing files are left out. */
  readonly files?: Readonly<Record<string, string>>
  /** A checksum of the packet filter's rules without counters and set elements; undefined where there is none to ask. */
  readonly firewall?: string | undefined
}

/**
 * Something that a drill does to a server, with its undo. All texts are shell, made of hactl's constants and of words
 * from a closed vocabulary only: nothing that an operator typed is in them.
 */
export interface Disturbance {
  /** "stop haproxy". */
  readonly title: string
  /** "start haproxy". */
  readonly undoTitle: string
  readonly script: Script
  /** Idempotent: it may run twice, at the same time as itself, and where nothing was disturbed. */
  readonly undo: Script
  /** Exits 0 once what was disturbed works again. */
  readonly confirm: Script
  /** What an operator runs on the server where hactl could not undo it. */
  readonly byHand: string
  /** The server is expected to go down before it answers: a lost connection is then the expected result, not a fault. */
  readonly severs: boolean
  /** The server boots. No timer survives that, and the undo may be confirmed only minutes later. */
  readonly boots?: boolean
  /** How long the script itself takes, in ms, where that is more than a few ms. */
  readonly lastsMs?: number
  /** What the server must have: `script` exits 0 where the server has it. */
  readonly needs?: { readonly script: Script; readonly what: string; readonly fix: string }
}

/** A drill as its file declares it (playbooks/drills): what is disturbed where, and what must be seen. It never says how. */
export interface DrillFile {
  readonly name: string
  readonly title: string
  /** A word that domain/failover/disturbances.ts knows. */
  readonly disturb: string
  /** holder: the server that has the address; next: the one that should take it over; each-holder: each holder in turn, until one server is left. */
  readonly on: 'holder' | 'next' | 'each-holder'
  readonly expect: DrillExpectation
  /** What is different with the classic profile. */
  readonly classic?: Partial<DrillExpectation>
  /** Kills or reboots a server: left out of --all unless --destructive. */
  readonly destructive: boolean
}

export interface DrillExpectation {
  /** next: another server must take the address over; nobody: the address must stay where it is; either: both are right. */
  readonly taker: 'next' | 'nobody' | 'either'
  /** The most holders that are right for longer than a second; 2: must be seen; either: may be seen. */
  readonly holders: 1 | 2 | 'either'
  /** For how long after the disturbance two holders are right where one is expected, in ms; a second where undefined. */
  readonly twoHoldersMs?: number
  /** How soon after the undo there must be one holder again, in ms; undefined: not judged. */
  readonly healsMs?: number
  /** How often the address may move at the most, its way back included; undefined: not judged. */
  readonly moves?: number
  /** How many probes may be lost over the whole drill at the most; undefined: only the outage is judged. */
  readonly lost?: number
  /** The event that the failover must detect, for the predicted worst case: a word of domain/vrrp/outage.ts. */
  readonly event: string
}
