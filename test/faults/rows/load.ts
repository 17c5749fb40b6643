/** Roll-outs under load: configurations, certificates, keepalived's settings, the way back, and newer packages. */
import { connect } from 'node:tls'
import { type Json, labHaproxy, type Run, vrrpInstance } from '../../e2e/support/hactl.ts'
import { pause, SERVERS, until, watchHolders } from '../../e2e/support/lab.ts'
import { type Loaded, startLoad } from '../../e2e/support/load.ts'
import { installOlder, makePem, untilHeldBy } from '../../e2e/support/servers.ts'
import { inventoryOf, isHung, liveConfig, nextConfig, RUN_DEADLINE_MS, told, wounds } from '../cluster.ts'
import type { Row, Tried, World } from '../row.ts'

const CERTIFICATE = '/etc/haproxy/faults.pem'
/** How long the load runs before and after a roll-out, in ms. */
const QUIET_MS = 500
/** An upgrade takes the servers in turn, each with an installation. */
const UPGRADE_DEADLINE_MS = 240_000

/** What the servers should be. */
interface Wish {
  readonly config: number
  readonly certificate: number
  /** garp_master_refresh: goes to one server after the other. */
  readonly refresh: number
  /** A second address: goes to all servers together. */
  readonly hasSecond: boolean
}

interface Kind {
  readonly name: string
  readonly argv: readonly string[]
  /** What the inventory says from now on. */
  readonly next: (wish: Wish) => Wish
  /** The address leaves its holder and comes back. */
  readonly moves?: true
  /** The preparation before the load: older packages, or a deploy to roll back. */
  readonly before?: { readonly older: readonly string[] } | { readonly deploy: (wish: Wish) => Wish }
}

const same = (wish: Wish) => wish
const upgrade = (name: string, ...older: readonly string[]): Kind => ({
  name,
  argv: ['upgrade'],
  next: same,
  moves: true,
  before: { older },
})

const KINDS: readonly Kind[] = [
  { name: 'a new configuration', argv: ['deploy'], next: wish => ({ ...wish, config: nextConfig() }) },
  { name: 'a new certificate', argv: ['deploy'], next: wish => ({ ...wish, certificate: wish.certificate + 1 }) },
  { name: "keepalived's settings, one server after the other", argv: ['deploy'], next: wish => ({ ...wish, refresh: wish.refresh + 1 }) },
  { name: "keepalived's settings, all servers together", argv: ['deploy'], next: wish => ({ ...wish, hasSecond: !wish.hasSecond }) },
  {
    name: 'a rollback of both',
    argv: ['rollback'],
    next: same,
    before: { deploy: wish => ({ ...wish, config: nextConfig(), hasSecond: !wish.hasSecond }) },
  },
  upgrade('a newer haproxy', 'haproxy'),
  upgrade('a newer keepalived', 'keepalived'),
  upgrade('newer packages of both', 'haproxy', 'keepalived'),
]

const commonName = (wish: Wish) => `c${wish.certificate}.example.com`

/** The name on the certificate that a server shows. */
function certificateOf(host: string): Promise<string | undefined> {
  return new Promise(resolve => {
    const socket = connect({ host, port: 443, rejectUnauthorized: false, timeout: 2000 }, () => {
      const { subject } = socket.getPeerCertificate()
      socket.destroy()
      resolve(subject?.CN === undefined ? undefined : String(subject.CN))
    })
    socket.once('timeout', () => socket.destroy())
    socket.once('error', () => resolve(undefined))
    socket.once('close', () => resolve(undefined))
  })
}

function inventory(world: World, { config, refresh, hasSecond }: Wish): Json {
  const { lab } = world
  return inventoryOf(world, config, {
    haproxy: labHaproxy(lab, {
      frontends: [
        {
          name: 'web',
          bind: [':80', `:443 ssl crt ${CERTIFICATE}`],
          mode: 'http',
          default_backend: 'app',
          lines: [`http-response set-header X-Config c${config}`],
        },
      ],
    }),
    certificates: [{ file: 'faults.pem', path: CERTIFICATE }],
    vrrp_instances: [
      vrrpInstance(lab, {
        advert_int: 1,
        garp_master_refresh: refresh,
        virtual_ipaddress: [`${lab.vip}/24`, ...(hasSecond ? [`${lab.prefix}.201/24`] : [])],
      }),
    ],
  })
}

function judge(kind: Kind, seen: Loaded, moves: readonly string[], ended: Run): Pick<Tried, 'probes' | 'lost' | 'broken' | 'counts'> {
  const broken = ended.exit === 0 ? [] : [`${kind.name}: ${told(ended)}`]
  const takers = moves.flatMap(move => /(\S+) has it$/.exec(move)?.[1] ?? [])
  if (takers.join() !== (kind.moves ? 'srv-2,srv-1' : '')) broken.push(`${kind.name}: the address moved: ${moves.join(', ')}`)
  const cut = seen.newCut + seen.keptCut
  const failed = seen.newFailed + seen.keptFailed
  const lost = kind.moves ? failed : failed + cut
  if (lost > 0) broken.push(`${kind.name}: ${seen.errors.join(', ')}`)
  return {
    probes: seen.newAnswered + seen.newCut + seen.keptAnswered + seen.keptCut + failed,
    lost,
    broken,
    counts: {
      [kind.name]: 1,
      [`kept-alive connections closed between two requests, the address ${kind.moves ? 'moving' : 'staying'}`]: seen.keptRetried,
      [`connections cut, the address ${kind.moves ? 'moving' : 'staying'}`]: cut,
    },
  }
}

export const load: Row = {
  name: 'load',
  title: 'a roll-out under load (new connections, TLS, kept alive)',
  times: 10,
  open: async world => {
    const { lab, work } = world
    let wish: Wish = { config: nextConfig(), certificate: 1, refresh: 30, hasSecond: false }
    const run = (argv: readonly string[], limitMs = RUN_DEADLINE_MS) => work.hactl([...argv, '--yes', '--json'], { limitMs })
    const want = async (next: Wish) => {
      if (next.certificate !== wish.certificate) work.write('faults.pem', await makePem(lab, commonName(next)))
      work.writeInventory(inventory(world, next))
      wish = next
    }
    const deploy = async (next: Wish) => {
      await want(next)
      const deployed = await run(['deploy', '--adopt'])
      if (deployed.exit !== 0) throw new Error(`the set-up failed: ${told(deployed)}`)
    }
    work.write('faults.pem', await makePem(lab, commonName(wish)))
    return {
      attempt: async n => {
        const kind = KINDS[(n - 1) % KINDS.length] ?? KINDS[0]
        if (kind === undefined) throw new Error('there are no kinds')
        const { before } = kind
        const wasWished = wish
        // The try before may have ended with a reset of the servers.
        await deploy(wish)
        if (before !== undefined && 'deploy' in before) await deploy(before.deploy(wish))
        if (before !== undefined && 'older' in before) {
          await lab.everywhere(before.older.map(installOlder).join('\n'))
          await untilHeldBy(lab, 'srv-1', 60_000)
          await until('the cluster is well again', 60_000, async () => (await run(['status'])).exit === 0)
        }
        // The rollback leads to the configuration before.
        if (before !== undefined && 'deploy' in before) await want(wasWished)
        else await want(kind.next(wish))
        const [loading, holders] = [await startLoad(`http://${lab.vip}/`, `https://${lab.vip}/`), await watchHolders(lab)]
        await pause(QUIET_MS)
        const ended = await run(kind.argv, kind.moves ? UPGRADE_DEADLINE_MS : RUN_DEADLINE_MS)
        await pause(QUIET_MS)
        const [seen, held] = [await loading.stop(), await holders.stop()]
        const { broken, ...found } = judge(kind, seen, held.moves, ended)
        const shown = await Promise.all(SERVERS.map(server => certificateOf(lab.host(server))))
        const older = await lab.everywhere("dpkg-query -W -f='${Version}\\n' haproxy keepalived | grep -c e2e || true")
        return {
          ...found,
          broken: [
            ...broken,
            ...(await wounds(world, [wish.config], true)),
            ...shown.flatMap((name, at) =>
              name === commonName(wish) ? [] : [`${SERVERS[at]} shows the certificate ${name ?? 'nothing'}, not ${commonName(wish)}`],
            ),
            ...older.flatMap((count, at) => (count.trim() === '0' ? [] : [`${SERVERS[at]} has kept older packages`])),
          ],
          hung: isHung(ended) ? [told(ended)] : [],
        }
      },
      close: async () => {
        work.writeInventory(inventoryOf(world, liveConfig()))
        await run(['deploy'])
      },
    }
  },
}
