import type { EngineEvent } from '../engine/events.ts'
import { throwAll } from '../errors.ts'
import type { Ports } from '../ports.ts'
import type { Plan } from '../state.ts'
import { assertCanFailOver } from './assert-can-fail-over.ts'
import type { ConnectOptions } from './connect.ts'
import { loadCluster } from './load.ts'
import { assertForgettable, assertNoStrangers, formerMemberErrors } from './members.ts'
import { packageSourceOf } from './package-source.ts'
import { tellPlan } from './plan.ts'
import { loadPlaybook } from './playbooks.ts'
import { assertNothingForeign, planFor } from './prepare-plan.ts'
import { assertNothingFailed, DEPLOY_WIRE, errorsOf, needsWire, preflightFindings, wirePreflight } from '../engine/operations/preflight.ts'
import { type RollOutReport, rollOut } from '../engine/operations/roll-out.ts'
import { withServers } from './with-servers.ts'

export interface DeployInput extends ConnectOptions {
  readonly inventoryPath: string
  readonly adopt: boolean
  readonly reload: boolean
  /** Names of former members that are gone for good, and will not speak again. */
  readonly forget: readonly string[]
  readonly confirm: (plan: Plan) => Promise<boolean>
}

export interface DeployReport extends RollOutReport {
  readonly durationMs: number
}

/** Plan, confirm, lock, apply in safe order, prove. */
export async function deploy(
  input: DeployInput,
  ports: Ports,
  onEvent: (event: EngineEvent) => void,
  packageRoot: string,
): Promise<DeployReport> {
  const startedMs = ports.clock.monotonic()
  const loaded = await loadCluster(input.inventoryPath, ports)
  const { cluster } = loaded
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
    // Whoever has to mend something wants to know of all of it; where nothing is wrong, packages are fetched meanwhile.
    const isFit = errorsOf(findings).length === 0
    assertNothingFailed(isFit || !needsWire(nodes) ? findings : await tryWire(), onEvent)
    const result = planFor(loaded, playbook, observed, { adopt: input.adopt, reload: input.reload })
    assertNothingForeign(result)
    await assertNoStrangers(loaded, input, observed, result.plan, ports, onEvent)
    tellPlan(result.plan, onEvent)
    const report = await rollOut(run, {
      plan: result.plan,
      command: 'deploy',
      source: loaded.source,
      packages,
      playbook,
      confirm: input.confirm,
      lastCheck: needsWire(nodes) ? async () => assertNothingFailed(await tryWire(), () => {}) : undefined,
    })
    return { ...report, durationMs: ports.clock.monotonic() - startedMs }
  })
}
