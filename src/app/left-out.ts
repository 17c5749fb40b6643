/** Servers that --limit leaves out are looked at where a plan concerns them, and for nothing else. */
import { judgeLeftOut, leftOutConcerned } from '../domain/left-out.ts'
import { observeNode } from '../engine/observe.ts'
import { type Looked, probeRequestFor } from '../engine/operations/look.ts'
import { throwAll } from '../errors.ts'
import type { Plan } from '../state/plan.ts'
import { type ConnectOptions, type Reachable, withReachable } from './connect.ts'

/** Whether the plan would leave servers behind that the run leaves out: why not, and which servers could not be asked. */
export async function judgedByLeftOut(
  loaded: Reachable,
  options: ConnectOptions,
  { cluster, observed, ports }: Looked,
  plan: Plan,
): Promise<ReturnType<typeof judgeLeftOut>> {
  const leftOut = leftOutConcerned(cluster, plan, observed)
  if (leftOut.length === 0) return { errors: [], doubts: [] }
  return withReachable(
    loaded,
    { ...options, limit: leftOut },
    ports,
    session => observeNode(session, probeRequestFor(cluster), ports.signal),
    async (_, seen) => judgeLeftOut(plan, observed, leftOut, seen),
  )
}

/** Throws E_UNKNOWN_TO_PEERS (5) where servers that the run leaves out would be left behind. Warns of those that could not be asked. */
export async function assertNobodyLeftBehind(loaded: Reachable, options: ConnectOptions, run: Looked, plan: Plan): Promise<void> {
  const { errors, doubts } = await judgedByLeftOut(loaded, options, run, plan)
  throwAll(errors)
  for (const text of doubts) run.onEvent({ kind: 'warning', text })
}
