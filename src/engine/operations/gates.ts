import { isHeld } from '../../domain/addresses.ts'
import type { Cluster } from '../../domain/cluster-types.ts'
import { holderProblems, movingProblems, nodeProblems } from '../../domain/health.ts'
import { openConnectionsProblems } from '../../domain/open-connections/report.ts'
import { checkPace } from '../../domain/haproxy/check-script.ts'
import { SERVICE_JOURNAL } from '../../domain/journal.ts'
import { masterDownMs, recoveryMs } from '../../domain/vrrp/timing.ts'
import { lastWordsScript } from '../journal.ts'
import { observeNode } from '../observe.ts'
import type { GateName } from '../playbook.ts'
import { HactlError } from '../../errors.ts'
import type { CutAnswer, ProbeTarget } from '../../ports.ts'
import type { ObservedNode } from '../../state/observed.ts'
import { probeRequestFor } from './look.ts'
import { probeFromServer } from '../probe-from-server.ts'
import type { Run } from './run.ts'
import { withoutPasswords } from './without-passwords.ts'
import { PROBE_LIMIT_MS } from '../limits.ts'

const LOOK_EVERY_MS = 50
// Gates that follow each other share a look that is younger than this.
const FRESH_MS = 300
const FIRST_LOOKS = 3
const JOURNAL = { lines: 30, shown: 6, deadlineMs: 10_000 } as const

const TITLES: Readonly<Record<GateName, string>> = {
  'services-healthy': 'haproxy answers and keepalived is ready to take over',
  'one-holder': 'exactly one server holds each virtual address',
  'vip-answers': 'the virtual address answers',
}

export interface Gates {
  /**
   * Called before anything changes. An address that does not answer now need not answer until the last change: it may be the fault that the
   * run fixes, or its frontend gets another port.
   */
  readonly lookFirst: () => Promise<void>
  readonly pass: (gate: GateName, servers: readonly string[]) => Promise<void>
  /** The newest look at each server. */
  readonly seen: () => ReadonlyMap<string, ObservedNode>
  /** Which addresses answered a server, but not the controller. */
  readonly notes: () => readonly string[]
}

/**
 * How long a healthy cluster of this kind may need to settle, in ms: the checks rise, an election follows, and a server may be busy, for as
 * many times longer as the sessions have patience.
 */
export function settleLimitMs(cluster: Cluster, patience: number): number {
  const election = Math.max(
    ...cluster.instances.map(instance => masterDownMs(instance.advertIntMs, 1, instance.version) + instance.preemptDelayMs),
  )
  return Math.ceil(recoveryMs(cluster.check, Math.max(1000, checkPace(cluster.check).endMs)) + 2 * election + 8000 * patience)
}

/** What to ask through each virtual address of the cluster. */
export function probeTargetsFor(cluster: Cluster): readonly ProbeTarget[] {
  return cluster.instances.flatMap(instance =>
    instance.virtualAddresses.map(vip => ({
      address: vip.address,
      port: cluster.probe.port,
      kind: cluster.probe.kind,
      path: cluster.probe.path,
      host: cluster.probe.host,
      status: cluster.probe.status,
      timeoutMs: PROBE_LIMIT_MS,
    })),
  )
}

/** What the gates of one run go by, beside the run. */
export interface GateInput {
  /** The first look at each server. */
  readonly observed: ReadonlyMap<string, ObservedNode>
  /** False where an address had no holder when the run started (a new cluster). Then "vip-answers" counts only at the end. */
  readonly heldBefore: boolean
  /** False where --limit leaves servers out. */
  readonly complete: boolean
}

type GateRun = Pick<Run, 'cluster' | 'links' | 'ports' | 'onEvent'>

/** What the gates of one run have seen so far. */
interface GateScene extends GateRun, GateInput {
  readonly seen: Map<string, ObservedNode>
  readonly seenAtMs: Map<string, number>
  readonly notes: Set<string>
  /** Addresses that did not answer before the first change. */
  readonly silentBefore: Set<string>
}

/** Gates over live servers. */
export function gatesFor({ cluster, links, ports, onEvent }: GateRun, input: GateInput): Gates {
  const seenSoFar = { seen: new Map(input.observed), seenAtMs: new Map(), notes: new Set<string>(), silentBefore: new Set<string>() }
  const scene: GateScene = { cluster, links, ports, onEvent, ...input, ...seenSoFar }
  return {
    lookFirst: () => lookFirst(scene),
    pass: (gate, servers) => pass(scene, gate, servers),
    seen: () => scene.seen,
    notes: () => [...scene.notes],
  }
}

async function look({ cluster, links, ports, seen, seenAtMs }: GateScene, servers: readonly string[]): Promise<readonly ObservedNode[]> {
  const { clock, signal } = ports
  await Promise.all(
    servers.map(async server => {
      if (clock.monotonic() - (seenAtMs.get(server) ?? Number.NEGATIVE_INFINITY) < FRESH_MS) return
      seen.set(server, await observeNode(links.current(server), probeRequestFor(cluster), signal))
      seenAtMs.set(server, clock.monotonic())
    }),
  )
  return servers.flatMap(server => seen.get(server) ?? [])
}

async function problemsOf(scene: GateScene, gate: GateName, servers: readonly string[]): Promise<readonly string[]> {
  const { cluster, links } = scene
  switch (gate) {
    case 'services-healthy':
      return (await look(scene, servers)).flatMap(node =>
        [...nodeProblems(cluster, node), ...openConnectionsProblems(cluster, node)].map(problem => `${node.server}: ${problem}`),
      )
    case 'one-holder': {
      // A server that --limit leaves out may hold it, so only a look at all servers can decide.
      if (!scene.complete) return []
      const nodes = await look(scene, links.servers)
      // While a server with a higher priority is about to take the address back, nothing is proven yet.
      return [...holderProblems(cluster, nodes), ...movingProblems(cluster, nodes)]
    }
    case 'vip-answers': {
      const all = servers.length === links.servers.length
      if (!scene.heldBefore && !all) return []
      const targets = probeTargetsFor(cluster).filter(({ address }) => all || !scene.silentBefore.has(address))
      return (await Promise.all(targets.map(target => silence(scene, target)))).flat()
    }
  }
}

/** Why the address does not answer; empty where it answers. */
async function silence(scene: GateScene, target: ProbeTarget): Promise<readonly string[]> {
  const { ports, notes } = scene
  const answer = await ports.probe(target, ports.signal)
  if (answer.ok) return []
  const error = answer.error ?? 'no answer'
  const witness = error.startsWith('HTTP') ? undefined : await answeredServer(scene, target)
  if (witness !== undefined) {
    notes.add(`${target.address} answers ${witness}, but not this machine (${error})`)
    return []
  }
  const where = `${target.address.includes(':') ? `[${target.address}]` : target.address}:${target.port}`
  return [error.startsWith(CUT) ? `${where} answers ${target.path} only in part (${error})` : `${where} does not answer (${error})`]
}

const CUT: CutAnswer = 'the answer was cut'

function fixFor({ cluster }: GateScene, problems: readonly string[]): string {
  return problems.some(problem => problem.includes(`(${CUT}`))
    ? `set probe.path to a page that ends, where ${cluster.probe.path} is a stream or has a wrong Content-Length; else run journalctl -u haproxy`
    : 'run journalctl -u haproxy -u keepalived on the servers named above'
}

/** A server that gets an answer. It counts where the controller cannot reach the network of the address. */
async function answeredServer({ links, seen, ports }: GateScene, target: ProbeTarget): Promise<string | undefined> {
  const asked = links.servers.find(server => !isHeld(seen.get(server)?.facts.addresses ?? [], target.address))
  if (asked === undefined) return undefined
  return (await probeFromServer(links.current(asked), target, ports.signal)).ok ? asked : undefined
}

async function lookFirst(scene: GateScene): Promise<void> {
  if (!scene.heldBefore) return
  await Promise.all(
    probeTargetsFor(scene.cluster).map(async target => {
      const problem = await steadySilence(scene, target)
      if (problem === undefined) return
      scene.silentBefore.add(target.address)
      scene.onEvent({ kind: 'note', text: `${problem} before the first change: hactl probes it again after the last change` })
    }),
  )
}

/** Several probes: one lost packet must not exempt an address that answers from the gate. */
async function steadySilence(scene: GateScene, target: ProbeTarget): Promise<string | undefined> {
  let problem: string | undefined
  for (let tries = 0; tries < FIRST_LOOKS; tries++) {
    if (tries > 0) await scene.ports.clock.sleep(LOOK_EVERY_MS, scene.ports.signal)
    problem = (await silence(scene, target))[0]
    if (problem === undefined) return undefined
  }
  return problem
}

/** The last lines that the services logged, for the error: they say why the gate failed. */
async function journalOf({ cluster, links }: GateScene, servers: readonly string[]): Promise<readonly string[]> {
  const told = await Promise.all(
    servers.map(async server => {
      const result = await links
        .current(server)
        .run(lastWordsScript(SERVICE_JOURNAL, JOURNAL.lines), {
          effect: 'none',
          label: 'read the journal',
          deadlineMs: JOURNAL.deadlineMs,
        })
        .catch(() => undefined)
      const lines = (result?.stdout ?? '').split('\n').filter(line => line.trim() !== '')
      return lines.slice(-JOURNAL.shown).map(line => `${server}: ${withoutPasswords(cluster, line)}`)
    }),
  )
  return told.flat()
}

async function pass(scene: GateScene, gate: GateName, servers: readonly string[]): Promise<void> {
  const { cluster, ports, onEvent } = scene
  const { clock } = ports
  const startedMs = clock.monotonic()
  const limitMs = settleLimitMs(cluster, scene.links.patience)
  const about = { gate, title: TITLES[gate], servers }
  for (;;) {
    const isLast = clock.monotonic() - startedMs > limitMs
    const problems = await problemsOf(scene, gate, servers)
    const durationMs = clock.monotonic() - startedMs
    if (problems.length === 0) {
      onEvent({ kind: 'gate-passed', ...about, durationMs })
      return
    }
    const detail = problems.join('; ')
    // A look that takes longer than the limit says nothing of the time after it.
    if (isLast) {
      onEvent({ kind: 'gate-failed', ...about, durationMs, detail })
      throw new HactlError({
        code: 'E_GATE',
        what: `${servers.join(', ')} failed the gate after ${Math.round(durationMs / 1000)} s: ${about.title}`,
        why: [...problems, ...(await journalOf(scene, servers))],
        fix: fixFor(scene, problems),
      })
    }
    onEvent({ kind: 'gate-waiting', ...about, detail })
    scene.seenAtMs.clear()
    await clock.sleep(LOOK_EVERY_MS, ports.signal)
  }
}
