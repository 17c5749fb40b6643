import { readAll } from '../engine/fan-out.ts'
import { listHistory } from '../engine/history.ts'
import { chooseEntry, mergeEntries } from '../engine/history-entries.ts'
import { preflightErrors } from '../engine/operations/preflight.ts'
import { assertNothingForeign, planTowards, tellPlan } from '../engine/operations/prepare-plan.ts'
import { type RollOut, type RollOutReport, rollOut } from '../engine/operations/roll-out.ts'
import type { OnEvent } from '../engine/operations/run.ts'
import { assertNobodyStaysBehind, clusterOfThen, readSnapshots, withCertificatesNamed } from '../engine/operations/way-back.ts'
import { throwAll } from '../errors.ts'
import type { Ports } from '../ports.ts'
import type { Plan } from '../state/plan.ts'
import type { ConnectOptions } from './connect.ts'
import { assertNobodyLeftBehind } from './left-out.ts'
import { loadCluster } from './load.ts'
import { loadPlaybook } from './playbooks.ts'
import { withServers } from './with-servers.ts'

export interface RollbackInput extends ConnectOptions {
  readonly inventoryPath: string
  /** Or its beginning; undefined: the entry before the newest. */
  readonly id: string | undefined
  /** How long to wait where going back ends open connections, and whether to go on where the time is over. */
  readonly wait: RollOut['wait']
  readonly confirm: (plan: Plan) => Promise<boolean>
}

export interface RollbackReport extends RollOutReport {
  readonly id: string
  readonly durationMs: number
}

/**
 * Makes every server what it was after an earlier change, through the same safe roll-out as a deploy. Gates and proof go by the
 * keepalived.conf of then: an address that was added since is not waited for. Throws E_NO_HISTORY (5) where there is nothing to go back to.
 */
export async function rollback(input: RollbackInput, ports: Ports, onEvent: OnEvent, packageRoot: string): Promise<RollbackReport> {
  const startedMs = ports.clock.monotonic()
  const loaded = await loadCluster(input.inventoryPath, ports)
  const playbook = await loadPlaybook('deploy', packageRoot, ports)
  return withServers(loaded, input, { command: 'rollback', ports, onEvent }, async run => {
    const entries = await readAll(run.links, input.forks, session => listHistory(session, ports.signal))
    throwAll(preflightErrors(run.cluster, run.nodes, { minded: 'locks' }))
    const id = chooseEntry(mergeEntries(entries), input.id)
    const snapshots = await readSnapshots(run, input.forks, id)
    const { cluster, desired } = clusterOfThen(run, snapshots)
    const result = planTowards(cluster, desired, playbook, run.observed, { adopt: false, reload: false })
    assertNothingForeign(result)
    assertNobodyStaysBehind(cluster, run.nodes, result.plan)
    await assertNobodyLeftBehind(loaded, input, run, result.plan)
    tellPlan(result.plan, onEvent)
    const { confirm, wait } = input
    const what = { plan: result.plan, command: 'rollback', source: `back to ${id}`, playbook, wait, confirm } as const
    const report = await rollOut({ ...run, cluster }, what).catch((error: unknown) => {
      throw withCertificatesNamed(run, snapshots, error)
    })
    return { ...report, id, durationMs: ports.clock.monotonic() - startedMs }
  })
}
