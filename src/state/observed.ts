/** The state of a server by one look at it. Types only. */
import type { ObservedInstance } from './instance.ts'
import type { LockInfo } from './lock.ts'
import type { Facts } from './machine.ts'
import type { Listener, Neighbour, ObservedFirewall } from './network.ts'
import type { ObservedOpenConnections } from './open-connections.ts'
import type { Unit } from './units.ts'

export interface ObservedFile {
  readonly path: string
  readonly sha256: string
  readonly mode: string
  readonly owner: string
  readonly group: string
  /** Its target, if it is a symbolic link. Everything else here describes the target. */
  readonly linkTo?: string | undefined
  /** undefined when larger than the probe carries (256 KiB) or not valid UTF-8. */
  readonly content: string | undefined
  /** The package's conffile, unchanged since it was installed. */
  readonly pristineConffile: boolean
  /** What hactl wrote there last, by its own record; undefined where it never did. */
  readonly ownedSha256: string | undefined
}

export interface ObservedService {
  readonly unit: Unit
  /** systemd's LoadState, ActiveState, SubState, UnitFileState. */
  readonly load: string
  readonly active: string
  readonly sub: string
  readonly unitFile: string
  readonly needsDaemonReload: boolean
  readonly mainPid: number
  /** What the service loaded last, by hactl's stamp; undefined where there is no stamp. */
  readonly loadedHash: string | undefined
}

/** A unit of hactl's own that systemd has in memory. */
export interface ObservedOwnUnit {
  /** systemd's ActiveState. */
  readonly active: string
  readonly needsDaemonReload: boolean
}

export interface ObservedPackage {
  readonly installed: string | undefined
  /** apt's candidate. apt is asked only where a package is missing. */
  readonly candidate: string | undefined
  /** Every version that apt knows, the newest first; undefined where apt was not asked. */
  readonly available?: readonly string[]
}

/** Everything that one probe of one server reports. */
export interface ObservedNode {
  readonly server: string
  readonly facts: Facts
  /** By package name. */
  readonly packages: Readonly<Record<string, ObservedPackage>>
  /** True when dpkg has half-configured packages (dpkg --audit says something). */
  readonly dpkgBroken: boolean
  /** apt's package lists are missing or older than a day. */
  readonly aptListsStale: boolean
  readonly files: Readonly<Record<string, ObservedFile | undefined>>
  /** Files that hactl's record on this server names, whether they exist or not; undefined where hactl keeps no record there. */
  readonly ownedPaths?: readonly string[]
  readonly services: Readonly<Record<Unit, ObservedService>>
  /** By full name: services of hactl's own that systemd has in memory. */
  readonly ownUnits: Readonly<Record<string, ObservedOwnUnit | undefined>>
  readonly sysctls: Readonly<Record<string, string | undefined>>
  readonly instances: readonly ObservedInstance[]
  /** Paths of answers that were not read, because another user than root may have made what is there. */
  readonly answersRefused?: readonly string[]
  /** The exit status of the check script; undefined where there is no check script. */
  readonly checkStatus: number | undefined
  /** Contents of the tracker files by name, trimmed; undefined entries are missing files. */
  readonly trackers: Readonly<Record<string, string | undefined>>
  /** Whether the running keepalived watches the folder that the track files are in now; undefined where none runs or it is not known. */
  readonly trackersWatched?: boolean
  /**
   * What the running keepalived holds for each track file, by path, where the file did not change while it was asked. A file that is not
   * among them was not compared.
   */
  readonly trackersHeld?: Readonly<Record<string, number>>
  /** Paths of track files that changed while keepalived was asked: its answer may be older or newer than the files. */
  readonly trackersChanging?: readonly string[]
  /** haproxy crashed and has not been stable for long: a timer will give the server its priority back. */
  readonly isDamped?: boolean
  /** Whether the server can keep open connections over a move, and the service that does; undefined where it was not asked. */
  readonly openConnections?: ObservedOpenConnections
  /** The holder of the cluster lock on this server, if there is one. */
  readonly lock: LockInfo | undefined
  /** Names of hactl's own transient units that still exist (undo timers, drills). */
  readonly residue: readonly string[]
  /** The folders above the programs that were asked for, those that exist, from / on. */
  readonly programFolders: readonly { readonly path: string; readonly mode: string; readonly owner: string; readonly group: string }[]
  /** Certificates that were asked for, with their end; undefined: the file has no certificate. Empty where openssl is missing. */
  readonly certificates: readonly { readonly path: string; readonly secondsLeft: number | undefined }[]
  /** Runs that keep files on this server. Unless one of them is at work now, they ended half way. */
  readonly leftRuns: readonly string[]
  /** Virtual addresses that the server's own network configuration contains as well, and the files that contain them. */
  readonly staticAddresses?: readonly { readonly address: string; readonly path: string }[]
  /** Who answered for a virtual address that this server's keepalived does not manage. */
  readonly neighbours: readonly Neighbour[]
  /** TCP sockets that listen; undefined where they are not known. */
  readonly listeners?: readonly Listener[]
  readonly firewall?: ObservedFirewall
  /** How far this server's clock was ahead of the controller's when it answered, in ms; undefined where they were not compared. */
  readonly clockAheadMs?: number
}
