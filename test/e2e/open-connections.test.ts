/**
 * Open connections while addresses move, as clients see them: on a port of all addresses and on one that is bound to the address by name. The
 * events of an operator keep them; a crash and a network that cannot carry them are told to clients. Needs: any lab. Leaves: the lab's cluster.
 */
import { connect, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { expectExit, labInventory, resultOf } from './support/hactl.ts'
import { CLIENTS, NOTHING, openKept } from './support/kept.ts'
import { openLab, pause, SERVERS, until, watchHolders } from './support/lab.ts'
import { startLoad } from './support/load.ts'
import { openClients } from './support/open.ts'
import { ensureDeployed, services, untilHeldBy } from './support/servers.ts'

const lab = openLab()
const { work, ports, hactl, moved, status, untilProven, underLoad, writeInventory } = openKept(lab)

beforeAll(async () => {
  await ensureDeployed(lab, work)
  for (const server of SERVERS) await moved('undrain', server)
})
beforeEach(async () => {
  await untilHeldBy(lab, 'srv-1')
  await untilProven()
})
afterAll(async () => {
  // The flushed rules are also those by which a container asks the engine for names.
  await lab.reset()
  work.writeInventory(labInventory(lab))
  await ensureDeployed(lab, work)
})
afterEach(async () => {
  await lab.heal()
  for (const server of SERVERS) await moved('undrain', server)
})

test('three servers in turn, and back: nothing is cut, and nobody is refused', async () => {
  const seen = await underLoad(async () => {
    await moved('drain', 'srv-1')
    await moved('drain', 'srv-2')
    await moved('undrain', 'srv-1')
    await moved('undrain', 'srv-2')
  })
  expect(seen).toMatchObject(NOTHING)
})

test('a drain that waits: it ends well once the last connection has ended, and cuts none', async () => {
  const open = await openClients(CLIENTS, ports.any, ports.named)
  await pause(500)
  const drain = work.start(['drain', 'srv-1', '--wait', '60s', '--yes', '--json'])
  const waiting = await drain.line('it waits', line => line.event === 'gate-waiting' && line.gate === 'open-connections')
  expect(waiting.detail).toMatch(/^\d+ connections are still open \(.*any: 60, named: 60\)$/)
  expect(await lab.holders()).toEqual(['srv-2'])
  await pause(3000)
  const seen = await open.stop()
  const run = await drain.ended
  expectExit(run, 0)
  expect(seen).toMatchObject({ kept: 2 * CLIENTS, lost: [] })
  expect(resultOf(run)).toMatchObject({
    drained: true,
    open_connections: [],
    notes: expect.arrayContaining(['no connection is open on srv-1']),
  })
  expect(await status('srv-1')).toMatch(/^instance \S+ none$/m)
})

test('a drain that waits in vain: 9, it says what is open, nothing is cut, and the address comes back with it', async () => {
  const open = await openClients(CLIENTS, ports.any, ports.named)
  await pause(500)
  const run = await hactl('drain', 'srv-1', '--wait', '5s')
  expectExit(run, 9)
  const left = (port: number, frontend: string) => ({ family: 4, port, frontends: [frontend], connections: CLIENTS })
  expect(resultOf(run)).toMatchObject({
    code: 'E_STILL_OPEN',
    why: ['120 connections are still open (any: 60, named: 60)', 'srv-1 stays drained, and nothing was cut'],
    drained: true,
    open_connections: [left(8090, 'any'), left(8092, 'named')],
  })
  const shown = resultOf(await hactl('status')).servers?.[0]
  expect(shown).toMatchObject({ drained: true, open_connections: { mode: 'keep', open: [left(8090, 'any'), left(8092, 'named')] } })
  await moved('undrain', 'srv-1')
  await untilHeldBy(lab, 'srv-1')
  await pause(1000)
  expect(await open.stop()).toMatchObject({ kept: 2 * CLIENTS, lost: [] })
})

test('keepalived stopped, started and restarted: nothing is cut', async () => {
  const seen = await underLoad(async () => {
    await lab.sh('srv-1', 'systemctl stop keepalived')
    await untilHeldBy(lab, 'srv-2')
    await lab.sh('srv-1', 'systemctl start keepalived')
    await untilHeldBy(lab, 'srv-1')
    await lab.sh('srv-1', 'systemctl restart keepalived')
    await untilHeldBy(lab, 'srv-1')
  })
  expect(seen).toMatchObject(NOTHING)
})

test('a better server joins and takes the address over: what is open to the one before is not cut', async () => {
  await lab.sh('srv-1', 'systemctl stop keepalived')
  await untilHeldBy(lab, 'srv-2')
  const seen = await underLoad(async () => {
    await lab.sh('srv-1', 'systemctl start keepalived')
    await untilHeldBy(lab, 'srv-1')
    const said = await status('srv-2')
    for (const line of [/^instance \S+ kept$/m, /^open \S+ 8090 60$/m, /^open \S+ 8092 60$/m]) expect(said).toMatch(line)
  })
  expect(seen).toMatchObject(NOTHING)
})

test('a deploy of another haproxy.cfg, which reloads haproxy: nothing is cut, and the address does not move', async () => {
  const before = await services(lab)
  writeInventory({ defaults: ['timeout client 50s'] })
  const holders = await watchHolders(lab)
  const seen = await underLoad(async () => {
    const run = await hactl('deploy')
    expectExit(run, 0)
    expect(resultOf(run).servers?.map(({ changed }) => changed)).toEqual(SERVERS.map(() => ['file/haproxy.cfg', 'service/haproxy']))
  })
  expect((await holders.stop()).moves).toEqual([])
  expect(seen).toMatchObject(NOTHING)
  // It was reloaded, and not restarted.
  expect(await services(lab)).toEqual(before)
})

test('haproxy restarted: connections that end while the stop waits are not cut, and no new one is lost', async () => {
  const open = await openClients(CLIENTS, ports.any, ports.named)
  const load = await startLoad(`http://${lab.vip}/`)
  await pause(500)
  const restarted = lab.sh('srv-1', 'systemctl restart haproxy')
  await untilHeldBy(lab, 'srv-2')
  await pause(3000)
  expect(await status('srv-1')).toMatch(/^open \S+ 8090 60\nopen \S+ 8092 60$/m)
  const seen = await open.stop()
  await restarted
  await untilHeldBy(lab, 'srv-1')
  const loaded = await load.stop()
  expect(seen).toMatchObject({ kept: 2 * CLIENTS, lost: [] })
  expect(loaded).toMatchObject({ newFailed: 0, newCut: 0, keptFailed: 0, keptCut: 0 })
})

test('while connections are kept, status says where, and others may flush their rules and our service may be reloaded', async context => {
  const seen = await underLoad(async () => {
    await moved('drain', 'srv-1')
    const said = await status('srv-1')
    for (const line of [/^instance \S+ kept$/m, /^open \S+ 8090 60$/m, /^open \S+ 8092 60$/m]) expect(said).toMatch(line)
    expect(await status('srv-2')).toMatch(/^instance \S+ held$/m)
    if ((await status('srv-1')).startsWith('rules ordinary')) context.skip('nft of this release has no owner of tables')
    await lab.everywhere('nft flush ruleset; systemctl reload hactl-open-connections')
    await pause(2000)
    await moved('undrain', 'srv-1')
  })
  expect(seen).toMatchObject(NOTHING)
  await until('nothing is kept on lo once the connections have ended', 15_000, async () =>
    (await lab.everywhere(`ip -o addr show dev lo to ${lab.vip}; ip rule show pref 8945`)).every(
      (text, index) => index === 0 || text === '',
    ),
  )
})

const LOCAL_PORT = 41_000

/** A connection from a port of its own choice, once it is open. */
function dial(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: lab.vip, port: 8090, localPort: LOCAL_PORT })
    socket.once('connect', () => resolve(socket)).once('error', reject)
  })
}

function answerOn(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    socket.once('data', chunk => resolve(chunk.toString('latin1').slice(0, 12)))
    socket.once('error', reject)
    socket.setTimeout(5000, () => reject(new Error('no answer in 5 s')))
    socket.write('GET /health HTTP/1.1\r\nHost: open\r\n\r\n')
  })
}

test('a client that uses its ports again is not taken for the one that the first server still has', async () => {
  const gone = await dial()
  expect(await answerOn(gone)).toBe('HTTP/1.1 200')
  // It is gone without a word: the server goes on keeping its connection.
  await lab.sh('srv-1', `nft 'table ip gag { chain in { type filter hook prerouting priority -400; tcp sport ${LOCAL_PORT} drop; }; }'`)
  gone.resetAndDestroy()
  await pause(300)
  await lab.sh('srv-1', 'nft delete table ip gag')
  await moved('drain', 'srv-1')
  expect(await status('srv-1')).toContain('8090 1')
  const socket = await dial()
  expect(await answerOn(socket)).toBe('HTTP/1.1 200')
  await moved('undrain', 'srv-1')
  await untilHeldBy(lab, 'srv-1')
  expect(await answerOn(socket)).toBe('HTTP/1.1 200')
  socket.destroy()
})

test('an old holder that dies: its clients are told', async () => {
  const open = await openClients(CLIENTS, ports.any, ports.named)
  await moved('drain', 'srv-1')
  await lab.cut('srv-1')
  await pause(6000)
  const seen = await open.stop()
  expect(new Set(seen.lost.map(({ error }) => error))).toEqual(new Set(['ECONNRESET']))
  // Who waits for the answer to a request that the dead server has acknowledged has nothing to send: nothing can tell it.
  expect(seen.lost.length).toBeGreaterThan(CLIENTS)
})

test('a network that drops packets of others: the clients of a move are told at once, and status says so', async () => {
  const guard = (own: string) =>
    `table ip guard { chain leave { type filter hook postrouting priority 0; ip saddr != { 127.0.0.0/8, ${own}, ${lab.vip} } drop; }; }`
  try {
    await Promise.all(SERVERS.map(server => lab.sh(server, `nft '${guard(lab.host(server))}'`)))
    await until('no server counts on its peers', 15_000, async () =>
      (await Promise.all(SERVERS.map(status))).every(said => !/^proven .* yes$/m.test(said)),
    )
    const shown = resultOf(await hactl('status'))
    expect(JSON.stringify(shown)).toMatch(/srv-2/)
    const open = await openClients(CLIENTS, ports.any, ports.named)
    await moved('drain', 'srv-1')
    await pause(1000)
    const seen = await open.stop()
    expect(seen.kept).toBe(0)
    expect(new Set(seen.lost.map(({ error }) => error))).toEqual(new Set(['ECONNRESET']))
  } finally {
    await lab.everywhere('nft delete table ip guard')
  }
})
