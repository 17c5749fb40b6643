/** What must be done on which server, and in which order. Types only. */
import type { Script } from '../ports.ts'
import type { Validation } from './desired.ts'
import type { Unit } from './units.ts'

export type Action =
  | {
      readonly kind: 'install-package'
      readonly id: string
      readonly name: string
      readonly version: string | undefined
      /** What apt is asked for, where that is not its own candidate: a version, or its beginning and an asterisk. */
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
      /** The present content; undefined where there is no file or it is too large to show. */
      readonly before: string | undefined
      /** sha256 of the present content; undefined where there is no file. The write is refused when it changed meanwhile. */
      readonly beforeSha256: string | undefined
      readonly after: string
      readonly mode: string
      readonly owner: string
      readonly group: string
      readonly masks: readonly string[]
      readonly validation: Validation | undefined
    }
  /** The content is already as wanted, but hactl had no record of the file, or its mode or owner differ. */
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
      readonly kind: 'open-tool'
      readonly id: string
      /** "open the firewall for VRRP from 192.0.2.12". */
      readonly title: string
      readonly script: string
      readonly reason: string
    }
  | {
      readonly kind: 'service'
      readonly id: string
      readonly unit: Unit
      /** What must be done, in this order. stamp-only: the service runs what is wanted, and only hactl's record of it is missing. */
      readonly steps: readonly ('daemon-reload' | 'enable' | 'start' | 'reload' | 'start-companion' | 'stamp')[]
      readonly loadedHash: string
      /** The full name of the unit that start-companion starts. */
      readonly companion?: string
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

/** How a change of keepalived.conf must reach the peers (evidence V12). */
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
  /** What the operator should know before agreeing. */
  readonly warnings: readonly string[]
}
