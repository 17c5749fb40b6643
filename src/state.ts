/**
 * Words shared by domain (what a server should be) and engine (how it gets there). Types only.
 * A resource id is `kind/name`, the same in playbooks, plans, logs and reports.
 */

import type { Script } from './ports.ts'

/** The two services hactl looks after, by systemd unit name without ".service". */
export type Unit = 'haproxy' | 'keepalived'

/** One service that hactl looks after: how the engine switches it, without knowing any by name. Calls, each of one line. */
export interface ManagedService {
  readonly unit: Unit
  /** The virtual addresses leave the server where it stops. */
  readonly holdsAddresses: boolean
  /** The resource by which peers refuse each other while it differs: its file comes last, and all servers load it at once. */
  readonly comparedId: string | undefined
  /** Before a reload; may leave variables for `loaded`. */
  readonly beforeReload: Script
  /** Ends with 0 once the daemon itself (not systemctl) says that it runs the new file, else prints why. Bounded in time. */
  readonly loaded: Script
  /** The same after a start. */
  readonly started: Script
  /** The same after its old file was put back. */
  readonly putBack: Script
}

/** In the order in which an undo puts them back. */
export type ServiceTable = Readonly<Record<Unit, ManagedService>>

/** What a look at a server asks of the services themselves: the engine knows neither whom it asks nor what the answer means. */
export interface ServiceLook {
  /** Begins the look: answers may arrive while the rest is read. Defines looks_after (src/on-server/probe.sh). */
  readonly ask: Script
  /** Ends it: prints sections of its own. */
  readonly said: Script
  /** Reads them. `section`: the text of one by its name, undefined where the server printed none. */
  readonly parse: (section: (name: string) => string | undefined) => ServiceAnswers
}

type ServiceAnswers = Pick<ObservedNode, 'instances' | 'trackers' | 'trackersWatched' | 'trackersHeld' | 'trackersChanging'>

export interface PackageResource {
  readonly kind: 'package'
  readonly id: string
  readonly name: string
  /** Version, or its beginning and an asterisk, as `apt-get install NAME=PIN` takes it. */
  readonly pin?: string
}

/** A command that must accept a staged file before any live file changes; `{}` stands for the staged path. */
interface Validation {
  readonly argv: readonly string[]
  /** keepalived -t exits 0 on things it will ignore: only an empty output is acceptance (evidence K1). */
  readonly mustBeSilent: boolean
  /** Paths that appear inside the file and are staged together with it: replaced by their staged paths for the check only. */
  readonly alsoStaged: readonly string[]
  /** Run before the check, for what the command expects to find. */
  readonly before?: Script
}

export interface FileResource {
  readonly kind: 'file'
  readonly id: string
  readonly path: string
  readonly content: string
  /** Octal digits: "0644". */
  readonly mode: string
  readonly owner: string
  readonly group: string
  /** Regular expressions (source, flags "gm") with two groups: what is kept, what is masked in diffs and logs. */
  readonly masks: readonly string[]
  readonly validation?: Validation
  /** True where the operator's own file is shipped byte for byte. */
  readonly verbatim: boolean
}

/** A file hactl puts there in another profile or an earlier version, and which must not stay. */
export interface AbsentFileResource {
  readonly kind: 'absent-file'
  readonly id: string
  readonly path: string
}

export interface SysctlResource {
  readonly kind: 'sysctl'
  readonly id: string
  readonly key: string
  readonly value: string
}

export interface ServiceResource {
  readonly kind: 'service'
  readonly id: string
  readonly unit: Unit
  /** Hash over what the running daemon must have loaded; compared with the stamp that the server keeps. */
  readonly loadedHash: string
  /** Run once the unit is active, e.g. to tell keepalived that haproxy is up. */
  readonly whenActive: readonly Script[]
  /** The files whose content loadedHash stands for: where one is written anew, what is loaded is no longer known. */
  readonly loads?: readonly string[]
  /** Track files of the unit; it is reloaded when one is missing or they are not watched (a lost watch stays lost). */
  readonly runtimeFiles?: readonly string[]
}

/** Rules of the packet filter that a script of hactl's own adds (open) and takes away (close). */
export interface FirewallResource {
  readonly kind: 'firewall'
  readonly id: string
  /** What is let through: "VRRP from 192.0.2.12". */
  readonly titles: readonly string[]
  /** Absolute path of the script, a file resource of its own. */
  readonly script: string
  /** The rules are there. */
  readonly isOpen: boolean
}

export type Resource = PackageResource | FileResource | AbsentFileResource | SysctlResource | FirewallResource | ServiceResource

export interface DesiredNode {
  readonly server: string
  readonly resources: readonly Resource[]
}

export interface InterfaceAddress {
  readonly interface: string
  readonly family: 4 | 6
  readonly address: string
  readonly prefix: number
}

export interface ObservedFile {
  readonly path: string
  readonly sha256: string
  readonly mode: string
  readonly owner: string
  readonly group: string
  /** Where it leads, if it is a symbolic link: all else here is of the file at its end. */
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
  /** What it loaded last by hactl's stamp; undefined where there is none. */
  readonly loadedHash: string | undefined
}

/** keepalived's own view of one instance (its JSON dump). */
export interface ObservedInstance {
  readonly name: string
  readonly interface: string
  readonly virtualRouterId: number
  readonly state: 'INIT' | 'BACKUP' | 'MASTER' | 'FAULT' | 'UNKNOWN'
  readonly basePriority: number
  readonly effectivePriority: number
  readonly advertIntMs: number
  readonly version: 2 | 3 | undefined
  readonly nopreempt: boolean
  /** preempt_delay: it lets a lower one keep the address for a while; false where it does not say. */
  readonly delaysPreempt?: boolean
  readonly virtualAddresses: readonly string[]
  /** The commands of the checks that it runs for this instance, as keepalived writes them. */
  readonly trackScripts: readonly string[]
  /** Adverts that it sent and took since it started; undefined where it does not say. */
  readonly adverts?: number
  /** Adverts that it refused since it started, by keepalived's name for the reason; those that never happened are left out. */
  readonly refusedAdverts?: Readonly<Record<string, number>>
}

export interface Facts {
  readonly machineId: string
  readonly bootId: string
  readonly hostname: string
  readonly uid: number
  /** os-release: ID, ID_LIKE, VERSION_ID, VERSION_CODENAME, PRETTY_NAME. */
  readonly os: { readonly id: string; readonly like: string; readonly version: string; readonly codename: string; readonly pretty: string }
  readonly systemd: boolean
  /** dpkg is there: a Debian family system. */
  readonly dpkg: boolean
  /** systemd-detect-virt -c: "none" where it is no container. */
  readonly container: string
  readonly addresses: readonly InterfaceAddress[]
  /** MAC addresses of its interfaces. */
  readonly linkAddresses: readonly string[]
  /** ms since the epoch on the server's clock when it answered; undefined where what it said cannot be a time. */
  readonly clockMs: number | undefined
  /** undefined where it cannot be told. */
  readonly freeVarKiB: number | undefined
  /** cloud-init still sets the server up. */
  readonly cloudInitRuns?: boolean
}

export interface ObservedPackage {
  readonly installed: string | undefined
  /** apt's, where it was asked: that is where a package is missing. */
  readonly candidate: string | undefined
  /** Every version that apt knows, the newest first; undefined where it was not asked. */
  readonly available?: readonly string[]
}

/** All that one probe of one server tells. */
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
  /** Files that hactl's record on this server names, there or not; undefined where hactl keeps nothing there at all. */
  readonly ownedPaths?: readonly string[]
  readonly services: Readonly<Record<Unit, ObservedService>>
  readonly sysctls: Readonly<Record<string, string | undefined>>
  readonly instances: readonly ObservedInstance[]
  /** What the check script answered: its exit status; undefined where it is not there. */
  readonly checkStatus: number | undefined
  /** Contents of the tracker files by name, trimmed; undefined entries are missing files. */
  readonly trackers: Readonly<Record<string, string | undefined>>
  /** Whether the running keepalived watches the folder that the tracker files stand in now; undefined where none runs or it cannot be told. */
  readonly trackersWatched?: boolean
  /**
   * What the running keepalived holds for each track file, by path, where the file did not change while it was asked. A file that is not
   * among them was not compared.
   */
  readonly trackersHeld?: Readonly<Record<string, number>>
  /** Paths of track files that changed while keepalived was asked: what it answered may be older or newer than what they say. */
  readonly trackersChanging?: readonly string[]
  /** Who holds the cluster lock here, if anybody. */
  readonly lock: LockInfo | undefined
  /** Names of hactl's own transient units still there (undo timers, drills). */
  readonly residue: readonly string[]
  /** The folders that the check script stands in, from / on. */
  readonly checkFolders: readonly { readonly path: string; readonly mode: string; readonly owner: string; readonly group: string }[]
  /** Certificates that were asked for and whose end is known; undefined: there is none in that file. Empty where openssl is not there. */
  readonly certificates: readonly { readonly path: string; readonly secondsLeft: number | undefined }[]
  /** Runs that keep something on this server: unless one works just now, they ended half way. */
  readonly leftRuns: readonly string[]
  /** Virtual addresses that the server's own network configuration has as well, and the files they stand in. */
  readonly staticAddresses?: readonly { readonly address: string; readonly path: string }[]
  /** Who answered for a virtual address that no keepalived looks after on this server. */
  readonly neighbours: readonly Neighbour[]
  /** TCP sockets that listen; undefined where it cannot be told. */
  readonly listeners?: readonly Listener[]
  readonly firewall?: ObservedFirewall
  /** How far this server's clock was ahead of the controller's when it answered, in ms; undefined where nobody compared them. */
  readonly clockAheadMs?: number
}

export interface Listener {
  /** undefined for all addresses of the families. */
  readonly address: string | undefined
  readonly families: readonly (4 | 6)[]
  readonly port: number
  /** Name of the program; undefined where the kernel itself listens. */
  readonly process: string | undefined
}

/** The packet filter of a server, as its own programs print it. */
export interface ObservedFirewall {
  /** Its version, where ufw is switched on. */
  readonly ufw: string | undefined
  readonly firewalld: boolean
  readonly netfilterPersistent: boolean
  /** nft -j list ruleset; undefined where there is no nft. */
  readonly nft: string | undefined
  /** iptables-save; undefined where there is none. */
  readonly iptables: string | undefined
  /** ip6tables-save; undefined where there is none. */
  readonly ip6tables?: string | undefined
  /** hactl's own unit that opens it is enabled. */
  readonly opensAtBoot?: boolean
  /** The "### tuple ###" lines of ufw's user.rules and user6.rules: its rules with their comments. */
  readonly ufwRules: readonly string[]
}

export interface Neighbour {
  readonly address: string
  /** MAC address. */
  readonly linkAddress: string
}

/** One network on which a server speaks VRRP, and with whom. IPv4. */
export interface WireLink {
  readonly interface: string
  /** The server's own address there. */
  readonly address: string
  readonly multicast: boolean
  /** Addresses of the other servers. */
  readonly peers: readonly string[]
  /** Whether its own packet filter may refuse to send. Only then that is tried: what is sent opens the way back for minutes. */
  readonly mayRefuse: boolean
}

/** What a server heard while all of them sent protocol 112 to each other. */
export interface WireReport {
  readonly link: WireLink
  /** Peers whose packets arrived at the interface. */
  readonly arrived: readonly string[]
  /** Peers whose packets this server's packet filter let in. */
  readonly passed: readonly string[]
  /** Peers that answer ARP there. */
  readonly neighbours: readonly string[]
  /** Why this server's own packet filter does not send to these addresses. */
  readonly refused: Readonly<Record<string, string>>
  /** VRRP routers that are heard, whoever they are. */
  readonly routers: readonly { readonly address: string; readonly virtualRouterId: number }[]
}

export interface LockInfo {
  readonly id: string
  readonly owner: string
  readonly reason: string
  /** Seconds since the last heartbeat, by the server's clock. */
  readonly ageSeconds: number
}

export type Action =
  | {
      readonly kind: 'install-package'
      readonly id: string
      readonly name: string
      readonly version: string | undefined
      /** What apt is asked for where it is not its own candidate: a version, or its beginning and an asterisk. */
      readonly pin?: string
      /** The version that is replaced; undefined where none is installed. */
      readonly from?: string
      readonly reason: string
    }
  | {
      readonly kind: 'write-file'
      readonly id: string
      readonly path: string
      readonly reason: string
      /** What stands there now; undefined where nothing does or it is too large to show. */
      readonly before: string | undefined
      /** sha256 of what stands there now; undefined where nothing does. The write is refused when it changed meanwhile. */
      readonly beforeSha256: string | undefined
      readonly after: string
      readonly mode: string
      readonly owner: string
      readonly group: string
      readonly masks: readonly string[]
      readonly validation: Validation | undefined
    }
  /** The file is already as wanted but hactl had no record of it, or only mode/owner differ. */
  | {
      readonly kind: 'own-file'
      readonly id: string
      readonly path: string
      readonly sha256: string
      readonly mode: string
      readonly owner: string
      readonly group: string
      readonly reason: string
    }
  | {
      readonly kind: 'remove-file'
      readonly id: string
      readonly path: string
      readonly reason: string
      readonly before: string | undefined
      readonly beforeSha256: string
      readonly masks: readonly string[]
    }
  | {
      readonly kind: 'set-sysctl'
      readonly id: string
      readonly key: string
      readonly value: string
      readonly before: string | undefined
      readonly reason: string
    }
  | {
      readonly kind: 'open-firewall'
      readonly id: string
      readonly titles: readonly string[]
      readonly script: string
      readonly reason: string
    }
  | {
      readonly kind: 'service'
      readonly id: string
      readonly unit: Unit
      /** What must be done, in this order. stamp-only: it runs what is wanted, only the record is missing. */
      readonly steps: readonly ('daemon-reload' | 'enable' | 'start' | 'reload' | 'stamp')[]
      readonly loadedHash: string
      readonly whenActive: readonly Script[]
      readonly reason: string
    }

export interface Unchanged {
  readonly id: string
  /** "haproxy.cfg is already as wanted". */
  readonly reason: string
}

export interface ServerPlan {
  readonly server: string
  readonly actions: readonly Action[]
  readonly unchanged: readonly Unchanged[]
}

/** How a keepalived change meets its peers (evidence V12). */
export type ChangeClass = 'none' | 'first-time' | 'local' | 'together' | 'outage'

export interface Plan {
  readonly version: 1
  readonly cluster: string
  readonly servers: readonly ServerPlan[]
  readonly changeClass: ChangeClass
  /** Waves of server names: all of one wave together, a gate after each. Servers without actions are in no wave. */
  readonly waves: readonly (readonly string[])[]
  /** Expected service interruption of the whole roll-out, in ms; 0 where none is expected. */
  readonly outageMs: number
  /** What the operator should know before saying yes. */
  readonly warnings: readonly string[]
}
