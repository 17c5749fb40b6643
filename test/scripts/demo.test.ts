/** The demo: its clients' frontends, what it counts, its table, and the picture that is made of it. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Account, accountOf, accountText, type Result, tableOf } from '../../scripts/demo/account.ts'
import { clientsOf, withFrontends } from '../../scripts/demo/clients.ts'
import { eventsOn } from '../../scripts/demo/events.ts'
import { linesWorthSeeing, renderPicture } from '../../scripts/demo/picture.ts'
import { root } from '../../scripts/support/places.ts'
import { shippedDrills } from '../../src/app/drills.ts'
import { buildInventory } from '../../src/app/setup.ts'
import { parseInventory } from '../../src/inventory/parse.ts'

const VIP = '198.18.66.200'

/** The inventory that setup writes for the answers that the demo gives. */
function setupInventory(): string {
  const nothing = { interface: undefined, virtualRouterId: undefined, sshUser: undefined, identityFile: undefined, knownHosts: undefined }
  const server = (name: string, host: string) => ({ name, host, user: undefined, port: undefined })
  return buildInventory({
    ...nothing,
    servers: [server('srv-1', '198.18.66.11'), server('srv-2', '198.18.66.12')],
    vips: [`${VIP}/24`],
    haproxy: { kind: 'backends', bind: [':80'], mode: 'http', servers: [{ name: 'app-1', address: '198.18.66.21:80' }] },
    cluster: 'demo',
    profile: 'classic',
    emails: [],
  }).text
}

describe('the frontends of the clients', () => {
  test('are added to what setup writes, after the one that the probes ask', () => {
    const { inventory, issues } = parseInventory(withFrontends(setupInventory(), VIP, '198.18.66.241') ?? '', 'inventory.yml')
    expect(issues).toEqual([])
    const { frontends = [], backends = [] } = inventory?.haproxy ?? {}
    expect(frontends.map(({ name }) => name)).toEqual(['web', 'lines', 'people'])
    const { ports } = clientsOf(VIP)
    expect(frontends.flatMap(({ bind }) => bind)).toEqual([':80', `:${ports.wild}`, `${VIP}:${ports.named}`, `:${ports.http}`])
    expect(backends.map(({ name }) => name)).toEqual(expect.arrayContaining(['app', 'lines', 'people']))
  })

  test('have no place in an inventory with an haproxy.cfg of its own', () => {
    expect(withFrontends('haproxy:\n  config: haproxy.cfg\n', VIP, '198.18.66.241')).toBeUndefined()
  })
})

test('the drills of the demo are drills that hactl ships', () => {
  const shipped = shippedDrills(readdirSync(join(root, 'playbooks/drills'))).map(({ name }) => name)
  const words = eventsOn('srv-1').flatMap(({ commands }) => [...commands.classic, ...commands.fast])
  const drills = words.flatMap(([verb, flag, name]) => (verb === 'verify-failover' && flag === '--drill' ? [name] : []))
  expect(drills).toHaveLength(5)
  expect(shipped).toEqual(expect.arrayContaining(drills))
})

const share = (lost: number, of: number) => ({ lost, of })
const QUIET = { open: share(0, 48), transfers: share(0, 3), fresh: share(0, 700), keptAlive: share(0, 900), cutAfterMs: undefined }
const CUT = {
  open: share(47, 48),
  transfers: share(3, 3),
  fresh: share(30, 700),
  keptAlive: share(2, 900),
  cutAfterMs: [420, 2100],
} as const

type Drill = NonNullable<Result['drills']>[number]
const drill = (over: Partial<Drill> = {}): Result => ({
  exit: 0,
  drills: [{ drill: 'haproxy-stop', verdict: 'passed', outage_ms: 6250, failback_outage_ms: 0, reasons: [], ...over }],
})
const moved = (from: string, to: string | null, outage = 0): Result => ({
  exit: 0,
  vips: [{ address: VIP, from, to, outage_ms: outage }],
})
const account = (over: Partial<Parameters<typeof accountOf>[0]> = {}): Account =>
  accountOf({ event: 'a stop', profile: 'classic', results: [drill()], seen: CUT, isDisturbanceKnown: true, ...over })

describe('what an event cost', () => {
  test('is what all clients lost, and the longest time without an answer on both ways', () => {
    const seen = account({ results: [drill({ outage_ms: 310, failback_outage_ms: 640 })] })
    expect(seen).toMatchObject({ requests: share(32, 1600), open: share(50, 51), outageMs: 640, cutAfterMs: 420, problems: [] })
    expect(accountText(seen)).toBe('clients: 32 of 1600 requests lost, open connections: 50 of 51 cut after 0.4 s')
  })

  test('of several commands is the longest of theirs', () => {
    expect(account({ results: [moved('srv-1', 'srv-2', 20), moved('srv-2', 'srv-1', 60)] }).outageMs).toBe(60)
  })

  test('has no figure where the address did not answer again, and where nothing was measured', () => {
    expect(account({ results: [drill({ failback_outage_ms: null })] }).outageMs).toBeUndefined()
    expect(account({ results: [] }).outageMs).toBeUndefined()
  })

  test('says when connections were cut only where the disturbance is known', () => {
    expect(accountText(account({ isDisturbanceKnown: false }))).toMatch(/: 50 of 51 cut$/)
    expect(accountText(account({ seen: { ...CUT, cutAfterMs: [-20, 30] } }))).toMatch(/: 50 of 51 cut at once$/)
    expect(accountText(account({ seen: QUIET }))).toMatch(/: all 51 kept$/)
  })

  test.for([
    ['a drill that failed, with its reasons', [drill({ verdict: 'failed', reasons: ['too slow'] })], ['haproxy-stop failed; too slow']],
    ['a drill that was refused', [drill({ verdict: 'refused' })], ['haproxy-stop refused']],
    ['an address that did not move', [moved('srv-1', null), moved('srv-1', 'srv-1')], [`${VIP} did not move`, `${VIP} did not move`]],
    ['another exit status', [{ ...moved('srv-1', 'srv-2'), exit: 9 }], ['hactl ended with exit 9']],
  ] as const)('names %s', ([, results, problems]) => {
    expect(account({ results }).problems).toEqual(problems.map(problem => `a stop, profile classic: ${problem}`))
  })
})

const ACCOUNTS = eventsOn('srv-1').flatMap(({ name }) => [
  account({ event: name }),
  account({ event: name, profile: 'fast', seen: QUIET, results: [drill({ outage_ms: 0 })] }),
])

describe('the table', () => {
  test('has the profiles side by side, and three rows for each event', () => {
    expect(tableOf(ACCOUNTS).slice(0, 5)).toEqual([
      '                                  profile classic            profile fast',
      'planned move, and back',
      '  requests lost                   32 of 1600                 0 of 1600',
      '  longest without an answer       6.25 s                     0 ms',
      '  open connections                50 of 51 cut after 0.4 s   all 51 kept',
    ])
  })

  test('fits into a terminal of 100 columns', () => {
    const [open, requests] = [share(48, 48), share(99_999, 99_999)]
    const seen = { open, transfers: share(3, 3), fresh: requests, keptAlive: requests, cutAfterMs: [100_000, 100_000] } as const
    const wide = ACCOUNTS.flatMap(({ event }) =>
      (['classic', 'fast'] as const).map(profile => account({ event, profile, seen, results: [drill({ outage_ms: null })] })),
    )
    expect(Math.max(...tableOf(wide).map(line => line.length))).toBeLessThanOrEqual(100)
  })
})

/** What the demo prints, as far as the picture depends on it. */
const PRINTED = `
built
== 1 of 4: an inventory, from a few answers

$ hactl setup --yes \\
    --vip=${VIP}/24
# Inventory for hactl. Check it with: hactl check
inventory.yml is written. Next: hactl check, then hactl deploy

# frontends for the clients of this demo are added
== 3 of 4: the address moves
# clients: 40 TCP connections
#   10 kept-alive clients

${eventsOn('srv-1')
  .map(({ name, commands }) => `# ${name}\n\n$ hactl ${commands.fast[0]?.join(' ')}\nwords & <words>\n${accountText(account())}\n`)
  .join('\n')}
== what clients of the virtual address saw

${tableOf(ACCOUNTS).join('\n')}

The demo took 120 s
taking the lab down
`

describe('the picture', () => {
  test('shows the commands and what clients saw, and marks what it leaves out', () => {
    expect(linesWorthSeeing(PRINTED)).toEqual([
      '== 1 of 4: an inventory, from a few answers',
      '',
      '$ hactl setup --yes \\',
      `    --vip=${VIP}/24`,
      '  ...',
      '',
      '== 3 of 4: the address moves',
      '# clients: 40 TCP connections',
      '#   10 kept-alive clients',
      ...eventsOn('srv-1').flatMap(({ commands }) => [
        `$ hactl ${commands.fast[0]?.join(' ')}`,
        '  ...',
        'clients: 32 of 1600 requests lost, open connections: 50 of 51 cut after 0.4 s',
      ]),
      '',
      '== what clients of the virtual address saw',
      ...tableOf(ACCOUNTS),
      'The demo took 120 s',
    ])
  })

  test('paints what became of open connections, and keeps every line', () => {
    const lines = linesWorthSeeing(PRINTED)
    const svg = renderPicture([...lines, 'a < b & c'])
    expect(svg.match(/<text /g)).toHaveLength(lines.filter(line => line !== '').length + 1)
    expect(svg).toContain('<tspan class="f">50 of 51 cut after 0.4 s</tspan>   <tspan class="p">all 51 kept</tspan></text>')
    expect(svg).toContain('>a &lt; b &amp; c</text>')
  })
})
