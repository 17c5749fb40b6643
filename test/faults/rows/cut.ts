/** SSH through a proxy that breaks the connection at a random byte of a roll-out. */
import { readFileSync } from 'node:fs'
import { type Json, resultOf, type Run } from '../../e2e/support/hactl.ts'
import { SERVERS } from '../../e2e/support/lab.ts'
import { aroundPoller } from '../around.ts'
import { finish, isHung, liveConfig, nextConfig, startDeploy, told, wounds } from '../cluster.ts'
import { type Fault, openProxy } from '../proxy.ts'
import type { Row, World } from '../row.ts'

/** Every server behind a loopback address of its own: no two servers may have one host. */
const LISTEN = { 'srv-1': '127.0.0.11', 'srv-2': '127.0.0.12', 'srv-3': '127.0.0.13' } as const

/** How a run may end with a lost connection: not logged in, locked (by a lock that was left), stopped part way. Never a fault of hactl. */
const HONEST = new Map([
  [0, 'finished anyway'],
  [4, 'not started'],
  [5, 'not started'],
  [6, 'stopped part way'],
])

async function openNetwork(world: World) {
  const { lab, work } = world
  const proxies = await Promise.all(SERVERS.map(server => openProxy(LISTEN[server], lab.host(server), 22)))
  const keys = readFileSync(lab.known_hosts, 'utf8').split('\n')
  const known = SERVERS.flatMap((server, at) =>
    keys
      .filter(line => line.startsWith(`${lab.host(server)} `))
      .map(line => line.replace(lab.host(server), `[${LISTEN[server]}]:${proxies[at]?.port ?? 0}`)),
  )
  const file = work.write('known_proxies', `${known.join('\n')}\n`)
  const over: Json = {
    ssh: { user: 'root', identity_file: lab.key, known_hosts: file },
    servers: SERVERS.map((name, at) => ({ name, host: LISTEN[name], ssh: { port: proxies[at]?.port } })),
  }
  return { proxies, over }
}

function faultOf(world: World, kind: Fault['kind'], afterBytes: number): Fault {
  return kind === 'stall' ? { kind, afterBytes, isLasting: world.random.chance(50) } : { kind, afterBytes }
}

const rowOf = (
  name: string,
  title: string,
  times: number,
  kinds: readonly [Fault['kind'], ...Fault['kind'][]],
  deadlineMs: number,
): Row => ({
  name,
  title,
  times,
  open: async world => {
    const { proxies, over } = await openNetwork(world)
    const config = nextConfig()
    const clean = await startDeploy(world, config, over).ended
    if (clean.exit !== 0) throw new Error(`a deploy through the proxies failed: ${told(clean)}`)
    const bytes = proxies.map(proxy => proxy.bytes())
    let before = config
    return {
      attempt: () =>
        aroundPoller(world, async () => {
          before = Math.max(before, liveConfig())
          const wanted = nextConfig()
          const at = world.random.int(proxies.length)
          const kind = world.random.pick(kinds)
          for (const [index, proxy] of proxies.entries())
            proxy.arm(index === at ? faultOf(world, kind, world.random.int(bytes[at] ?? 1)) : undefined)
          const run = await startDeploy(world, wanted, over).ended
          const endedMs = performance.now()
          const struckMs = proxies[at]?.struckMs()
          for (const proxy of proxies) proxy.arm(undefined)
          const afterMs = struckMs === undefined ? 0 : endedMs - struckMs
          const allowed = [before, wanted]
          const first = [...judge(run), ...(await wounds(world, allowed))]
          const rest = await finish(world, wanted, undefined)
          before = wanted
          const late = afterMs > deadlineMs ? [`${kind}: the run ended ${Math.round(afterMs / 1000)} s after it`] : []
          return {
            broken: [...first, ...rest.broken],
            hung: [...(isHung(run) ? [`${kind}: ${told(run)}`] : late), ...rest.hung],
            counts: { [struckMs === undefined ? 'not reached' : (HONEST.get(run.exit) ?? `exit ${run.exit}`)]: 1 },
            longestMs: { 'the run ended after': afterMs },
          }
        }),
      close: async () => {
        await Promise.all(proxies.map(proxy => proxy.close()))
      },
    }
  },
})

function judge(run: Run): string[] {
  if (isHung(run)) return []
  if (!HONEST.has(run.exit)) return [told(run)]
  if (run.exit === 0) return []
  const { what, fix } = resultOf(run)
  return what === undefined || what === '' || fix === undefined ? [`it does not say what and how to go on: ${told(run)}`] : []
}

/** What a cut costs: the report, the undo over a new connection, no waiting. */
const CUT_DEADLINE_MS = 30_000
/** A silent network is noticed within 14 s. Then the undo has 20 s to connect, and the release of the lock the same. */
const STALL_DEADLINE_MS = 60_000

export const cut = rowOf('cut', 'SSH to a server is cut (reset or closed) at a random byte', 100, ['reset', 'close'], CUT_DEADLINE_MS)
export const stall = rowOf(
  'stall',
  'SSH to a server goes silent at a random byte, half of the times for good',
  10,
  ['stall'],
  STALL_DEADLINE_MS,
)
