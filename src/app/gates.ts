import type { Cluster } from '../domain/cluster-types.ts'
import { holderProblems, movingProblems, nodeProblems } from '../domain/health.ts'
import { SERVICE_JOURNAL } from '../domain/journal.ts'
import { masterDownMs, recoveryMs } from '../domain/vrrp/timing.ts'
import type { EngineEvent } from '../engine/events.ts'
import { lastWordsScript } from '../engine/journal.ts'
import { observeNode } from '../engine/observe.ts'
import type { GateName } from '../engine/playbook.ts'
import { HactlError } from '../errors.ts'
import type { Ports, ProbeTarget, Session } from '../ports.ts'
import type { ObservedNode } from '../state.ts'
import { probeRequestFor } from './observe-cluster.ts'
import { probeFromServer } from '../engine/probe-from-server.ts'
import { withoutPasswords } from './without-passwords.ts'

const LOOK_EVERY_MS = 50
// A look younger than this is as good as a new one: gates that follow each other share it.
const FRESH_MS = 300
const PROBE_LIMIT_MS = 1000
const FIRST_LOOKS = 3
const JOURNAL = { lines: 30, shown: 6, deadlineMs: 10_000 } as const

const TITLES: Readonly<Record<GateName, string>> = {
  'services-healthy': 'haproxy answers and keepalived is ready to take over',
  'one-holder': 'exactly one server holds each virtual address',
  'vip-answers': 'the virtual address answers',
}

export interface Gates {
  /**
   * To be called before anything changes: an address that does not answer now need not answer before all is done. It may be the very fault
   * that is being mended, or its frontend gets another port.
   */
  readonly lookFirst: () => Promise<void>
  readonly pass: (gate: GateName, servers: readonly string[]) => Promise<void>
  /** The newest look at each server. */
  readonly seen: () => ReadonlyMap<string, ObservedNode>
  /** Whether any of the servers that may be asked here reported the address from somewhere else than the controller. */
  readonly notes: () => readonly string[]
}

/** How long a healthy cluster of this kind may need to settle, in ms: trust regained, then an election, and room for a busy server. */
export function settleLimitMs(cluster: Cluster): number {
  const election = Math.max(
    ...cluster.instances.map(instance => masterDownMs(instance.advertIntMs, 1, instance.version) + instance.preemptDelayMs),
  )
  return Math.ceil(recoveryMs(cluster.check, 1000) + 2 * election + 8000)
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

/**
 * Gates over live servers. `heldBefore` is false where an address had no holder when the run began (a new cluster): then "vip-answers"
 * waits for the proof at the end. `complete` is false where --limit leaves servers out.
 */
export function gatesFor(
  cluster: Cluster,
  sessions: ReadonlyMap<string, Session>,
  observed: ReadonlyMap<string, ObservedNode>,
  ports: Ports,
  onEvent: (event: EngineEvent) => void,
  options: { readonly heldBefore: boolean; readonly complete: boolean },
): Gates {
  const { clock } = ports
  const seen = new Map(observed)
  const seenAt = new Map<string, number>()
  const notes: string[] = []
  const silentBefore = new Set<string>()

  const look = async (servers: readonly string[]): Promise<ObservedNode[]> => {
    await Promise.all(
      servers.map(async server => {
        const session = sessions.get(server)
        if (session === undefined || clock.monotonic() - (seenAt.get(server) ?? Number.NEGATIVE_INFINITY) < FRESH_MS) return
        seen.set(server, await observeNode(session, probeRequestFor(cluster), ports.signal))
        seenAt.set(server, clock.monotonic())
      }),
    )
    return servers.flatMap(server => seen.get(server) ?? [])
  }

  const problemsOf = async (gate: GateName, servers: readonly string[]): Promise<readonly string[]> => {
    switch (gate) {
      case 'services-healthy':
        return (await look(servers)).flatMap(node => nodeProblems(cluster, node).map(problem => `${node.server}: ${problem}`))
      case 'one-holder':
        // A server that was left out may hold it: only a complete view can tell.
        return options.complete ? await settledHolderProblems([...sessions.keys()]) : []
      case 'vip-answers': {
        const all = servers.length === sessions.size
        if (!options.heldBefore && !all) return []
        return silent(probeTargetsFor(cluster).filter(({ address }) => all || !silentBefore.has(address)))
      }
    }
  }

  const silent = async (targets: readonly ProbeTarget[]): Promise<readonly string[]> => {
    const answers = await Promise.all(
      targets.map(async target => {
        const answer = await ports.probe(target, ports.signal)
        return answer.ok ? [] : askFromServers(target, answer.error ?? 'no answer')
      }),
    )
    return answers.flat()
  }

  const lookFirst = async (): Promise<void> => {
    if (!options.heldBefore) return
    await Promise.all(
      probeTargetsFor(cluster).map(async target => {
        let problem: string | undefined
        // One lost packet must not take the gate away from an address that answers.
        for (let tries = 0; tries < FIRST_LOOKS; tries++) {
          if (tries > 0) await clock.sleep(LOOK_EVERY_MS, ports.signal)
          problem = (await silent([target]))[0]
          if (problem === undefined) return
        }
        silentBefore.add(target.address)
        onEvent({ kind: 'note', text: `${problem ?? ''} before the first change: hactl probes it again after the last change` })
      }),
    )
  }

  // While a better server is about to take the address back, nothing is proven yet.
  const settledHolderProblems = async (servers: readonly string[]): Promise<readonly string[]> => {
    const nodes = await look(servers)
    return [...holderProblems(cluster, nodes), ...movingProblems(cluster, nodes)]
  }

  // The controller may not be on that network: the servers' word counts where its own way is closed.
  const askFromServers = async (target: ProbeTarget, error: string): Promise<readonly string[]> => {
    const asked = [...sessions.values()].find(
      session => !(seen.get(session.server)?.facts.addresses ?? []).some(own => own.address === target.address),
    )
    if (asked !== undefined && !error.startsWith('HTTP')) {
      const answer = await probeFromServer(asked, target, ports.signal)
      if (answer.ok) {
        const note = `${target.address} answers ${asked.server}, but not this machine (${error})`
        if (!notes.includes(note)) notes.push(note)
        return []
      }
    }
    return [`${target.address.includes(':') ? `[${target.address}]` : target.address}:${target.port} does not answer (${error})`]
  }

  // The journal explains what a gate only sees.
  const journalOf = async (servers: readonly string[]): Promise<readonly string[]> => {
    const told = await Promise.all(
      servers.map(async server => {
        const session = sessions.get(server)
        const script = lastWordsScript(SERVICE_JOURNAL, JOURNAL.lines)
        const result = await session
          ?.run(script, { effect: 'none', label: 'read the journal', deadlineMs: JOURNAL.deadlineMs })
          .catch(() => undefined)
        const lines = (result?.stdout ?? '').split('\n').filter(line => line.trim() !== '')
        return lines.slice(-JOURNAL.shown).map(line => `${server}: ${withoutPasswords(cluster, line)}`)
      }),
    )
    return told.flat()
  }

  const pass = async (gate: GateName, servers: readonly string[]): Promise<void> => {
    const startedMs = clock.monotonic()
    const limitMs = settleLimitMs(cluster)
    const title = TITLES[gate]
    for (;;) {
      const problems = await problemsOf(gate, servers)
      const durationMs = clock.monotonic() - startedMs
      if (problems.length === 0) {
        onEvent({ kind: 'gate-passed', gate, title, servers, durationMs })
        return
      }
      if (durationMs > limitMs) {
        onEvent({ kind: 'gate-failed', gate, title, servers, durationMs, detail: problems.join('; ') })
        throw new HactlError({
          code: 'E_GATE',
          what: `${servers.join(', ')} failed the gate after ${Math.round(durationMs / 1000)} s: ${title}`,
          why: [...problems, ...(await journalOf(servers))],
          fix: 'run journalctl -u haproxy -u keepalived on the servers named above',
        })
      }
      onEvent({ kind: 'gate-waiting', gate, title, servers, detail: problems.join('; ') })
      for (const server of sessions.keys()) seenAt.delete(server)
      await clock.sleep(LOOK_EVERY_MS, ports.signal)
    }
  }
  return { lookFirst, pass, seen: () => seen, notes: () => notes }
}
