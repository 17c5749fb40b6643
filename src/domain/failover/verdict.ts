/** What a drill is judged by, and the verdict on it. */
import type { ErrorCode } from '../../errors.ts'
import type { DrillExpectation, DrillState, Sample } from '../../state/drill.ts'

export interface DrillCase {
  readonly drill: string
  readonly vip: string
  /** Who held the address before. */
  readonly from: string
  /** Who should take over, by keepalived's own priorities; undefined where that cannot be predicted. */
  readonly predicted: string | undefined
  /** True: nothing can prevent the predicted server from having the address, so that a drill in which it never had it has failed. */
  readonly isTakerCertain?: boolean
  readonly expect: DrillExpectation
  /** The longest interruption that passes, in ms; undefined: any. */
  readonly maxOutageMs: number | undefined
  /** True: the address returns by itself. False (nopreempt): it stays on the server that took it over. */
  readonly goesHome: boolean
  readonly servers: readonly string[]
  /** True: each holder is disturbed in turn, until one server is left. */
  readonly onEach?: boolean
  /** True: the server boots, and afterwards its packet filter has the rules that are loaded at boot. */
  readonly boots?: boolean
  /** True: no open connection may be cut. False: nothing is promised, and what is cut is only told. undefined: it is not known. */
  readonly keepsConnections?: boolean
  /** Why no bound can be predicted, in check's words. */
  readonly foretold?: string | undefined
}

export interface DrillRecord {
  readonly samples: readonly Sample[]
  readonly before: readonly DrillState[]
  /** Servers that could not be asked afterwards are missing. */
  readonly after: readonly DrillState[]
  /** The second, real faults that ended the drill early, one line each. */
  readonly stopped?: readonly string[] | undefined
  /** Why nobody took over, by what runs. Without it, DrillCase.foretold is used. */
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
  /** Who took over; undefined: nobody. */
  readonly to: string | undefined
  /** The outage between the disturbance and its undo, in ms; undefined where nobody took over or the address did not answer again. */
  readonly outageMs: number | undefined
  /** Over the whole drill, from all places. */
  readonly failedProbes: number
  readonly probes: number
  /** The same for each place that probes came from. */
  readonly origins?: readonly OriginVerdict[]
  /** Long-lived connections that were opened through the address, and how many of them were cut; undefined where there were none. */
  readonly connections?: number | undefined
  readonly connectionsCut?: number | undefined
  /** How many of these were cut by RST, by FIN and by silence; undefined where none was cut. */
  readonly connectionsCutBy?: Readonly<Record<string, number>> | undefined
  /** Whether the cluster promises to keep them in this drill. */
  readonly connectionsPromised?: boolean | undefined
  readonly holdersMax: number
  /** Who has the address in the end; undefined where nobody or more than one does. */
  readonly failback: string | undefined
  /** The outage from the undo to the end, in ms; undefined where the address did not answer again. */
  readonly failbackOutageMs: number | undefined
  readonly restored: boolean
  /** Why it failed or was refused, one line each. */
  readonly reasons: readonly string[]
  readonly findings: readonly Finding[]
  /** What the operator should know although it changes no verdict. */
  readonly notes: readonly string[]
}

/** Whether the drill was run. On a cluster that was split before it, it fails without being run, and `from` is not known. */
export function wasRun({ verdict, from }: Pick<Verdict, 'verdict' | 'from'>): boolean {
  return verdict !== 'refused' && from !== undefined
}

export interface OriginVerdict {
  readonly from: string
  readonly probes: number
  readonly failedProbes: number
  /** The outage over the whole drill, in ms; undefined where the address did not answer again. */
  readonly outageMs: number | undefined
}
