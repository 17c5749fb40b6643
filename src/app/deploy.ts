import { nodeProblems, holderProblems } from '../domain/health.ts'
import { serviceScriptsFor } from '../domain/service-scripts.ts'
import { applyPlan } from '../engine/apply.ts'
import type { EngineEvent } from '../engine/events.ts'
import { withLock } from '../engine/lock.ts'
import { HactlError } from '../errors.ts'
import type { Ports } from '../ports.ts'
import type { ObservedNode, Plan } from '../state.ts'
import { assertCanFailOver } from './assert-can-fail-over.ts'
import { type ConnectOptions, type Connections, assertAllIn, targetsOf, withConnections } from './connect.ts'
import { type Gates, gatesFor } from './gates.ts'
import { type LoadedCluster, loadCluster } from './load.ts'
import { lockClaim, runIdFor } from './lock-claim.ts'
import { holdersOf, observeAndTell } from './observe-cluster.ts'
import { tellPlan } from './plan.ts'
import { loadPlaybook } from './playbooks.ts'
import { assertFit, preflightErrors } from './preflight.ts'
import { assertNothingForeign, planFor } from './prepare-plan.ts'

export interface DeployInput extends ConnectOptions {
  readonly inventoryPath: string
  readonly adopt: boolean
  readonly reload: boolean
  readonly confirm: (plan: Plan) => Promise<boolean>
}

export interface DeployReport {
  readonly plan: Plan
  readonly servers: readonly { readonly name: string; readonly changed: readonly string[]; readonly unchanged: number }[]
  /** Virtual address to the server that holds it. */
  readonly holder: Readonly<Record<string, string>>
  readonly durationMs: number
}

/** Plan, confirm, lock, apply in safe order, prove. With nothing to do: no lock, no command beyond the look, and still the proof. */
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
  const playbook = await loadPlaybook('deploy', packageRoot, ports)
  const targets = await targetsOf(loaded, input, ports)
  return withConnections(
    targets,
    input.forks,
    ports,
    session => observeAndTell(session, cluster, ports.clock, onEvent, ports.signal),
    async (connections, observed) => {
      assertAllIn(connections.failures)
      const nodes = [...observed.values()]
      assertFit(preflightErrors(cluster, nodes, { minded: 'locks' }))
      const result = planFor(loaded, playbook, observed, { adopt: input.adopt, reload: input.reload })
      assertNothingForeign(result)
      const { plan } = result
      tellPlan(plan, onEvent)
      const addresses = cluster.instances.flatMap(instance => instance.virtualAddresses.map(vip => vip.address))
      const gates = gatesFor(cluster, connections.sessions, observed, ports, onEvent, {
        heldBefore: addresses.every(address => holdersOf(nodes, address).length > 0),
        complete: nodes.length === cluster.servers.length,
      })
      if (plan.waves.length === 0) await proveUnchanged(loaded, nodes, gates)
      else {
        if (!(await input.confirm(plan))) {
          throw new HactlError({ code: 'E_DECLINED', what: 'not confirmed; nothing was changed', fix: '--yes applies without asking' })
        }
        const runId = runIdFor(ports)
        const claim = lockClaim('deploy', ports, runId)
        await withLock([...connections.sessions.values()], claim, ports.clock, async () => {
          onEvent({ kind: 'lock-taken', id: claim.id, servers: [...connections.sessions.keys()] })
          await applyPlan(applyInput(loaded, plan, playbook, connections, observed, runId, claim.id, gates, ports, onEvent))
        })
      }
      for (const text of gates.notes()) onEvent({ kind: 'note', text })
      return {
        plan,
        servers: plan.servers.map(server => ({
          name: server.server,
          changed: server.actions.map(action => action.id),
          unchanged: server.unchanged.length,
        })),
        holder: Object.fromEntries(addresses.map(address => [address, holdersOf(gates.seen().values(), address)[0] ?? ''])),
        durationMs: ports.clock.monotonic() - startedMs,
      }
    },
  )
}

function applyInput(
  loaded: LoadedCluster,
  plan: Plan,
  playbook: Parameters<typeof applyPlan>[0]['playbook'],
  connections: Connections,
  observed: ReadonlyMap<string, ObservedNode>,
  runId: string,
  lockId: string,
  gates: Gates,
  ports: Ports,
  onEvent: (event: EngineEvent) => void,
): Parameters<typeof applyPlan>[0] {
  return {
    plan,
    playbook,
    sessions: connections.sessions,
    reconnect: connections.reconnect,
    observed,
    runId,
    history: { owner: lockClaim('deploy', ports, runId).owner, command: 'deploy', source: loaded.source },
    lockId,
    services: server => serviceScriptsFor(loaded.cluster, server),
    clock: ports.clock,
    onEvent,
    passGate: gates.pass,
    signal: ports.signal,
  }
}

/** Nothing to do is not yet "it works": what was just seen must hold, and the address must answer. */
async function proveUnchanged(loaded: LoadedCluster, nodes: readonly ObservedNode[], gates: Gates): Promise<void> {
  const { cluster } = loaded
  const complete = nodes.length === cluster.servers.length
  const problems = [
    ...nodes.flatMap(node => nodeProblems(cluster, node).map(problem => `${node.server}: ${problem}`)),
    ...(complete ? holderProblems(cluster, nodes) : []),
  ]
  if (problems.length > 0) {
    throw new HactlError({
      code: 'E_UNHEALTHY',
      what: 'there is nothing to deploy, but the cluster is not well',
      why: problems,
      fix: 'hactl status shows each server; systemctl status haproxy keepalived on the servers named above',
    })
  }
  await gates.pass(
    'vip-answers',
    nodes.map(node => node.server),
  )
}
