/** Lets connections end that are still open on a server to addresses that have moved away, before something there ends them. */
import { addressesOn } from '../../domain/drain.ts'
import { keptOn, type StillOpen, stillOpenWords } from '../../domain/open-connections/still-open.ts'
import { HactlError } from '../../errors.ts'
import type { ObservedNode } from '../../state/observed.ts'
import { observeNode } from '../observe.ts'
import { PROVEN_LIMIT_MS } from '../limits.ts'
import { lookAt } from './at-rest.ts'
import { probeRequestFor } from './look.ts'
import type { Run } from './run.ts'
import { nodeOf } from './scene.ts'

const FIRST_PAUSE_MS = 1000
// A long wait is told, and looks, less often: a tenth of what it has lasted.
const LONGEST_PAUSE_MS = 10_000

type WindowRun = Pick<Run, 'cluster' | 'links' | 'ports' | 'onEvent'>

export interface Wait {
  /** undefined: one look, no waiting. */
  readonly waitMs: number | undefined
  /** The server may hold addresses: then only what it keeps of others counts. */
  readonly mayHold: boolean
}

/** What a server still has open to addresses that have moved away. */
export interface Left {
  /** undefined: the server does not know. */
  readonly open: readonly StillOpen[] | undefined
  /** Why it is not free, one line each; empty where nothing is open, or where there is nothing to wait for. */
  readonly problems: readonly string[]
  /** Why there is nothing to wait for: it keeps no open connections. */
  readonly nothing: string | undefined
  /** It has addresses that it should have given away. */
  readonly holds?: true
  /** A look some seconds later may find that packets of what is open there arrive after all. */
  readonly isUnproven?: true
}

/**
 * Waits until the server has nothing open to addresses that have moved away, at most for `waitMs`, and sends events of it. Changes nothing.
 * Throws E_INTERRUPTED and what looking at the server throws.
 */
export async function untilFree(run: WindowRun, server: string, { waitMs, mayHold }: Wait): Promise<Left> {
  const { ports, onEvent } = run
  const { clock, signal } = ports
  let nodes = await lookAt(run)
  const again = async () => {
    nodes = await lookAgainAt(run, server, nodes)
    return leftIn(run, nodeOf(nodes, server), nodes, mayHold)
  }
  let first = leftIn(run, nodeOf(nodes, server), nodes, mayHold)
  if (waitMs === undefined) return first
  const startedMs = clock.monotonic()
  const provenMs = startedMs + Math.min(waitMs, PROVEN_LIMIT_MS * run.links.patience)
  while (first.isUnproven === true && clock.monotonic() < provenMs) {
    await clock.sleep(FIRST_PAUSE_MS, signal)
    first = await again()
  }
  if (first.problems.length === 0) return first
  const gate = { gate: 'open-connections', title: `its open connections end (at most ${waitMs / 1000} s)`, servers: [server] } as const
  for (let left = first; ; left = await again()) {
    // What was open a moment ago is not nothing: the service starts again, or the address has come back.
    const problems = left.nothing === undefined ? left.problems : [left.nothing]
    const durationMs = clock.monotonic() - startedMs
    if (problems.length === 0) {
      onEvent({ kind: 'gate-passed', ...gate, durationMs })
      return left
    }
    const detail = problems.join('; ')
    if (durationMs >= waitMs) {
      onEvent({ kind: 'gate-failed', ...gate, durationMs, detail })
      return { ...left, problems }
    }
    onEvent({ kind: 'gate-waiting', ...gate, detail })
    const pauseMs = Math.min(Math.max(FIRST_PAUSE_MS, durationMs / 10), LONGEST_PAUSE_MS)
    await clock.sleep(Math.min(pauseMs, waitMs - durationMs), signal)
  }
}

/** A wait is for one server, so another one that cannot be looked at is taken to be as it was. */
async function lookAgainAt({ cluster, links, ports }: WindowRun, server: string, before: readonly ObservedNode[]) {
  const request = probeRequestFor(cluster)
  return Promise.all(
    before.map(async node => {
      const look = observeNode(links.current(node.server), request, ports.signal)
      return node.server === server ? look : look.catch(() => node)
    }),
  )
}

function leftIn({ cluster }: WindowRun, node: ObservedNode, nodes: readonly ObservedNode[], mayHold: boolean): Left {
  const { server } = node
  const held = mayHold ? [] : addressesOn(cluster, node)
  if (held.length > 0)
    return { open: undefined, problems: [`${server} still holds ${held.join(', ')} and its connections`], nothing: undefined, holds: true }
  const kept = keptOn(cluster, node, nodes)
  switch (kept.kind) {
    case 'lost':
      return {
        open: undefined,
        problems: [],
        nothing: `${server} keeps no open connections: ${kept.why}`,
        ...(kept.isUnproven === true ? { isUnproven: true } : {}),
      }
    case 'silent':
      return { open: undefined, problems: [`${server} does not say what is still open there`], nothing: undefined }
    case 'counted':
      return { open: kept.open, problems: kept.open.length === 0 ? [] : [stillOpenWords(kept.open)], nothing: undefined }
  }
}

/** What to do about connections that a change of the server would end. */
export interface LetEnd extends Wait {
  /** Go on where the time is over. */
  readonly force: boolean
  /** What becomes of them: "they have 20 s, then they end". */
  readonly fate: string
  /** What an error adds: what stays as it is. */
  readonly stays?: readonly string[]
}

/**
 * Called before a change that ends what is open. Without `waitMs` it only says what will end. Throws E_STILL_OPEN where something is open at
 * the end of the time and `force` is not given, or where the server holds an address that it should have given away; and what untilFree throws.
 */
export async function letEnd(run: WindowRun, server: string, how: LetEnd): Promise<void> {
  const { waitMs, force, fate, stays = [] } = how
  const { nothing, problems, holds } = await untilFree(run, server, how)
  if (problems.length === 0) {
    if (nothing !== undefined && waitMs !== undefined) run.onEvent({ kind: 'note', text: nothingToWaitFor(nothing) })
    return
  }
  if (waitMs !== undefined && (!force || nothing !== undefined || holds === true)) {
    const forceHelps = !force && nothing === undefined && holds !== true
    throw stillOpen(server, waitMs, [...problems, ...stays], forceHelps ? '--force goes on after that time' : undefined)
  }
  run.onEvent({ kind: 'warning', server, text: `${problems.join('; ')}: ${fate}` })
}

/** What becomes of them where the service is removed. */
export const END_WITH_SERVICE = 'they end, because what keeps them open is removed'

export const nothingToWaitFor = (why: string) => `there is nothing to wait for: ${why}`

/** `more`: what else to know, such as how to go on all the same. */
export function stillOpen(server: string, waitMs: number, problems: readonly string[], more: string | undefined): HactlError {
  return new HactlError({
    code: 'E_STILL_OPEN',
    server,
    what: `this server is not free of connections after ${waitMs / 1000} s`,
    why: problems,
    fix: [
      'give --wait more time; timeout client, timeout tunnel and option clitcpka of haproxy.cfg bound idle connections',
      ...(more === undefined ? [] : [more]),
    ].join('; '),
  })
}
