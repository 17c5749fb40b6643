/** What a drill is judged by, and what is said of it. */
import type { ErrorCode } from '../../errors.ts'
import type { DrillExpectation, DrillState, Sample } from '../../state/drill.ts'

export interface DrillCase {
  readonly drill: string
  readonly vip: string
  /** Who held the address before. */
  readonly from: string
  /** Who should take over, by keepalived's own priorities; undefined where nobody could tell. */
  readonly predicted: string | undefined
  /** True: no other server may keep the address from the predicted one, so that a drill in which it never had it has failed. */
  readonly isTakerCertain?: boolean
  readonly expect: DrillExpectation
  /** The longest interruption that passes, in ms; undefined: any. */
  readonly maxOutageMs: number | undefined
  /** True: the address goes home by itself. False (nopreempt): it stays with whoever took it. */
  readonly goesHome: boolean
  readonly servers: readonly string[]
  /** Whoever has the address is disturbed in turn, until one server is left. */
  readonly onEach?: boolean
  /** The server boots: its packet filter is then what it loads at boot. */
  readonly boots?: boolean
  /** Why no bound can be foretold: what check says of it. */
  readonly foretold?: string | undefined
}

export interface DrillRecord {
  readonly samples: readonly Sample[]
  readonly before: readonly DrillState[]
  /** Servers that could not be asked afterwards are missing. */
  readonly after: readonly DrillState[]
  /** A second, real fault ended the drill before its time: what it was, one line each. */
  readonly stopped?: readonly string[] | undefined
  /** Why nobody took over, by what runs; what check foretold stands in for it. */
  readonly diagnosis?: string | undefined
}

export interface Finding {
  readonly code: ErrorCode
  readonly text: string
}

export interface Verdict {
  readonly drill: string
  readonly vip: string
  readonly verdict: 'passed' | 'failed' | 'refused'
  readonly from: string | undefined
  readonly predicted: string | undefined
  /** undefined: nobody took over. */
  readonly to: string | undefined
  /** From the disturbance to its undo, in ms; undefined where nobody took over or answered again. */
  readonly outageMs: number | undefined
  /** Over the whole drill, from everywhere. */
  readonly failedProbes: number
  readonly probes: number
  /** The same for each place that probes came from. */
  readonly origins?: readonly OriginVerdict[]
  /** Long-lived connections that were opened through the address, and how many of them were cut; undefined where there were none. */
  readonly connections?: number | undefined
  readonly connectionsCut?: number | undefined
  readonly holdersMax: number
  /** Who has the address in the end; undefined where nobody or more than one does. */
  readonly failback: string | undefined
  /** From the undo to the end, in ms; undefined where nobody answered again. */
  readonly failbackOutageMs: number | undefined
  readonly restored: boolean
  /** Why it failed or was refused, one line each. */
  readonly reasons: readonly string[]
  readonly findings: readonly Finding[]
  /** What the operator should know although it changes no verdict. */
  readonly notes: readonly string[]
}

/** A drill on a cluster that was split before it fails without being run, and so nobody knows who had the address. */
export function wasRun({ verdict, from }: Pick<Verdict, 'verdict' | 'from'>): boolean {
  return verdict !== 'refused' && from !== undefined
}

export interface OriginVerdict {
  readonly from: string
  readonly probes: number
  readonly failedProbes: number
  /** Over the whole drill; undefined where nobody answered again. */
  readonly outageMs: number | undefined
}
