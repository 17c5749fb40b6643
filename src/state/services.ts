/** What the domain tells the engine about each service that hactl manages. Types only. */
import type { Script } from '../ports.ts'
import type { ObservedNode } from './observed.ts'
import type { Unit } from './units.ts'

/** One service that hactl manages: the engine switches it with these calls and knows no service by name. Each call is one line. */
export interface ManagedService {
  readonly unit: Unit
  /** True: the virtual addresses leave the server when the service stops. */
  readonly holdsAddresses: boolean
  /** Absolute path of its configuration. */
  readonly config: string
  /** True: its package ships a file with that path. */
  readonly shipsConfig: boolean
  /** The resource that peers must have alike: they refuse each other while it differs. Its file is put last, and all servers load it at once. */
  readonly comparedId: string | undefined
  /** A unit of hactl's own that runs beside it wherever the unit's file is there. Its full name. */
  readonly companion: string
  /** Before a reload; may leave variables for `loaded`. */
  readonly beforeReload: Script
  /** Ends with 0 once the daemon itself (not systemctl) says that it runs the new file, else prints why. Bounded in time. */
  readonly loaded: Script
  /** The same after a start. */
  readonly started: Script
  /** The same after its old file was put back. */
  readonly putBack: Script
}

/** In the order in which an undo restores them. */
export type ServiceTable = Readonly<Record<Unit, ManagedService>>

/** What a look at a server asks the services themselves. The engine knows neither the services nor what their answers mean. */
export interface ServiceLook {
  /** Starts the look: answers may arrive while the rest is read. Defines looks_after (src/on-server/probe.sh). */
  readonly ask: Script
  /** Ends it: prints sections of its own. */
  readonly said: Script
  /** Reads them. `section`: the text of one by its name, undefined where the server printed none. */
  readonly parse: (section: (name: string) => string | undefined) => ServiceAnswers
}

type ServiceAnswers = Pick<
  ObservedNode,
  'instances' | 'answersRefused' | 'trackers' | 'trackersWatched' | 'trackersHeld' | 'trackersChanging' | 'isDamped' | 'openConnections'
>
