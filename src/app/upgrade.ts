import { assertConfirmed } from '../engine/operations/confirm.ts'
import type { MovedAddress } from '../engine/operations/move.ts'
import { askApt, clearingDownloads } from '../engine/operations/outlook.ts'
import { preflightErrors } from '../engine/operations/preflight.ts'
import { tellPlan } from '../engine/operations/prepare-plan.ts'
import { changesOf, holderOfEach, type RollOutReport } from '../engine/operations/roll-out.ts'
import { type OnEvent, underLock } from '../engine/operations/run.ts'
import { runTurns, type Turns } from '../engine/operations/turn.ts'
import { assertDeployed, assertFitForTurns, planUpgrade } from '../engine/operations/upgrade-plan.ts'
import { throwAll } from '../errors.ts'
import type { Ports } from '../ports.ts'
import type { ObservedNode } from '../state/observed.ts'
import type { Plan } from '../state/plan.ts'
import { assertCanFailOver } from './assert-can-fail-over.ts'
import type { ConnectOptions } from './connect.ts'
import { loadCluster } from './load.ts'
import { packageSourceOf } from './package-source.ts'
import { loadPlaybook } from './playbooks.ts'
import { withServers } from './with-servers.ts'

export interface UpgradeInput extends ConnectOptions {
  readonly inventoryPath: string
  /** How long to wait for open connections on each server, and whether to go on where the time is over. */
  readonly wait: Turns['wait']
  readonly confirm: (plan: Plan) => Promise<boolean>
}

export interface UpgradeReport extends RollOutReport {
  /** What moved while holders were drained and undrained, in order. */
  readonly moves: readonly (MovedAddress & { readonly server: string })[]
  readonly durationMs: number
}

/**
 * Installs newer haproxy and keepalived packages on one server at a time, backups first. A holder is drained first. What apt would do is
 * asked, shown and confirmed before. The packages are downloaded and tried on every server before any is changed. With nothing to upgrade,
 * nothing is changed but the package lists. Throws E_UNHEALTHY, E_PACKAGE_UNAVAILABLE, E_CONFIG_REFUSED (5, nothing was changed), E_GATE,
 * E_COMMAND_FAILED (6: later servers keep what they had), E_FAILOVER_NONE (7), E_STILL_OPEN (9: nothing was cut) and what connecting, locking and reading throw.
 */
export async function upgrade(input: UpgradeInput, ports: Ports, onEvent: OnEvent, packageRoot: string): Promise<UpgradeReport> {
  const startedMs = ports.clock.monotonic()
  const loaded = await loadCluster(input.inventoryPath, ports)
  const { cluster, source } = loaded
  assertCanFailOver(cluster)
  const packages = await packageSourceOf(loaded, ports, onEvent)
  const playbook = await loadPlaybook('deploy', packageRoot, ports)
  return withServers(loaded, input, { command: 'upgrade', ports, onEvent }, async run => {
    throwAll(preflightErrors(cluster, run.nodes, { minded: 'locks' }))
    assertDeployed(run.nodes)
    return clearingDownloads(run, async onInstall => {
      const outlooks = await askApt(run, input.forks, packages)
      const planned = planUpgrade(cluster, playbook, run.observed, outlooks)
      const { plan } = planned
      tellPlan(plan, onEvent)
      const report = (last: readonly ObservedNode[], moves: UpgradeReport['moves']): UpgradeReport => {
        const durationMs = ports.clock.monotonic() - startedMs
        return { plan, servers: changesOf(plan), holder: holderOfEach(cluster, last), moves, durationMs }
      }
      if (plan.waves.length === 0) {
        for (const text of plan.warnings) onEvent({ kind: 'note', text })
        return report(run.nodes, [])
      }
      assertFitForTurns(cluster, planned, run.nodes, outlooks)
      assertConfirmed(await input.confirm(plan), 'upgrade')
      return underLock(run, async locked => {
        const { moves, nodes } = await runTurns(locked, { ...planned, outlooks, packages, onInstall, source, wait: input.wait })
        return report(nodes, moves)
      })
    })
  })
}
