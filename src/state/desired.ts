/** The wanted state of a server. A resource id is `kind/name`, the same in playbooks, plans, logs and reports. Types only. */
import type { Script } from '../ports.ts'
import type { Unit } from './units.ts'

export interface PackageResource {
  readonly kind: 'package'
  readonly id: string
  readonly name: string
  /** Version, or its beginning and an asterisk, as `apt-get install NAME=PIN` takes it. */
  readonly pin?: string
}

/**
 * A command that must accept a staged file before any live file changes; `{}` is replaced by the staged path. The command may be a call of a
 * function of src/on-server whose name begins with that of the program and "_": errors name the program.
 */
export interface Validation {
  readonly argv: readonly (string | Script)[]
  /** keepalived -t exits 0 although it will ignore parts of the file: only an empty output is acceptance (evidence K1). */
  readonly mustBeSilent: boolean
  /** Paths that appear inside the file and are staged together with it: replaced by their staged paths for the check only. */
  readonly alsoStaged: readonly string[]
  /** Commands of sed(1) for the copy that is checked. */
  readonly edits?: readonly string[]
  /** Run before the check: makes what the command expects to find. */
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

/** A file that hactl writes in another profile, or that an earlier version wrote, and that must not stay. */
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

/** A unit of hactl's own that must be active whenever the service is. */
export interface Companion {
  /** Its full name. */
  readonly unit: string
  /** Absolute path of its unit file, a file resource of its own. */
  readonly file: string
}

export interface ServiceResource {
  readonly kind: 'service'
  readonly id: string
  readonly unit: Unit
  /** Hash over what the running daemon must have loaded; compared with the stamp that the server keeps. */
  readonly loadedHash: string
  /** Run once the unit is active, e.g. to tell keepalived that haproxy is up. */
  readonly whenActive: readonly Script[]
  /** The files that loadedHash is made of: once one of them is written again, what is loaded is no longer known. */
  readonly loads?: readonly string[]
  /** systemd starts it together with the service, by the service's drop-in. */
  readonly companion?: Companion
  /** Track files of the unit; it is reloaded when one is missing or they are not watched (a lost watch stays lost). */
  readonly runtimeFiles?: readonly string[]
}

/** Something of hactl's own that a script of hactl's opens and closes: rules of a packet filter, a service that the packages do not bring. */
export interface OwnToolResource {
  readonly kind: 'own-tool'
  readonly id: string
  /** What opening it does: "open the firewall for VRRP from 192.0.2.12". */
  readonly title: string
  /** Absolute path of the script, a file resource of its own. It changes whenever it must be opened again. */
  readonly script: string
  /** Whether it is open as wanted. */
  readonly isOpen: boolean
  /** Where it is open: what that means. Where it is not: why. */
  readonly found: string
}

export type Resource = PackageResource | FileResource | AbsentFileResource | SysctlResource | OwnToolResource | ServiceResource

export interface DesiredNode {
  readonly server: string
  readonly resources: readonly Resource[]
}
