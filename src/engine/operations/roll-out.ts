import type { Cluster } from '../../domain/cluster-types.ts'
import { holderProblems, nodeProblems } from '../../domain/health.ts'
import { serviceTableFor } from '../../domain/service-scripts.ts'
import { applyPlan, finishDeadRuns } from '../apply.ts'
import type { PackageSource } from '../apply/package-source.ts'
import type { EngineEvent } from '../events.ts'
import type { HistoryEntry } from '../history.ts'
import { mayBeDead, withLock } from '../lock.ts'
import type { Playbook } from '../playbook.ts'
import { HactlError } from '../../errors.ts'
import type { Ports } from '../../ports.ts'
import type { ObservedNode, Plan } from '../../state.ts'
import type { Connections } from '../../app/connect.ts'
import { type Gates, gatesFor } from './gates.ts'
import { lockClaim, runIdFor } from '../../app/lock-claim.ts'
import { holdersOf } from './look.ts'

export interface RollOut {
  /** What the servers shall be when it is done: gates and proofs go by it. */
  readonly cluster: Cluster
  readonly plan: Plan
  readonly command: HistoryEntry['command']
  /** Stands in the history beside the command: the inventory, or the entry that was gone back to. */
  readonly source: string
  readonly playbook: Playbook
  /** For servers whose apt reaches no mirror; undefined: apt fetches by itself. */
  readonly packages?: PackageSource | undefined
  readonly connections: Connections
  readonly observed: ReadonlyMap<string, ObservedNode>
  readonly ports: Ports
  readonly onEvent: (event: EngineEvent) => void
  readonly confirm: (plan: Plan) => Promise<boolean>
  /** What takes its time to find out: asked while packages are fetched. Nothing is changed where it throws. */
  readonly lastCheck?: () => Promise<void>
}

export interface RollOutReport {
  readonly plan: Plan
  readonly servers: readonly { readonly name: string; readonly changed: readonly string[]; readonly unchanged: number }[]
  /** Virtual address to the server that holds it. */
  readonly holder: Readonly<Record<string, string>>
}

/** Confirm, lock, apply in safe order, prove. With nothing to do: no lock, no command beyond the look, and still the proof. */
export async function rollOut(work: RollOut): Promise<RollOutReport> {
  const { cluster, plan, connections, observed, ports, onEvent } = work
  const nodes = [...observed.values()]
  const addresses = cluster.instances.flatMap(instance => instance.virtualAddresses.map(vip => vip.address))
  const gates = gatesFor({
    cluster,
    sessions: connections.sessions,
    observed,
    ports,
    onEvent,
    heldBefore: addresses.every(address => holdersOf(nodes, address).length > 0),
    complete: nodes.length === cluster.servers.length,
  })
  if (plan.waves.length === 0) {
    await proveUnchanged(cluster, nodes, gates)
    await tidyUp(work, nodes)
  } else {
    if (!(await work.confirm(plan))) {
      throw new HactlError({
        code: 'E_DECLINED',
        what: 'the run was not confirmed; nothing was changed',
        fix: 'add --yes to apply without a question',
      })
    }
    const runId = runIdFor(ports)
    const claim = lockClaim(work.command, ports, runId)
    await withLock(
      [...connections.sessions.values()],
      claim,
      ports.clock,
      async () => {
        onEvent({ kind: 'lock-taken', id: claim.id, servers: [...connections.sessions.keys()] })
        await gates.lookFirst()
        await applyPlan({
          plan,
          playbook: work.playbook,
          sessions: connections.sessions,
          reconnect: connections.reconnect,
          observed,
          runId,
          history: { owner: claim.owner, command: work.command, source: work.source },
          lockId: claim.id,
          ...(work.packages === undefined ? {} : { packages: work.packages }),
          services: server => serviceTableFor(cluster, server),
          clock: ports.clock,
          onEvent,
          passGate: gates.pass,
          ...(work.lastCheck === undefined ? {} : { lastCheck: work.lastCheck }),
          signal: ports.signal,
        })
      },
      session => connections.sessions.get(session.server) ?? session,
    )
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
  }
}

/** A run that died may have left its lock, or died so late that nothing is missing but its entry in the history. */
async function tidyUp({ command, connections, observed, ports, onEvent }: RollOut, nodes: readonly ObservedNode[]): Promise<void> {
  const left = nodes.filter(node => node.leftRuns.length > 0 || (node.lock !== undefined && mayBeDead(node.lock.ageSeconds)))
  if (left.length === 0) return
  const { sessions } = connections
  const claim = lockClaim(command, ports, runIdFor(ports))
  await withLock(
    [...sessions.values()],
    claim,
    ports.clock,
    () => finishDeadRuns({ sessions, observed, lockId: claim.id, clock: ports.clock, onEvent, servers: left.map(node => node.server) }),
    session => sessions.get(session.server) ?? session,
  )
  onEvent({ kind: 'note', text: `${left.map(node => node.server).join(', ')}: hactl removed what a dead run had left` })
}

/** Nothing to do is not yet "it works": the cluster must be well, after a boot within the time that it may need, and the address must answer. */
async function proveUnchanged(cluster: Cluster, nodes: readonly ObservedNode[], gates: Gates): Promise<void> {
  const servers = nodes.map(node => node.server)
  const problems = [
    ...nodes.flatMap(node => nodeProblems(cluster, node)),
    ...(nodes.length === cluster.servers.length ? holderProblems(cluster, nodes) : []),
  ]
  try {
    for (const gate of problems.length > 0 ? (['services-healthy', 'one-holder'] as const) : []) await gates.pass(gate, servers)
    await gates.pass('vip-answers', servers)
  } catch (error) {
    if (!(error instanceof HactlError) || error.code !== 'E_GATE') throw error
    throw new HactlError({
      code: 'E_UNHEALTHY',
      what: 'there is nothing to change, but the cluster is not healthy',
      why: error.why,
      fix: 'hactl status shows each server; systemctl status haproxy keepalived on the servers named above',
      cause: error,
    })
  }
}
