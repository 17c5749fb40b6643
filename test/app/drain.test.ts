import { describe, expect, test } from 'vitest'
import { drainWorld, type DrainWorld, INVENTORY, keeping, VIP } from '../support/drain-world.ts'
import { asHactlError, type HactlError } from '../../src/errors.ts'
import { verdictOn } from '../../src/exit-status.ts'
import { connectionLost } from '../support/remote.ts'

describe('drain', () => {
  test('lowers the priority of the holder, waits until another server holds its address, and says what users noticed', async () => {
    const world = drainWorld()
    const report = await world.drain('srv-1')
    expect(world.writes).toEqual(['drain -253 srv-1'])
    expect(report).toMatchObject({ server: 'srv-1', drained: true, survivesReboot: false, changed: true, failure: undefined, notes: [] })
    expect(report.vips).toEqual([
      { address: VIP, from: 'srv-1', to: 'srv-2', outageMs: 0, failedProbes: 0, probes: expect.any(Number), errors: [] },
    ])
    // keepalived on srv-1 drops the address before srv-2 has it.
    expect(world.answering).toEqual(['srv-1'])
    // The probes of a second before the move, of the move itself and of a second after it.
    expect(report.vips[0]?.probes).toBeGreaterThan(120)
  })

  test('waits until packets of open connections reach the server that has them', async () => {
    const world = drainWorld()
    const provenMs = world.clock.monotonic() + 3000
    let movedMs = Number.NaN
    world.beforeWrite = () => void (movedMs = world.clock.monotonic())
    // The way to srv-3 does not matter: it neither has the address nor takes it next.
    world.openConnections = () =>
      `running\nrules owner\nproven VRRP1 srv-1 ${world.clock.monotonic() < provenMs ? 'no' : 'yes'}\nproven VRRP1 srv-3 no\n`
    await world.drain('srv-1')
    expect(movedMs).toBeGreaterThan(provenMs)
    expect(world.events.filter(event => event.kind === 'warning')).toEqual([])
  })

  test('says that a move cuts open connections where packets of theirs do not reach the server that has them, and waits no longer', async () => {
    const world = drainWorld()
    world.openConnections = () => 'running\nrules owner\nproven VRRP1 srv-1 no\n'
    expect(await world.drain('srv-1')).toMatchObject({ drained: true })
    const text = "srv-2: packets with a client's address do not reach srv-1 from here (VRRP1): a move between the two cuts open connections"
    expect(world.events.filter(event => event.kind === 'warning')).toEqual([{ kind: 'warning', text }])
    // Before the question too, and what is cut is ended.
    expect(world.announced).toMatchObject([{ vips: [{ isKept: false }], warnings: [text] }])
    expect(world.answering).toEqual(['srv-1'])
  })

  test('does not take connections for cut before a service that has just started could show that packets arrive', async () => {
    const world = drainWorld()
    const provenMs = world.clock.monotonic() + 3000
    world.openConnections = () =>
      world.clock.monotonic() < provenMs ? 'running\nfresh\nrules owner\nproven VRRP1 srv-1 no\n' : 'running\nrules owner\n'
    await world.drain('srv-1')
    expect(world.announced).toMatchObject([{ vips: [{ isKept: true }], warnings: [] }])
    expect(world.answering).toEqual([])
  })

  test('says before the question that a server that cannot send their packets on takes the address, and does not wait for what was cut', async () => {
    const world = drainWorld()
    world.openConnections = server => {
      if (server !== 'srv-1') return 'unable nft-missing\n'
      return world.holder === 'srv-1' ? `${keeping({})}instance VRRP1 held\n` : keeping({ 80: 12 })
    }
    const { notes, failure } = await world.drain('srv-1', { waitMs: 60_000 })
    const text = 'srv-2: nftables is not installed: a move to it cuts open connections'
    expect(world.announced).toMatchObject([{ vips: [{ isKept: false }], warnings: [text] }])
    expect(world.answering).toEqual(['srv-1'])
    const why = 'the server that has their address does not send their packets on, so the move has cut them'
    expect({ notes, failure }).toEqual({
      notes: [`there is nothing to wait for: srv-1 keeps no open connections: ${why}`],
      failure: undefined,
    })
  })

  test('leaves the connections of a service alone that has not loaded its present files: it keeps them with the earlier ones', async () => {
    const world = drainWorld()
    world.openConnections = () => 'running\noutdated\nrules owner,persist\nable\n'
    await world.drain('srv-1')
    expect(world.announced).toMatchObject([{ vips: [{ isKept: true }], warnings: [] }])
    expect(world.answering).toEqual([])
  })

  test('says before the question, and before the move, that the service that keeps open connections is down', async () => {
    const world = drainWorld()
    world.openConnections = server => (server === 'srv-1' ? 'stopped\n' : 'running\nrules owner\n')
    await world.drain('srv-1')
    const text =
      'srv-1: hactl-open-connections.service does not run: a planned move cuts the open connections of this server (hactl deploy fixes it)'
    expect(world.announced.map(({ warnings }) => warnings)).toEqual([[text]])
    expect(world.events.filter(event => event.kind === 'warning')).toEqual([{ kind: 'warning', text }])
    await world.undrain('srv-1')
    expect(world.announced.at(-1)?.warnings).toEqual([text])
  })

  test('counts lost probes and their errors', async () => {
    const world = drainWorld()
    world.lostProbes = 3
    const { vips } = await world.drain('srv-1')
    expect(vips).toEqual([expect.objectContaining({ to: 'srv-2', failedProbes: 3, outageMs: 72, errors: ['ECONNRESET'] })])
  })

  test('is undone where the new holder does not answer, however long each answer takes', async () => {
    const world = drainWorld()
    world.lostProbes = Infinity
    const run = world.newRun()
    const probe: typeof run.probe = async (target, signal) => {
      const answer = await run.probe(target, signal)
      await world.clock.sleep(1200)
      return { ...answer, tookMs: answer.tookMs + 1200 }
    }
    const report = await world.drain('srv-1', {}, { ...run, probe })
    expect(report).toMatchObject({ drained: false, failure: { why: [`${VIP} does not answer every probe`] } })
    expect(world.writes).toEqual(['drain -253 srv-1', 'drain 0 srv-1'])
  })

  test('asks first, with the addresses and the connections on them, and changes nothing without a yes', async () => {
    const world = drainWorld()
    world.confirms = false
    expect(await world.failedDrain('srv-1')).toMatchObject({ code: 'E_DECLINED', exit: 3 })
    expect(world.announced).toEqual([
      { command: 'drain', server: 'srv-1', vips: [{ address: VIP, holder: 'srv-1', connections: 7, isKept: false }], warnings: [] },
    ])
    expect(world.writes).toEqual([])
  })

  test('also lowers the priority of a backup, without anything to measure', async () => {
    const world = drainWorld()
    expect(await world.drain('srv-2')).toMatchObject({ drained: true, vips: [], failure: undefined })
    expect(world.writes).toEqual(['drain -253 srv-2'])
    expect(world.holder).toBe('srv-1')
  })

  test('takes the offset back where nobody takes over, and ends with 7', async () => {
    const world = drainWorld()
    world.takeoverMs = undefined
    const report = await world.drain('srv-1')
    expect(world.writes).toEqual(['drain -253 srv-1', 'drain 0 srv-1'])
    expect(report).toMatchObject({ drained: false, changed: false, failure: { code: 'E_FAILOVER_NONE', server: 'srv-1' } })
    expect(report.failure?.message).toBe('no other server took its addresses over: the drain was undone')
    expect(report.failure?.why).toEqual([`${VIP} is on srv-1`])
    expect(report.vips).toEqual([expect.objectContaining({ to: undefined, failedProbes: 0 })])
    expect(world.events).toContainEqual(expect.objectContaining({ kind: 'restored', server: 'srv-1' }))
  })

  test('takes nothing back once the lock was broken before the change: the present state belongs to others', async () => {
    const world = drainWorld()
    world.isLockBroken = true
    expect(await world.failedDrain('srv-1')).toMatchObject({ code: 'E_LOCKED', exit: 5, server: 'srv-1' })
    expect(world.writes).toEqual([])
  })

  test('takes the offset back where the lock is gone, but not while another run has it', async () => {
    const world = drainWorld()
    world.takeoverMs = undefined
    world.beforeWrite = () => void (world.isLockBroken = true)
    await world.drain('srv-1')
    expect(world.writes).toEqual(['drain -253 srv-1', 'drain 0 srv-1'])
    const other = drainWorld()
    other.takeoverMs = undefined
    other.beforeWrite = () => void (other.isLockTaken = true)
    expect(await other.failedDrain('srv-1')).toMatchObject({
      code: 'E_UNDO_FAILED',
      exit: 8,
      fix: expect.stringContaining('hactl undrain srv-1'),
    })
    expect(other.writes).toEqual(['drain -253 srv-1'])
  })

  test('takes the offset back when it is interrupted', async () => {
    const world = drainWorld()
    world.takeoverMs = undefined
    world.beforeWrite = write => void (write === 'drain -253' && world.abort.abort('SIGINT'))
    expect(await world.failedDrain('srv-1')).toMatchObject({ code: 'E_INTERRUPTED', exit: 130 })
    expect(world.writes).toEqual(['drain -253 srv-1', 'drain 0 srv-1'])
  })

  test('takes the offset back over a new connection where the first was lost', async () => {
    const world = drainWorld()
    world.beforeWrite = (write, server) => {
      if (write !== 'drain -253') return
      world.sessions.get(server)?.lose()
      throw connectionLost(server)
    }
    expect(await world.failedDrain('srv-1')).toMatchObject({ code: 'E_CONNECTION_LOST' })
    expect(world.writes).toEqual(['drain 0 srv-1'])
  })

  test('ends with 8 and the command to run where the offset cannot be taken back', async () => {
    const world = drainWorld()
    world.takeoverMs = undefined
    world.beforeWrite = (write, server) => {
      if (write !== 'drain 0') return
      world.unreachable.add(server)
      throw connectionLost(server)
    }
    expect(await world.failedDrain('srv-1')).toMatchObject({
      code: 'E_UNDO_FAILED',
      exit: 8,
      fix: expect.stringContaining('on srv-1, as root: echo 0 > /run/hactl/.drain'),
    })
  })

  test('does not start where the address stops answering before the change', async () => {
    const world = drainWorld()
    const run = world.newRun()
    let asked = 0
    const probe: typeof run.probe = (target, signal) =>
      asked++ === 0 ? run.probe(target, signal) : Promise.resolve({ ok: false, error: 'HTTP 503', tookMs: 1 })
    await expect(world.drain('srv-1', {}, { ...run, probe })).rejects.toMatchObject({
      code: 'E_UNHEALTHY',
      message: 'drain not started: the virtual addresses are not healthy',
    })
    expect(world.writes).toEqual([])
  })

  test('refuses where no server is left to take over, with the reason for each', async () => {
    const world = drainWorld()
    world.drains.set('srv-2', -253)
    world.stopped.add('srv-3')
    expect(await world.failedDrain('srv-1')).toMatchObject({
      code: 'E_UNHEALTHY',
      exit: 5,
      why: ['nobody is left to take over from srv-1', 'srv-2: is drained itself', 'srv-3: haproxy is inactive; VRRP1 is in state FAULT'],
    })
    expect(world.writes).toEqual([])
  })

  test('with --force says what it costs and lowers the last server too: the address stays where it is', async () => {
    const world = drainWorld()
    world.drains.set('srv-2', -253).set('srv-3', -253)
    const report = await world.drain('srv-1', { force: true })
    expect(world.announced[0]?.warnings).toContain(
      `${VIP} stays on srv-1 until another server is healthy, and moves to that server at once`,
    )
    expect(report).toMatchObject({ drained: true, failure: undefined })
    expect(report.vips).toEqual([expect.objectContaining({ from: 'srv-1', to: undefined, failedProbes: 0 })])
  })

  test('warns when one server is left', async () => {
    const world = drainWorld()
    world.drains.set('srv-3', -253)
    expect((await world.drain('srv-1')).notes).toEqual(['srv-2 is the only server left: no server can take over from it'])
  })

  test('does nothing to a server that is drained, and says so', async () => {
    const world = drainWorld()
    world.drains.set('srv-2', -253)
    expect(await world.drain('srv-2')).toMatchObject({ drained: true, changed: false, notes: ['srv-2 is already drained'] })
    expect(world.announced).toEqual([])
    expect(world.writes).toEqual([])
  })

  test('refuses on the classic profile, which has no track file, also with --force', async () => {
    const world = drainWorld()
    world.profile = 'classic'
    expect(await world.failedDrain('srv-1', { force: true })).toMatchObject({
      code: 'E_UNHEALTHY',
      why: [expect.stringContaining('the classic profile cannot hand over without loss')],
      fix: expect.stringContaining('profile: fast'),
    })
  })

  test('does not connect for a server that is not in the inventory, or that --limit leaves out', async () => {
    const world = drainWorld()
    expect(await world.failedDrain('srv-9')).toMatchObject({ code: 'E_USAGE', fix: 'its servers are srv-1, srv-2, srv-3' })
    expect(await world.failedDrain('srv-1', { limit: ['srv-2'] })).toMatchObject({ code: 'E_USAGE' })
    expect(world.sessions.size).toBe(0)
  })

  test('needs every server in reach, or --limit to leave the dead one out', async () => {
    const world = drainWorld()
    world.unreachable.add('srv-3')
    expect(await world.failedDrain('srv-1')).toMatchObject({ exit: 4, server: 'srv-3' })
    expect((await world.drain('srv-1', { limit: ['srv-1', 'srv-2'] })).vips).toEqual([expect.objectContaining({ to: 'srv-2' })])
  })

  test('gives the address up where no server preempts: keepalived takes -254 as FAULT', async () => {
    const world = drainWorld()
    world.inventory = INVENTORY.replace('virtual_router_id: 66', 'virtual_router_id: 66, nopreempt: true')
    await world.drain('srv-1')
    expect(world.writes).toEqual(['drain -254 srv-1'])
  })

  test('lets a server send the probes where the controller has no way to the address', async () => {
    const world = drainWorld()
    world.isReachedByController = false
    const { vips } = await world.drain('srv-1')
    expect(vips).toEqual([expect.objectContaining({ to: 'srv-2', failedProbes: 0 })])
    expect(vips[0]?.probes).toBeGreaterThan(50)
    // srv-2 must not send them: probes from the new holder never leave it.
    expect(world.events).toContainEqual({ kind: 'note', text: expect.stringContaining('srv-3 sends the probes') })
  })
})

describe('drain --persist', () => {
  test('writes the file that the next boot reads once the address has moved', async () => {
    const world = drainWorld()
    expect(await world.drain('srv-1', { persist: true })).toMatchObject({ drained: true, survivesReboot: true })
    expect(world.writes).toEqual(['drain -253 srv-1', 'persist srv-1'])
  })

  test('leaves no such file where the drain failed', async () => {
    const world = drainWorld()
    world.takeoverMs = undefined
    await world.drain('srv-1', { persist: true })
    expect(world.persistent).toEqual(new Set())
  })

  test('makes an earlier drain last over a reboot', async () => {
    const world = drainWorld()
    world.drains.set('srv-2', -253)
    expect(await world.drain('srv-2', { persist: true })).toMatchObject({ drained: true, survivesReboot: true, changed: true })
    expect(world.writes).toEqual(['persist srv-2'])
  })
})

describe('drain, what is still open', () => {
  const waits = (world: DrainWorld) => world.events.filter(event => 'gate' in event && event.gate === 'open-connections')
  /** srv-1 has so many open for each look after the address has left, the last number for all later ones. */
  const openThen = (world: DrainWorld, ...counts: readonly number[]) => {
    let looks = 0
    world.openConnections = server => {
      if (server !== 'srv-1' || world.holder === 'srv-1') return 'running\nrules owner,persist\nable\ninstance VRRP1 held\n'
      const count = counts[Math.min(looks++, counts.length - 1)] ?? 0
      return keeping(count === 0 ? {} : { 80: count })
    }
  }

  test('is said at the end, by frontend, without waiting for it', async () => {
    const world = drainWorld()
    openThen(world, 12)
    const report = await world.drain('srv-1')
    expect(report).toMatchObject({
      drained: true,
      failure: undefined,
      notes: ['srv-1: 12 connections are still open (web: 12)'],
      open: [{ instance: 'VRRP1', port: 80, frontends: ['web'], connections: 12 }],
    })
    expect(waits(world)).toEqual([])
  })

  test('ends with --wait before the command does, and each look says how many are left', async () => {
    const world = drainWorld()
    // The first look is the last one of the move itself.
    openThen(world, 12, 12, 3, 0)
    const report = await world.drain('srv-1', { waitMs: 600_000 })
    expect(report).toMatchObject({ drained: true, failure: undefined, notes: ['no connection is open on srv-1'], open: [] })
    const title = 'its open connections end (at most 600 s)'
    const gate = { gate: 'open-connections', title, servers: ['srv-1'] }
    expect(waits(world)).toEqual([
      { kind: 'gate-waiting', ...gate, detail: '12 connections are still open (web: 12)' },
      { kind: 'gate-waiting', ...gate, detail: '3 connections are still open (web: 3)' },
      { kind: 'gate-passed', ...gate, durationMs: 2000 },
    ])
  })

  test('at the end of the time leaves the server drained: 9, with what is open', async () => {
    const world = drainWorld()
    openThen(world, 2)
    const run = world.newRun()
    const report = await world.drain('srv-1', { waitMs: 90_000 }, run)
    expect(report).toMatchObject({
      drained: true,
      changed: true,
      open: [{ port: 80, connections: 2 }],
      failure: {
        code: 'E_STILL_OPEN',
        server: 'srv-1',
        message: 'this server is not free of connections after 90 s',
        why: ['2 connections are still open (web: 2)', 'srv-1 stays drained, and nothing was cut'],
      },
    })
    expect(verdictOn(report.failure as HactlError, run).exit).toBe(9)
    expect(world.writes).toEqual(['drain -253 srv-1'])
    // A long wait looks less and less often.
    expect(waits(world).length).toBeLessThan(40)
  })

  test('is waited for without the lock', async () => {
    const world = drainWorld()
    openThen(world, 2)
    let isLocked: boolean | undefined
    const { openConnections } = world
    world.openConnections = server => {
      if (waits(world).length === 1) isLocked = !world.sessions.get('srv-1')?.calls.some(call => call.startsWith('release_lock'))
      return openConnections(server)
    }
    await world.drain('srv-1', { waitMs: 5000 })
    expect(isLocked).toBe(false)
  })

  test('is waited for also where the server was drained before', async () => {
    const world = drainWorld()
    world.drains.set('srv-1', -253)
    world.holder = 'srv-2'
    openThen(world, 4, 4, 0)
    expect(await world.drain('srv-1', { waitMs: 60_000 })).toMatchObject({ changed: false, failure: undefined, open: [] })
    expect(waits(world).map(({ kind }) => kind)).toEqual(['gate-waiting', 'gate-passed'])
  })

  test('is not known where the service does not answer, which is not nothing', async () => {
    const world = drainWorld()
    world.openConnections = () => 'running\nable\n'
    const report = await world.drain('srv-1', { waitMs: 3000 })
    expect(report).toMatchObject({
      open: undefined,
      failure: { code: 'E_STILL_OPEN', why: ['srv-1 does not say what is still open there', expect.any(String)] },
    })
  })

  test('does not count as ended while the service starts again', async () => {
    const world = drainWorld()
    openThen(world, 5)
    const { openConnections } = world
    world.openConnections = server => (waits(world).length === 0 ? openConnections(server) : 'stopped\nable\n')
    const { failure } = await world.drain('srv-1', { waitMs: 10_000 })
    expect(failure?.why[0]).toBe('srv-1 keeps no open connections: hactl-open-connections.service does not run')
  })

  test('does not count as ended once the address has come back', async () => {
    const world = drainWorld()
    openThen(world, 5)
    const { openConnections } = world
    world.openConnections = server => {
      const said = openConnections(server)
      if (waits(world).length === 1) world.holder = 'srv-1'
      return said
    }
    const { failure } = await world.drain('srv-1', { waitMs: 10_000 })
    expect(failure?.why[0]).toBe(`srv-1 still holds ${VIP} and its connections`)
  })

  test.each([
    ['the inventory says reset', 'open_connections: reset\n', undefined, 'open_connections is reset'],
    ['the service does not run', '', 'stopped\nable\n', 'hactl-open-connections.service does not run'],
    ['the kernel cannot', '', 'unable nft-missing\n', 'nftables is not installed'],
  ] as const)('is nothing to wait for where %s, and --wait says so', async (_, key, said, why) => {
    const world = drainWorld()
    world.inventory = key + INVENTORY
    world.openConnections = () => said
    const { notes, failure } = await world.drain('srv-1', { waitMs: 60_000 })
    expect({ notes, failure }).toEqual({
      notes: [`there is nothing to wait for: srv-1 keeps no open connections: ${why}`],
      failure: undefined,
    })
    expect(waits(world)).toEqual([])
  })

  test('is waited for where packets arrive there only some seconds after the move, whoever has the address then', async () => {
    const world = drainWorld()
    openThen(world, 5, 5, 5, 5, 5, 0)
    const { openConnections } = world
    let looks = 0
    world.openConnections = server =>
      server === 'srv-2' && world.holder === 'srv-2' && ++looks <= 3 ? `${keeping({})}proven VRRP1 srv-1 no\n` : openConnections(server)
    const { notes, failure } = await world.drain('srv-1', { waitMs: 60_000 })
    expect({ notes, failure }).toEqual({ notes: ['no connection is open on srv-1'], failure: undefined })
    expect(waits(world).map(({ kind }) => kind)).toContain('gate-waiting')
  })

  test('is waited for also while another server is out of reach', async () => {
    const world = drainWorld()
    openThen(world, 5, 5, 3, 0)
    const { openConnections } = world
    world.openConnections = server => {
      if (server === 'srv-3' && waits(world).length > 0) throw connectionLost(server)
      return openConnections(server)
    }
    expect(await world.drain('srv-1', { waitMs: 60_000 })).toMatchObject({ failure: undefined, open: [] })
  })

  test('is nothing to wait for where the new holder cannot send packets there', async () => {
    const world = drainWorld()
    openThen(world, 5)
    const { openConnections } = world
    world.openConnections = server => (server === 'srv-2' ? `${keeping({})}proven VRRP1 srv-1 no\n` : openConnections(server))
    const { notes, failure } = await world.drain('srv-1', { waitMs: 60_000 })
    const why = 'the network does not carry their packets to it, so the move has cut them'
    expect({ notes, failure }).toEqual({
      notes: [`there is nothing to wait for: srv-1 keeps no open connections: ${why}`],
      failure: undefined,
    })
  })

  test.each([
    ['a drain that moves nothing', false],
    ['a server that was drained before', true],
  ])('is everything where the server still has its address: 9 after %s', async (_, isDrained) => {
    const world = drainWorld()
    world.drains.set('srv-2', -253).set('srv-3', -253)
    if (isDrained) world.drains.set('srv-1', -253)
    const run = world.newRun()
    const { failure } = await world.drain('srv-1', { force: true, waitMs: 60_000 }, run)
    expect(failure).toMatchObject({ code: 'E_STILL_OPEN', why: [`srv-1 still holds ${VIP} and its connections`, expect.any(String)] })
    expect(verdictOn(failure as HactlError, run).exit).toBe(9)
  })

  test.each([
    ['an interrupt', (world: DrainWorld) => world.abort.abort('SIGINT'), 'E_INTERRUPTED'],
    [
      'a fault of hactl itself',
      () => {
        throw new TypeError('no such thing')
      },
      'E_INTERNAL',
    ],
  ] as const)('is not hidden by %s in the last look', async (_, strike, code) => {
    const world = drainWorld()
    world.openConnections = server => {
      const isLastLook = world.sessions.get('srv-1')?.calls.some(call => call.startsWith('release_lock')) === true
      if (server === 'srv-1' && isLastLook) strike(world)
      return keeping({})
    }
    await expect(world.drain('srv-1')).rejects.toSatisfy(thrown => asHactlError(thrown).code === code)
  })

  test('leaves the server drained when it is interrupted while it waits, and says so', async () => {
    const world = drainWorld()
    openThen(world, 2)
    const { openConnections } = world
    world.openConnections = server => {
      if (waits(world).length === 2) world.abort.abort('SIGINT')
      return openConnections(server)
    }
    const report = await world.drain('srv-1', { waitMs: 600_000 })
    expect(report).toMatchObject({
      drained: true,
      failure: { code: 'E_INTERRUPTED', why: ['srv-1 stays drained, and nothing was cut'], fix: 'hactl undrain srv-1' },
    })
    expect(world.writes).toEqual(['drain -253 srv-1'])
  })
})

describe('undrain', () => {
  test('gives the priority back, waits until the address returns, and measures that', async () => {
    const world = drainWorld()
    world.drains.set('srv-1', -253)
    world.persistent.add('srv-1')
    world.holder = 'srv-2'
    const report = await world.undrain('srv-1')
    // The file is removed first: if the run stops in between, the server is still drained and says so.
    expect(world.writes).toEqual(['forget srv-1', 'drain 0 srv-1'])
    expect(world.answering).toEqual(['srv-2'])
    expect(world.announced[0]?.vips).toEqual([{ address: VIP, holder: 'srv-2', connections: 7, isKept: false }])
    expect(report).toMatchObject({ drained: false, survivesReboot: false, changed: true, failure: undefined })
    expect(report.vips).toEqual([expect.objectContaining({ from: 'srv-2', to: 'srv-1', outageMs: 0, failedProbes: 0 })])
  })

  test('moves nothing where another server has a higher priority', async () => {
    const world = drainWorld()
    world.drains.set('srv-2', -253)
    expect(await world.undrain('srv-2')).toMatchObject({ changed: true, vips: [], failure: undefined })
    expect(world.holder).toBe('srv-1')
  })

  test('stays undrained and ends with 7 where the address does not return', async () => {
    const world = drainWorld()
    world.drains.set('srv-1', -253)
    world.holder = 'srv-2'
    world.takeoverMs = undefined
    const report = await world.undrain('srv-1')
    const message = 'undrained, but it has not taken its addresses back'
    expect(report).toMatchObject({ drained: false, failure: { code: 'E_FAILOVER_NONE', message } })
    expect(world.writes).toEqual(['forget srv-1', 'drain 0 srv-1'])
  })

  test('does nothing to a server that is not drained', async () => {
    const world = drainWorld()
    expect(await world.undrain('srv-1')).toMatchObject({ drained: false, changed: false, notes: ['srv-1 is not drained'] })
    expect(world.writes).toEqual([])
  })

  test('says what keeps the server from taking over', async () => {
    const world = drainWorld()
    world.drains.set('srv-1', -253)
    world.stopped.add('srv-1')
    world.holder = 'srv-2'
    expect((await world.undrain('srv-1')).notes).toEqual([expect.stringContaining('srv-1 cannot take over yet: haproxy is inactive')])
  })
})
