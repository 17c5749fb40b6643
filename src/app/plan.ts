import type { EngineEvent } from '../engine/events.ts'
import type { Ports } from '../ports.ts'
import type { ObservedNode, Plan } from '../state.ts'
import { assertCanFailOver } from './assert-can-fail-over.ts'
import { assertPackagesAtHand } from './package-source.ts'
import type { ConnectOptions } from './connect.ts'
import { loadCluster } from './load.ts'
import { formerMemberProblems, strangers } from './members.ts'
import { loadPlaybook } from './playbooks.ts'
import { assertNothingFailed, preflightFindings } from '../engine/operations/preflight.ts'
import { assertNothingForeign, planFor } from './prepare-plan.ts'
import { withServers } from './with-servers.ts'

export interface PlanInput extends ConnectOptions {
  readonly inventoryPath: string
  readonly adopt?: boolean
  readonly reload?: boolean
}

/** Connects, looks, compares; changes nothing. One ssh command per server. */
export async function plan(
  input: PlanInput,
  ports: Ports,
  onEvent: (event: EngineEvent) => void,
  packageRoot: string,
): Promise<{ readonly plan: Plan; readonly observed: readonly ObservedNode[] }> {
  const loaded = await loadCluster(input.inventoryPath, ports)
  assertCanFailOver(loaded.cluster)
  assertPackagesAtHand(loaded)
  const playbook = await loadPlaybook('deploy', packageRoot, ports)
  for (const text of loaded.secretWarnings) onEvent({ kind: 'warning', text })
  return withServers(loaded, input, { command: 'plan', ports, onEvent }, async ({ observed, nodes }) => {
    assertNothingFailed(preflightFindings(loaded.cluster, nodes, { minded: 'no-locks' }), onEvent)
    const result = planFor(loaded, playbook, observed, { adopt: input.adopt ?? false, reload: input.reload ?? false })
    assertNothingForeign(result)
    const { errors, doubts } = await strangers(loaded, input, observed, result.plan, ports)
    const warnings = [
      ...result.plan.warnings,
      ...formerMemberProblems(loaded.cluster, nodes),
      ...errors.flatMap(error => error.why),
      ...doubts,
    ]
    const made = { ...result.plan, warnings }
    tellPlan(made, onEvent)
    return { plan: made, observed: nodes }
  })
}

export function tellPlan(plan: Plan, onEvent: (event: EngineEvent) => void): void {
  onEvent({
    kind: 'plan-ready',
    servers: plan.servers.map(server => ({ server: server.server, changes: server.actions.length, unchanged: server.unchanged.length })),
    outageMs: plan.outageMs,
  })
}
