/** An inventory of one instance and the model servers that it names. */
import { type LoadedCluster, loadCluster } from '../../src/app/load.ts'
import { loadPlaybook } from '../../src/app/playbooks.ts'
import { planFor } from '../../src/engine/operations/prepare-plan.ts'
import type { PlanResult } from '../../src/engine/plan.ts'
import type { Playbook } from '../../src/engine/playbook.ts'
import { INVENTORY_PATH, memoryPorts, PACKAGE_ROOT } from './memory-ports.ts'
import { type ModelServer, observeModel } from './model-server.ts'

/** What differs from one inventory to the next. All other keys are of the instance. */
export interface Wish {
  readonly profile?: 'classic' | 'fast'
  readonly servers?: readonly string[]
  readonly open_connections?: 'keep' | 'reset'
  readonly stop_timeout?: number
  readonly [key: string]: unknown
}

export const NAMES = ['srv-1', 'srv-2', 'srv-3']
const HAPROXY_CFG = '# one\n'
const BODY = 'frontend web\n    bind :80\n    default_backend app\nbackend app\n    server app-1 192.0.2.111:80\n'

/** The cluster that an inventory with this wish describes; `haproxy` is at the head of its haproxy.cfg. */
export async function clusterFor(wish: Wish, haproxy = HAPROXY_CFG): Promise<LoadedCluster> {
  const { profile = 'fast', servers = NAMES, open_connections, stop_timeout, ...instance } = wish
  const inventory = {
    profile,
    ...(open_connections === undefined ? {} : { open_connections }),
    ...(stop_timeout === undefined ? {} : { stop_timeout }),
    servers: servers.map(name => ({ name, host: `192.0.2.1${name.slice(-1)}` })),
    vrrp_instances: [{ name: 'VRRP1', virtual_router_id: 66, virtual_ipaddress: ['192.0.2.200/24'], ...instance }],
    haproxy: { config: 'haproxy.cfg' },
  }
  // JSON is YAML.
  const files = new Map([
    ['inventory.yml', JSON.stringify(inventory)],
    ['haproxy.cfg', `${haproxy}${BODY}`],
  ])
  return loadCluster(INVENTORY_PATH, memoryPorts(files))
}

export function deployPlaybook(): Promise<Playbook> {
  return loadPlaybook('deploy', PACKAGE_ROOT, memoryPorts(new Map()))
}

/** What there is to do on these servers; `holder` carries the virtual addresses now. */
export function planModel(
  loaded: LoadedCluster,
  playbook: Playbook,
  servers: readonly ModelServer[],
  options: { readonly holder?: string | undefined; readonly adopt?: boolean; readonly reload?: boolean } = {},
): PlanResult {
  const addresses = loaded.cluster.instances.flatMap(instance => instance.virtualAddresses.map(vip => vip.address))
  const observed = new Map(servers.map(server => [server.name, observeModel(server, server.name === options.holder ? addresses : [])]))
  return planFor(loaded.cluster, playbook, observed, { adopt: options.adopt ?? false, reload: options.reload ?? false })
}
