// What is done to the servers while there is traffic.
import type { LabFile } from '../../support/lab.ts'
import { installOlder } from '../../../test/e2e/support/servers.ts'
import { finallyDo, Stop } from '../../support/process.ts'
import { docker, inside, sleep } from '../failover-lab.ts'
import type { Load } from './traffic-figures.ts'

type Server = LabFile['servers'][number]

/** one: an IPv4 address. two: a second one whose first server is srv-2. ipv6: an IPv6 address, which the traffic uses, beside the first. */
export type Layout = 'one' | 'two' | 'ipv6'

export interface Hands {
  readonly servers: readonly [Server, Server, Server]
  /** hactl with an inventory; it must exit 0. */
  hactl(...words: readonly string[]): Promise<unknown>
  /** Resolves once the home of each address alone holds it and all is healthy. */
  untilHome(): Promise<unknown>
  /** What puts back the rules of the container engine, by which servers ask DNS. */
  rulesOfEngine(): Promise<() => Promise<void>>
  /** Deploys haproxy.cfg with another header. */
  rollOut(variant: number): Promise<unknown>
}

type Act = (hands: Hands) => Promise<unknown>

/** What a round shows is the event's only where the address moved as it must: some: at least once; none: it should stay; any: it may stay. */
type Moves = 'some' | 'none' | 'any'

export interface ConnectionEvent {
  readonly name: string
  readonly moves: Moves
  readonly layout?: Layout
  /** Before there is traffic: from where the event starts. */
  readonly before?: Act
  readonly act: Act
  /** After the traffic has ended, and after a failure at any moment: everything as it was. */
  readonly after?: Act
  readonly load?: Partial<Load>
  /** The first server is not the holder when `before` is done. */
  readonly startsAway?: boolean
  /** Only of builds that can wait for what is open. */
  readonly waits?: boolean
}

/** A round in which this failed would count as one that cut nothing. */
async function sh(server: Server, line: string): Promise<void> {
  const { code, stdout, stderr } = await inside(server, line)
  if (code !== 0)
    throw new Stop(`${server.name}: ${line}`, `exit ${code ?? 'none'}: ${stderr.trim() || stdout.trim()}`, 'test/lab/lab status')
}
const start = (unit: string) => (server: Server) => sh(server, `systemctl reset-failed ${unit} 2>/dev/null; systemctl start ${unit}`)
const first =
  (act: (server: Server) => Promise<unknown>): Act =>
  hands =>
    act(hands.servers[0])
/** Some of a program's processes may be gone before their turn comes. */
const signalled = (signal: string, program: string) =>
  first(server => sh(server, `all=$(pidof ${program}) || exit 1; kill -${signal} $all 2>/dev/null || true`))
const everywhere = (servers: readonly Server[], line: string) => Promise.all(servers.map(server => sh(server, line)))
/** As `hactl drain` does it, without its waiting. */
const lower = (server: Server, offset: number) => sh(server, `cd /run/hactl && echo ${offset} >.drain && mv -f .drain drain`)

const allRaised: Act = ({ servers }) => Promise.all(servers.map(server => lower(server, 0)))

const thereAndBack =
  (times: number, apartMs: number): Act =>
  async ({ servers: [first] }) => {
    for (let i = 0; i < times; i++) {
      await lower(first, -253)
      await sleep(apartMs)
      await lower(first, 0)
      await sleep(apartMs)
    }
  }

/** An address moves on through all three servers and home again. */
const inTurn: Act = async ({ servers: [first, second] }) => {
  for (const [server, offset] of [
    [first, -253],
    [second, -253],
    [first, 0],
    [second, 0],
  ] as const) {
    await lower(server, offset)
    await sleep(2500)
  }
}

const drain: Act = hands => hands.hactl('drain', hands.servers[0].name)
const undrain: Act = hands => hands.hactl('undrain', hands.servers[0].name)
const stop = (unit: string) => first(server => sh(server, `systemctl stop ${unit}`))
const restart = (unit: string) => first(server => sh(server, `systemctl restart ${unit}`))
const reload = (unit: string) => first(server => sh(server, `systemctl reload ${unit}`))

/** Traffic that a server with a seventh of a core can carry. */
const LIGHT: Partial<Load> = { perSecond: 10, keptAlive: 2, downloads: 0, uploads: 0, openWild: 20, openNamed: 20, upgraded: 4 }
/** Each connection ends by itself some time. */
const COMING_AND_GOING: Partial<Load> = { stayMs: 8000 }
/** For transfers that see several moves. Where a service stops, they must end within its stop_timeout instead. */
const LONG: Partial<Load> = { transferMs: 25_000 }

const starved =
  (cpus: string): Act =>
  async ({ servers }) => {
    for (const { container } of servers) await docker('update', '--cpus', cpus, container)
  }

const everywhereInstalled = (servers: readonly Server[], command: string, name: string, then: string) =>
  everywhere(
    servers,
    `command -v ${command} >/dev/null || { apt-get -q update >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends ${name} >/dev/null; } || exit 1; ${then}`,
  )
const withNftables: Act = ({ servers }) => everywhereInstalled(servers, 'nft', 'nftables', 'systemctl start nftables')
/** Both let everything in: what they do to the packets of others is not asked here. */
const withUfw: Act = ({ servers }) =>
  everywhereInstalled(servers, 'ufw', 'ufw', 'systemctl stop nftables 2>/dev/null; ufw default allow incoming && ufw --force enable')
const withFirewalld: Act = ({ servers }) =>
  everywhereInstalled(
    servers,
    'firewall-cmd',
    'firewalld',
    'systemctl stop nftables 2>/dev/null; systemctl start firewalld && firewall-cmd --set-default-zone=trusted',
  )

/** The first server has an older haproxy: its package with a lower version. */
const withOlderHaproxy: Act = first(server => sh(server, `apt-get -q update >/dev/null && ${installOlder('haproxy')}`))
const upgrade =
  (...flags: readonly string[]): Act =>
  hands =>
    hands.hactl('upgrade', ...flags)

/** The packet filter of all servers is emptied a second after the address has moved. */
const emptiedAfterDrain =
  (line: string): Act =>
  async hands => {
    await drain(hands)
    await sleep(500)
    await everywhere(hands.servers, line)
    await sleep(2000)
  }

const undrainAnd =
  (line: string): Act =>
  hands =>
    finallyDo(
      () => undrain(hands),
      () => everywhere(hands.servers, line),
    )

/** Servers can ask DNS again afterwards, and install what the next event needs. */
const keepsDns =
  (act: Act): Act =>
  async hands => {
    const putBack = await hands.rulesOfEngine()
    await finallyDo(() => act(hands), putBack)
  }

/** An event that empties the packet filter of servers, also to make itself ready. */
const emptying = (event: Required<Pick<ConnectionEvent, 'before' | 'act' | 'after'>> & ConnectionEvent): ConnectionEvent => ({
  ...event,
  before: keepsDns(event.before),
  act: keepsDns(event.act),
  after: keepsDns(event.after),
})

export const EVENTS: readonly ConnectionEvent[] = [
  { name: 'drain', moves: 'some', act: drain, after: undrain },
  { name: 'undrain', moves: 'some', before: drain, act: undrain, after: undrain, startsAway: true },
  {
    name: 'drain-wait',
    moves: 'some',
    act: hands => hands.hactl('drain', hands.servers[0].name, '--wait', '2m'),
    after: undrain,
    load: COMING_AND_GOING,
    waits: true,
  },
  { name: 'upgrade', moves: 'some', before: withOlderHaproxy, act: upgrade() },
  { name: 'upgrade-wait', moves: 'some', before: withOlderHaproxy, act: upgrade('--wait', '2m'), load: COMING_AND_GOING, waits: true },
  { name: 'keepalived-stop', moves: 'some', act: stop('keepalived'), after: first(start('keepalived')) },
  {
    name: 'keepalived-start',
    moves: 'some',
    before: stop('keepalived'),
    act: first(start('keepalived')),
    after: first(start('keepalived')),
    startsAway: true,
  },
  { name: 'keepalived-restart', moves: 'any', act: restart('keepalived') },
  { name: 'haproxy-stop', moves: 'some', act: stop('haproxy'), after: first(start('haproxy')) },
  {
    name: 'haproxy-start',
    moves: 'some',
    before: stop('haproxy'),
    act: first(start('haproxy')),
    after: first(start('haproxy')),
    startsAway: true,
  },
  { name: 'haproxy-restart', moves: 'any', act: restart('haproxy') },
  { name: 'haproxy-reload', moves: 'none', act: reload('haproxy') },
  {
    name: 'haproxy-reload-starved',
    moves: 'none',
    before: starved('0.15'),
    act: async ({ servers }) => {
      await everywhere(servers, 'systemctl reload haproxy')
      await sleep(5000)
    },
    after: starved('2'),
    load: LIGHT,
  },
  { name: 'roll-out', moves: 'none', act: hands => hands.rollOut(1), after: hands => hands.rollOut(0), load: LONG },
  {
    name: 'roll-out-starved',
    moves: 'none',
    before: starved('0.15'),
    act: hands => hands.rollOut(1),
    after: async hands => {
      await starved('2')(hands)
      await hands.rollOut(0)
    },
    load: LIGHT,
  },
  { name: 'three-in-turn', moves: 'some', act: inTurn, after: allRaised, load: LONG },
  { name: 'there-and-back', moves: 'some', act: thereAndBack(3, 2000), after: allRaised, load: LONG },
  { name: 'there-and-back-quickly', moves: 'some', act: thereAndBack(3, 700), after: allRaised, load: LONG },
  { name: 'ipv6', moves: 'some', layout: 'ipv6', act: thereAndBack(2, 2000), after: allRaised },
  {
    name: 'two-crossing',
    moves: 'some',
    layout: 'two',
    act: async ({ servers: [one, two] }) => {
      for (const offset of [-253, 0]) {
        await Promise.all([lower(one, offset), lower(two, offset)])
        await sleep(2500)
      }
    },
    after: allRaised,
  },
  {
    name: 'stop-in-reload',
    moves: 'some',
    act: first(server =>
      sh(server, `systemctl reload --no-block haproxy && sleep 0.${Math.floor(Math.random() * 5)} && systemctl stop haproxy`),
    ),
    after: first(start('haproxy')),
  },
  emptying({ name: 'nft-flush', moves: 'some', before: withNftables, act: emptiedAfterDrain('nft flush ruleset'), after: undrain }),
  emptying({
    name: 'nftables-reload',
    moves: 'some',
    before: withNftables,
    act: emptiedAfterDrain('systemctl reload nftables'),
    after: undrain,
  }),
  emptying({
    name: 'ufw-reload',
    moves: 'some',
    before: withUfw,
    act: emptiedAfterDrain('ufw reload'),
    after: undrainAnd('ufw --force disable'),
  }),
  emptying({
    name: 'firewalld-reload',
    moves: 'some',
    before: withFirewalld,
    act: emptiedAfterDrain('firewall-cmd --reload'),
    after: undrainAnd('systemctl stop firewalld'),
  }),
  { name: 'reboot', moves: 'some', act: first(server => inside(server, 'systemctl reboot')) },
  {
    name: 'failback',
    moves: 'some',
    // The machine is off until there is traffic, so that all of it is on the second server.
    before: first(({ container }) => docker('stop', container)),
    act: async hands => {
      await docker('start', hands.servers[0].container)
      await hands.untilHome()
    },
    after: first(({ container }) => docker('start', container)),
    load: LONG,
    startsAway: true,
  },
  { name: 'keepalived-kill', moves: 'any', act: signalled('KILL', 'keepalived') },
  { name: 'haproxy-kill', moves: 'any', act: signalled('KILL', 'haproxy') },
  {
    name: 'haproxy-hang',
    moves: 'some',
    act: signalled('STOP', 'haproxy'),
    after: signalled('CONT', 'haproxy'),
  },
  {
    name: 'server-dead',
    moves: 'some',
    act: first(({ container }) => docker('pause', container)),
    after: first(({ container }) => docker('unpause', container)),
  },
]

/** Why a round with so many moves of each address says nothing of the event; undefined where it does. */
export function whyNoRound({ name, moves }: Pick<ConnectionEvent, 'name' | 'moves'>, seen: readonly number[]): string | undefined {
  return moves === 'some' && seen.includes(0) ? `${name} must move the address, and it did not move` : undefined
}
