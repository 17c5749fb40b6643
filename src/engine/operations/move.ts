/** Moves addresses from server to server on purpose, and measures what users notice. */
import { addressesOn, drainLimitMs } from '../../domain/drain.ts'
import { answersSteadily, baselineProblems, heldSteadilyFrom } from '../../domain/failover/settled.ts'
import { predictTaker } from '../../domain/failover/drill.ts'
import { endOf, holdersAt, outageOf, probesOf } from '../../domain/failover/timeline.ts'
import { keepAnsweringScript } from '../../domain/hand-over.ts'
import { cuttingHandings, type Handing, staysOpen, unprovenHandings } from '../../domain/open-connections/handing.ts'
import { trackerProblems } from '../../domain/health.ts'
import type { ProbeTarget } from '../../ports.ts'
import { PROVEN_LIMIT_MS } from '../limits.ts'
import { type MeasuredAddress, type MoveOutcome, type MoveRun, runMove, type SamplesOf } from '../move.ts'
import { observeNode } from '../observe.ts'
import { probeFromServer } from '../probe-from-server.ts'
import { runProber } from '../prober.ts'
import { runServerProber } from '../server-prober.ts'
import { probeTargetsFor } from './gates.ts'
import { probeRequestFor } from './look.ts'
import { lookAt } from './at-rest.ts'
import { connectionsOn } from './open-connections.ts'
import { nodeOf, type Scene } from './scene.ts'

const VERIFY_LIMIT_MS = 5000
const VERIFY_EVERY_MS = 200
const KEEP_ANSWERING_DEADLINE_MS = 15_000
const PROVEN_EVERY_MS = 500

/** What is about to move, for the confirmation. */
export interface MoveAnnouncement {
  readonly command: 'drain' | 'undrain'
  readonly server: string
  readonly vips: readonly {
    readonly address: string
    readonly holder: string | undefined
    /** Open right now through this address; undefined where they could not be counted. */
    readonly connections: number | undefined
    /** Whether they stay open when it moves. */
    readonly isKept: boolean
  }[]
  /** What was overruled by --force, and what it costs. */
  readonly warnings: readonly string[]
}

export interface MovedAddress {
  readonly address: string
  readonly from: string | undefined
  /** undefined: no other server took it. */
  readonly to: string | undefined
  /** In ms; undefined where it did not answer again. */
  readonly outageMs: number | undefined
  readonly failedProbes: number
  readonly probes: number
  /** What the failed probes met, each once: a connection that is open in the moment of a move is cut. */
  readonly errors: readonly string[]
}

/** What differs between a drain and its end; the rest of a move is the same. */
export type Task = Pick<MoveRun, 'command' | 'addresses' | 'title' | 'change' | 'takeBack'> & {
  /** The addresses need not be healthy before. One that did not answer before need not answer afterwards. */
  readonly isForced: boolean
  readonly isRight: (holder: string) => boolean
}

/** Throws what runMove throws. */
export async function move(scene: Scene, task: Task): Promise<MoveOutcome> {
  const { cluster, links, node, nodes, ports, onEvent } = scene
  const { isForced, isRight, ...rest } = task
  const servers = links.servers
  const vips = task.addresses.map(({ vip }) => vip)
  const holderOf = (vip: string) => nodes.find(own => addressesOn(cluster, own).includes(vip))?.server ?? ''
  const answered = new Set<string>()
  const baseline = (samplesOf: SamplesOf, nowMs: number): readonly string[] =>
    vips.flatMap(vip => {
      const samples = samplesOf(vip)
      if (answersSteadily(samples, { fromMs: -Infinity, toMs: nowMs })) answered.add(vip)
      const problems = baselineProblems({ vip, from: holderOf(vip), servers }, samples, nowMs)
      return isForced && probesOf(samples).length > 0 ? [] : problems
    })
  const missing = (samplesOf: SamplesOf, nowMs: number): readonly string[] =>
    vips.flatMap(vip => {
      const samples = samplesOf(vip)
      const fromMs = heldSteadilyFrom({ vip, servers }, samples, nowMs, isRight)
      if (fromMs === undefined) {
        const { holders } = holdersAt(samples, vip, servers, nowMs)
        return [`${vip} is on ${holders.join(' and ') || 'no server'}`]
      }
      return answered.has(vip) && !answersSteadily(samples, { fromMs, toMs: nowMs }) ? [`${vip} does not answer every probe`] : []
    })
  const handings = handingsOf(scene, vips, isRight)
  const now = { ...scene, nodes: await tellCuts(scene, handings) }
  return runMove({
    ...rest,
    server: node.server,
    prepare: () => keepAnswering(now, vips, handings),
    limitMs: drainLimitMs(cluster, links.patience),
    baselineProblems: baseline,
    moveProblems: missing,
    verify: () => priorityProblems(scene),
    links,
    clock: ports.clock,
    signal: ports.signal,
    onEvent,
  })
}

/** Who gives the addresses to whom: the likeliest of the servers that may take one, or each of them where none is. */
function handingsOf({ cluster, nodes }: Scene, vips: readonly string[], isRight: Task['isRight']): readonly Handing[] {
  return cluster.instances.flatMap(({ name, virtualAddresses }) => {
    const moving = virtualAddresses.map(({ address }) => address).filter(address => vips.includes(address))
    const from = nodes.find(node => addressesOn(cluster, node).some(address => moving.includes(address)))?.server
    if (from === undefined) return []
    const takers = nodes.map(({ server }) => server).filter(server => server !== from && isRight(server))
    const likeliest = predictTaker(nodes, name, from)
    return (likeliest !== undefined && takers.includes(likeliest) ? [likeliest] : takers).map(to => ({ instance: name, from, to }))
  })
}

/** Why a move of these addresses to a server that `isRight` accepts cuts open connections: "srv-1: hactl-open-connections.service does not run: ...". */
export function cutsBefore(scene: Scene, vips: readonly string[], isRight: Task['isRight']): readonly string[] {
  return cuttingHandings(scene.cluster, scene.nodes, handingsOf(scene, vips, isRight))
}

type Told = Pick<Scene, 'cluster' | 'links' | 'ports' | 'onEvent' | 'nodes'>

/**
 * Waits until open connections can be kept, as they can some seconds after their service has started, and else says that the move cuts them.
 * Resolves to the last look. Throws E_INTERRUPTED and what looking throws.
 */
export async function tellCuts(scene: Told, handings: readonly Handing[]): Promise<Scene['nodes']> {
  const { cluster, links, ports, onEvent } = scene
  const endMs = ports.clock.monotonic() + PROVEN_LIMIT_MS * links.patience
  let { nodes } = scene
  while (unprovenHandings(nodes, handings).length > 0 && ports.clock.monotonic() < endMs) {
    await ports.clock.sleep(PROVEN_EVERY_MS, ports.signal)
    nodes = await lookAt(scene)
  }
  const texts = new Set([...cuttingHandings(cluster, nodes, handings), ...unprovenHandings(nodes, handings)])
  for (const text of texts) onEvent({ kind: 'warning', text })
  return nodes
}

/**
 * Has every server that gives an address away go on answering there until the next holder surely does, and then ends what is open to it. It
 * ends by itself, and has no effect where the address stays. Where open connections may stay, their service answers.
 */
async function keepAnswering(
  { cluster, links, nodes, ports }: Scene,
  vips: readonly string[],
  handings: readonly Handing[],
): Promise<void> {
  await Promise.all(
    nodes.map(async node => {
      const given = addressesOn(cluster, node).filter(
        address => vips.includes(address) && !staysOpen(nodes, handings, { node, instance: instanceOf(cluster, address), takers: 'some' }),
      )
      if (given.length === 0) return
      await links.current(node.server).run(keepAnsweringScript(given, drainLimitMs(cluster, links.patience)), {
        effect: 'none',
        label: 'keep answering while the address moves',
        deadlineMs: KEEP_ANSWERING_DEADLINE_MS,
        signal: ports.signal,
      })
    }),
  )
}

function instanceOf(cluster: Scene['cluster'], vip: string): string {
  return cluster.instances.find(({ virtualAddresses }) => virtualAddresses.some(({ address }) => address === vip))?.name ?? ''
}

/** Compares keepalived's priority with the track files until they agree or the time is over. A keepalived that does not run has none. */
async function priorityProblems({ cluster, links, node, ports }: Scene): Promise<readonly string[]> {
  const endMs = ports.clock.monotonic() + VERIFY_LIMIT_MS * links.patience
  for (;;) {
    const now = await observeNode(links.current(node.server), probeRequestFor(cluster), ports.signal)
    const problems = now.instances
      .filter(instance => instance.state === 'MASTER' || instance.state === 'BACKUP')
      .flatMap(instance => trackerProblems(cluster, instance.name, now))
    if (problems.length === 0 || ports.clock.monotonic() >= endMs) return problems
    await ports.clock.sleep(VERIFY_EVERY_MS, ports.signal)
  }
}

/** What came of the move, for each address. */
export function results({ cluster, links, nodes }: Scene, { samplesOf }: MoveOutcome, vips: readonly string[]): readonly MovedAddress[] {
  return vips.map(address => {
    const samples = samplesOf(address)
    const probes = probesOf(samples)
    const from = nodes.find(own => addressesOn(cluster, own).includes(address))?.server
    const { holders } = holdersAt(samples, address, links.servers, endOf(samples.filter(sample => sample.kind === 'holder')))
    const outageMs = outageOf(probes)
    return {
      address,
      from,
      to: holders.length === 1 && holders[0] !== from ? holders[0] : undefined,
      outageMs: outageMs === undefined ? undefined : Math.round(outageMs),
      failedProbes: probes.filter(probe => !probe.ok).length,
      probes: probes.length,
      errors: [...new Set(probes.filter(probe => !probe.ok).map(probe => probe.error ?? 'no answer'))],
    }
  })
}

/** The probes for each address. The controller sends them, or a server where the controller cannot reach the address. */
export async function measured(scene: Scene, vips: readonly string[], server: string): Promise<readonly MeasuredAddress[]> {
  const { cluster, links, ports } = scene
  return Promise.all(
    probeTargetsFor(cluster)
      .filter(target => vips.includes(target.address))
      .map(async target => {
        const session = await proberOf(scene, target, server)
        const sendProbes: MeasuredAddress['sendProbes'] = watch =>
          session === undefined
            ? runProber({ target, probe: ports.probe, clock: ports.clock, ...watch })
            : runServerProber({ session: links.current(session), target, clock: ports.clock, ...watch })
        return { vip: target.address, sendProbes }
      }),
  )
}

/** The server that sends the probes; undefined where the controller can send them, or where no server gets an answer. */
async function proberOf(
  { cluster, links, nodes, ports, onEvent }: Scene,
  target: ProbeTarget,
  server: string,
): Promise<string | undefined> {
  const answer = await ports.probe(target, ports.signal)
  if (answer.ok || answer.status !== undefined) return undefined
  const priority = (name: string) => nodeOf(nodes, name).instances[0]?.effectivePriority ?? 0
  // A holder's own probes never leave it. So the server that moves is not asked, and its likely successor only where there is no other.
  const others = links.servers
    .filter(name => name !== server && !addressesOn(cluster, nodeOf(nodes, name)).includes(target.address))
    .toSorted((a, b) => priority(a) - priority(b))
  for (const name of others) {
    const there = await probeFromServer(links.current(name), target, ports.signal)
    if (!there.ok) continue
    const text = `${target.address} answers ${name}, but not this machine (${answer.error ?? 'no answer'}): ${name} sends the probes`
    onEvent({ kind: 'note', text })
    return name
  }
  return undefined
}

/** The addresses for the confirmation, with their holders and how many connections are open. */
export async function announced(scene: Scene, vips: readonly string[], isRight: Task['isRight']): Promise<MoveAnnouncement['vips']> {
  const { cluster, links, nodes, ports } = scene
  const handings = handingsOf(scene, vips, isRight)
  return Promise.all(
    vips.map(async address => {
      const node = nodes.find(one => addressesOn(cluster, one).includes(address))
      const holder = node?.server
      const connections = holder === undefined ? undefined : await connectionsOn(links.current(holder), cluster, address, ports.signal)
      const isKept = node !== undefined && staysOpen(nodes, handings, { node, instance: instanceOf(cluster, address), takers: 'all' })
      return { address, holder, connections, isKept }
    }),
  )
}
