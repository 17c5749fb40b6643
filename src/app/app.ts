/** hactl's table of contents: one function per command. Each file is loaded when its command is called. */
import type { EngineEvent } from '../engine/events.ts'
import type { Ports } from '../ports.ts'
import type { CheckInput, CheckReport } from './check.ts'
import type { CheckServersInput } from './check-servers.ts'
import type { DeployInput, DeployReport } from './deploy.ts'
import type { HistoryReport } from './history.ts'
import type { ImportInput } from './import.ts'
import type { ImportReport } from './imported-inventory.ts'
import type { DrainInput } from './drain.ts'
import type { MoveReport } from '../engine/operations/lower.ts'
import type { MoveInput } from './one-server.ts'
import type { PlanInput } from './plan.ts'
import type { RemoveInput, RemoveReport } from './remove.ts'
import type { RollbackInput, RollbackReport } from './rollback.ts'
import type { StatusReport } from './status.ts'
import type { UnlockInput, UnlockReport } from './unlock.ts'
import type { UpgradeInput, UpgradeReport } from './upgrade.ts'
import type { VerifyReport } from './failover-report.ts'
import type { VerifyInput } from './verify-failover.ts'

type OnEvent = (event: EngineEvent) => void

/** `packageRoot`: the folder of hactl's own package.json and playbooks/. */
export function createApp(packageRoot: string) {
  return {
    check: async (input: CheckInput, ports: Ports): Promise<CheckReport> => (await import('./check.ts')).check(input, ports),
    checkConf: async (path: string, ports: Ports) => (await import('./check.ts')).checkConf(path, ports),
    checkServers: async (input: CheckServersInput, ports: Ports, onEvent: OnEvent) =>
      (await import('./check-servers.ts')).checkServers(input, ports, onEvent),
    plan: async (input: PlanInput, ports: Ports, onEvent: OnEvent) => (await import('./plan.ts')).plan(input, ports, onEvent, packageRoot),
    deploy: async (input: DeployInput, ports: Ports, onEvent: OnEvent): Promise<DeployReport> =>
      (await import('./deploy.ts')).deploy(input, ports, onEvent, packageRoot),
    status: async (input: PlanInput, ports: Ports): Promise<StatusReport> =>
      (await import('./status.ts')).status(input, ports, packageRoot),
    verifyFailover: async (input: VerifyInput, ports: Ports, onEvent: OnEvent): Promise<VerifyReport> =>
      (await import('./verify-failover.ts')).verifyFailover(input, ports, onEvent, packageRoot),
    history: async (input: PlanInput, ports: Ports): Promise<HistoryReport> => (await import('./history.ts')).history(input, ports),
    rollback: async (input: RollbackInput, ports: Ports, onEvent: OnEvent): Promise<RollbackReport> =>
      (await import('./rollback.ts')).rollback(input, ports, onEvent, packageRoot),
    upgrade: async (input: UpgradeInput, ports: Ports, onEvent: OnEvent): Promise<UpgradeReport> =>
      (await import('./upgrade.ts')).upgrade(input, ports, onEvent, packageRoot),
    remove: async (input: RemoveInput, ports: Ports, onEvent: OnEvent): Promise<RemoveReport> =>
      (await import('./remove.ts')).remove(input, ports, onEvent),
    drain: async (input: DrainInput, ports: Ports, onEvent: OnEvent): Promise<MoveReport> =>
      (await import('./drain.ts')).drain(input, ports, onEvent),
    undrain: async (input: MoveInput, ports: Ports, onEvent: OnEvent): Promise<MoveReport> =>
      (await import('./undrain.ts')).undrain(input, ports, onEvent),
    importServers: async (input: ImportInput, ports: Ports, onEvent: OnEvent): Promise<ImportReport> =>
      (await import('./import.ts')).importServers(input, ports, onEvent),
    unlock: async (input: UnlockInput, ports: Ports): Promise<UnlockReport> => (await import('./unlock.ts')).unlock(input, ports),
  }
}
