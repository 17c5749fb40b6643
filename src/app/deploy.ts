import { assertForgettable, formerMemberErrors } from '../domain/members.ts'
import { assertNothingFailed, DEPLOY_WIRE, errorsOf, needsWire, preflightFindings, wirePreflight } from '../engine/operations/preflight.ts'
import { assertNothingForeign, planFor, tellPlan } from '../engine/operations/prepare-plan.ts'
import { type RollOut, type RollOutReport, rollOut } from '../engine/operations/roll-out.ts'
import type { OnEvent } from '../engine/operations/run.ts'
import { throwAll } from '../errors.ts'
import type { Ports } from '../ports.ts'
import type { Plan } from '../state/plan.ts'
import { assertCanFailOver } from './assert-can-fail-over.ts'
import type { ConnectOptions } from './connect.ts'
import { assertNobodyLeftBehind } from './left-out.ts'
import { loadCluster } from './load.ts'
import { packageSourceOf } from './package-source.ts'
import { loadPlaybook } from './playbooks.ts'
import { withServers } from './with-servers.ts'

export interface DeployInput extends ConnectOptions {
  readonly inventoryPath: string
  readonly adopt: boolean
  readonly reload: boolean
  /** Names of former members that are gone for good, and will not speak again. */
  readonly forget: readonly string[]
  /** How long to wait where a change ends open connections, and whether to go on where the time is over. */
  readonly wait: RollOut['wait']
  readonly confirm: (plan: Plan) => Promise<boolean>
}

export interface DeployReport extends RollOutReport {
  readonly durationMs: number
}

/** Makes the servers what the inventory says: plans, asks, takes the lock, applies in safe order, proves. */
export async function deploy(input: DeployInput, ports: Ports, onEvent: OnEvent, packageRoot: string): Promise<DeployReport> {
  const startedMs = ports.clock.monotonic()
  const loaded = await loadCluster(input.inventoryPath, ports)
  const { cluster, source } = loaded
  assertCanFailOver(cluster)
  assertForgettable(cluster, input.forget)
  const packages = await packageSourceOf(loaded, ports, onEvent)
  const playbook = await loadPlaybook('deploy', packageRoot, ports)
  for (const text of loaded.secretWarnings) onEvent({ kind: 'warning', text })
  return withServers(loaded, input, { command: 'deploy', ports, onEvent }, async run => {
    const { nodes, observed } = run
    throwAll(formerMemberErrors(cluster, nodes, input.forget))
    const findings = preflightFindings(cluster, nodes, { minded: 'locks' })
    const tryWire = () => wirePreflight(run, DEPLOY_WIRE, findings)
    // An operator who has to fix something wants to see all of it. Where nothing is wrong, packages are fetched meanwhile.
    const isFit = errorsOf(findings).length === 0
    assertNothingFailed(isFit || !needsWire(nodes) ? findings : await tryWire(), onEvent)
    const result = planFor(cluster, playbook, observed, { adopt: input.adopt, reload: input.reload })
    assertNothingForeign(result)
    await assertNobodyLeftBehind(loaded, input, run, result.plan)
    tellPlan(result.plan, onEvent)
    const lastCheck = needsWire(nodes) ? async () => assertNothingFailed(await tryWire(), onEvent, findings) : undefined
    const { confirm, wait } = input
    const report = await rollOut(run, { plan: result.plan, command: 'deploy', source, playbook, packages, wait, confirm, lastCheck })
    return { ...report, durationMs: ports.clock.monotonic() - startedMs }
  })
}
