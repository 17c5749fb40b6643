/** A virtual address as keepalived itself sees it. Types only. */

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
  /** preempt_delay: it lets a server of lower priority keep the address for a while. False where keepalived does not report it. */
  readonly delaysPreempt?: boolean
  readonly virtualAddresses: readonly string[]
  /** The commands of the checks that it runs for this instance, as keepalived writes them. */
  readonly trackScripts: readonly string[]
  /** Adverts that it sent and accepted since it started; undefined where it does not report them. */
  readonly adverts?: number
  /** Adverts that it refused since it started, by keepalived's name for the reason. Reasons that never occurred are left out. */
  readonly refusedAdverts?: Readonly<Record<string, number>>
}
