import { formerMemberProblems } from '../domain/members.ts'
import { assertNothingFailed, preflightFindings } from '../engine/operations/preflight.ts'
import { assertNothingForeign, planFor, tellPlan } from '../engine/operations/prepare-plan.ts'
import type { OnEvent } from '../engine/operations/run.ts'
import type { Ports } from '../ports.ts'
import type { ObservedNode } from '../state/observed.ts'
import type { Plan } from '../state/plan.ts'
import { assertCanFailOver } from './assert-can-fail-over.ts'
import { assertPackagesAtHand } from './package-source.ts'
import type { ConnectOptions } from './connect.ts'
import { judgedByLeftOut } from './left-out.ts'
import { loadCluster } from './load.ts'
import { loadPlaybook } from './playbooks.ts'
import { withServers } from './with-servers.ts'

export interface PlanInput extends ConnectOptions {
  readonly inventoryPath: string
  readonly adopt?: boolean
  readonly reload?: boolean
}

/** Looks at the servers and compares them with the inventory; changes nothing. One ssh command per server. */
export async function plan(
  input: PlanInput,
  ports: Ports,
  onEvent: OnEvent,
  packageRoot: string,
): Promise<{ readonly plan: Plan; readonly observed: readonly ObservedNode[] }> {
  const loaded = await loadCluster(input.inventoryPath, ports)
  const { cluster } = loaded
  assertCanFailOver(cluster)
  assertPackagesAtHand(loaded)
  const playbook = await loadPlaybook('deploy', packageRoot, ports)
  for (const text of loaded.secretWarnings) onEvent({ kind: 'warning', text })
  return withServers(loaded, input, { command: 'plan', ports, onEvent }, async run => {
    const { nodes, observed } = run
    assertNothingFailed(preflightFindings(cluster, nodes, { minded: 'no-locks' }), onEvent)
    const result = planFor(cluster, playbook, observed, { adopt: input.adopt ?? false, reload: input.reload ?? false })
    assertNothingForeign(result)
    const { errors, doubts } = await judgedByLeftOut(loaded, input, run, result.plan)
    const warnings = [...result.plan.warnings, ...formerMemberProblems(cluster, nodes), ...errors.flatMap(error => error.why), ...doubts]
    const made = { ...result.plan, warnings }
    tellPlan(made, onEvent)
    return { plan: made, observed: nodes }
  })
}
