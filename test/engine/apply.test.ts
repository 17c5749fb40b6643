import { describe, expect, test } from 'vitest'
import type { FirstPart } from '../../src/engine/apply.ts'
import { HactlError, HactlErrors } from '../../src/errors.ts'
import { interrupted } from '../support/clock.ts'
import { type ApplyWorld, applyWorld, file, SERVERS, STOP_TIMEOUT_MS } from '../support/apply-world.ts'
import { failureOf } from '../support/failure.ts'
import type { Action } from '../../src/state/plan.ts'
import { connectionLost, unreachable } from '../support/remote.ts'

const timeout = (server: string) => new HactlError({ code: 'E_COMMAND_TIMEOUT', server, what: 'it took too long' })
const refused = { code: 1, stdout: '@@step check/haproxy.cfg check\nunknown keyword\n@@fail check/haproxy.cfg refused by haproxy' }
const failed = { code: 1, stdout: '@@step service/haproxy reload haproxy\n@@fail service/haproxy systemctl reload failed' }

/** Makes one step at one place end like this, every time. */
function breakAt(world: ApplyWorld, where: string, how: Error | { readonly code: number }): void {
  world.before = (step, server) => {
    if (`${step} ${server}` !== where) return undefined
    if (how instanceof Error) throw how
    return how
  }
}

const outcome = (world: ApplyWorld, changeClass?: 'local' | 'together') => failureOf(world.state, () => world.apply(changeClass))

const steps = (world: ApplyWorld, word: string) => world.log.filter(entry => entry.startsWith(word))

describe('applying a plan', () => {
  test('prepares all servers, switches the waves in turn with a gate after each, checks the whole cluster, and writes the history', async () => {
    const world = applyWorld()
    await world.apply()
    expect(world.log).toEqual([
      'prepare srv-1',
      'prepare srv-2',
      'prepare srv-3',
      'switch srv-3',
      'gate vip-answers srv-3',
      'switch srv-2',
      'gate vip-answers srv-2',
      'switch srv-1',
      'gate vip-answers srv-1',
      'gate one-holder srv-1,srv-2,srv-3',
      'finish srv-1',
      'finish srv-2',
      'finish srv-3',
    ])
  })

  test('writes and loads what peers compare on all servers at once, after everything else is done on all', async () => {
    const world = applyWorld()
    await world.apply('together')
    expect(steps(world, 'switch')).toEqual([...SERVERS, ...SERVERS, ...SERVERS].map(server => `switch ${server}`))
  })

  describe('of which a part comes first', () => {
    const part = (settled = async () => {}): FirstPart => ({
      stage: 'open-connections',
      what: 'what keeps open connections',
      isPart: ({ id }) => id === 'file/haproxy.cfg',
      settled,
    })
    const switches = (world: ApplyWorld) =>
      world.commands.filter(({ label }) => label === 'make the changes live').map(({ script }) => script)

    test('gives every server that part, waits, and then gives them the rest', async () => {
      const world = applyWorld()
      await world.apply(
        'local',
        undefined,
        part(async () => void world.log.push('wait')),
      )
      const gates = world.log.filter(entry => /^(?:switch|gate vip|wait)/.test(entry))
      expect(gates.slice(0, 5)).toEqual(['switch srv-3', 'switch srv-2', 'switch srv-1', 'wait', 'switch srv-3'])
      expect(switches(world).map(script => script.includes("put_file 'file/haproxy.cfg'"))).toEqual([true, true, true, false, false, false])
      expect(switches(world).map(script => script.includes("put_file 'file/keepalived.conf'"))).toEqual([
        false,
        false,
        false,
        true,
        true,
        true,
      ])
    })

    test('takes that part back from all where the wait ends with an error, or a server does not get it', async () => {
      const waiting = applyWorld()
      const fails = () => Promise.reject(new HactlError({ code: 'E_COMMAND_FAILED', what: 'no answer' }))
      expect(await failureOf(waiting.state, () => waiting.apply('local', undefined, part(fails)))).toMatchObject({
        code: 'E_COMMAND_FAILED',
      })
      expect(steps(waiting, 'restore')).toEqual(['restore srv-1', 'restore srv-2', 'restore srv-3'])
      const world = applyWorld()
      breakAt(world, 'switch srv-2', failed)
      expect(await failureOf(world.state, () => world.apply('local', undefined, part()))).toMatchObject({
        code: 'E_COMMAND_FAILED',
        exit: 6,
      })
      expect([steps(world, 'switch'), steps(world, 'restore')]).toEqual([
        ['switch srv-3', 'switch srv-2'],
        ['restore srv-2', 'restore srv-3'],
      ])
    })

    test('takes it back from later servers, too, where a server does not get the rest', async () => {
      const world = applyWorld()
      let turns = 0
      world.before = (step, server) => (`${step} ${server}` === 'switch srv-2' && ++turns === 2 ? failed : undefined)
      expect(await failureOf(world.state, () => world.apply('local', undefined, part()))).toMatchObject({
        code: 'E_COMMAND_FAILED',
        exit: 6,
      })
      expect(steps(world, 'restore')).toEqual(['restore srv-1', 'restore srv-2'])
    })

    describe('for one server alone, in the middle', () => {
      const alone = (world: ApplyWorld, settled?: FirstPart['settled']) =>
        failureOf(world.state, () =>
          world.apply('local', name => (name === 'srv-2' ? [file('part')] : []), {
            ...part(settled),
            isPart: ({ id }) => id === 'file/part',
          }),
        )
      const restored = (world: ApplyWorld) => world.events.flatMap(event => (event.kind === 'restored' ? [event.server] : []))

      test('restores and names no other server where the wait is interrupted', async () => {
        const world = applyWorld()
        const interrupt = () => {
          world.abort.abort('SIGINT')
          return Promise.reject(interrupted())
        }
        expect(await alone(world, interrupt)).toMatchObject({
          code: 'E_INTERRUPTED',
          exit: 130,
          message: 'interrupted while srv-2 changed',
          why: ['srv-2: restored', 'no other server was changed'],
        })
        expect([steps(world, 'restore'), restored(world)]).toEqual([['restore srv-2'], ['srv-2']])
      })

      test.for([
        ['srv-3', ['restore srv-2', 'restore srv-3']],
        ['srv-2', ['restore srv-2']],
      ] as const)(
        'where %s does not get the rest, restores that and whoever has the part, and no server without a change',
        async ([broken, undone]) => {
          const world = applyWorld()
          const isRest = () => !world.commands.at(-1)?.script.includes("put_file 'file/part'")
          world.before = (step, server) => (`${step} ${server}` === `switch ${broken}` && isRest() ? failed : undefined)
          expect(await alone(world)).toMatchObject({ code: 'E_COMMAND_FAILED', exit: 6 })
          expect([steps(world, 'restore'), restored(world).length]).toEqual([undone, undone.length])
        },
      )
    })
  })

  test('every command in which haproxy may stop waits as long as the stop may, and so does whoever waits for such a command', async () => {
    const world = applyWorld()
    breakAt(world, 'gate one-holder srv-1,srv-2,srv-3', new HactlError({ code: 'E_GATE', what: 'not healthy' }))
    await outcome(world)
    const stopping = world.commands.filter(({ label }) =>
      ['prepare', 'make the changes live', 'restore the previous files'].includes(label),
    )
    expect(new Set(stopping.map(({ label }) => label)).size).toBe(3)
    for (const { deadlineMs } of stopping) expect(deadlineMs).toBeGreaterThan(STOP_TIMEOUT_MS)
    const waits = world.commands.flatMap(({ script }) => /ALONE_WITHIN_SECONDS='?(\d+)/.exec(script)?.[1] ?? []).map(Number)
    expect(waits.length).toBeGreaterThan(0)
    for (const seconds of waits) expect(seconds * 1000).toBeGreaterThan(STOP_TIMEOUT_MS)
  })

  test('changes no live file on any server when one server refuses the new file', async () => {
    const world = applyWorld()
    breakAt(world, 'prepare srv-2', refused)
    const error = await outcome(world)
    expect(error).toMatchObject({ code: 'E_CONFIG_REFUSED', exit: 5, server: 'srv-2', why: ['unknown keyword'] })
    expect([...steps(world, 'switch'), ...steps(world, 'restore')]).toEqual([])
  })

  test('says of a refused file that it was made for a version that was only expected, where packages came in the same run', async () => {
    const world = applyWorld()
    breakAt(world, 'prepare srv-2', refused)
    const install: Action = { kind: 'install-package', id: 'package/haproxy', name: 'haproxy', version: '2.6.12', reason: 'not installed' }
    expect(await failureOf(world.state, () => world.apply('local', () => [install]))).toMatchObject({
      code: 'E_CONFIG_REFUSED',
      // The packages are installed: that is a change.
      exit: 6,
      server: 'srv-2',
      fix: expect.stringMatching(/^haproxy is installed there now: .*run hactl deploy again; otherwise fix the configuration/),
    })
  })

  test('waits for the servers that are still at work before it reports the first failure', async () => {
    const world = applyWorld()
    const slow = Promise.withResolvers<undefined>()
    world.before = (step, server) => {
      if (`${step} ${server}` === 'prepare srv-1') return refused
      return `${step} ${server}` === 'prepare srv-3' ? slow.promise : undefined
    }
    let isSettled = false
    const run = outcome(world).finally(() => {
      isSettled = true
    })
    await world.clock.advance(60_000)
    expect(isSettled).toBe(false)
    slow.resolve(undefined)
    await run
    expect(world.ended).toContain('prepare srv-3')
  })

  test('reports every server that refuses, and not only the first', async () => {
    const world = applyWorld()
    world.before = (step, server) => (step === 'prepare' && server !== 'srv-2' ? refused : undefined)
    const error = await outcome(world)
    expect(error).toBeInstanceOf(HactlErrors)
    expect((error as HactlErrors).errors.map(each => each.server)).toEqual(['srv-1', 'srv-3'])
    expect(error.exit).toBe(5)
  })
})

describe('a wave that fails', () => {
  const faults = [
    ['a step of it fails', failed, { code: 'E_COMMAND_FAILED', exit: 6 }],
    ['it takes too long', timeout('srv-2'), { code: 'E_COMMAND_TIMEOUT', exit: 6 }],
    ['the file was changed meanwhile', { code: 98, stdout: '@@fail file/haproxy.cfg changed' }, { code: 'E_CHANGED_MEANWHILE', exit: 6 }],
    ['the lock was broken', { code: 97 }, { code: 'E_LOCKED', exit: 6 }],
    ['the script dies without a message', { code: 137 }, { code: 'E_COMMAND_FAILED', exit: 6 }],
    ['the connection is lost', connectionLost('srv-2'), { code: 'E_CONNECTION_LOST', exit: 6 }],
    ['root is lost', new HactlError({ code: 'E_SUDO', server: 'srv-2', what: 'no' }), { code: 'E_SUDO', exit: 6 }],
  ] as const
  test.for(faults)('is put back, and no later wave starts, when %s', async ([, how, expected]) => {
    const world = applyWorld()
    breakAt(world, 'switch srv-2', how)
    expect(await outcome(world)).toMatchObject(expected)
    expect(steps(world, 'switch')).toEqual(['switch srv-3', 'switch srv-2'])
    expect(new Set(steps(world, 'restore'))).toEqual(new Set(['restore srv-2']))
    expect(steps(world, 'finish')).toEqual([])
  })

  test('is put back when its gate fails, and so are those before it', async () => {
    const world = applyWorld()
    breakAt(world, 'gate vip-answers srv-2', new HactlError({ code: 'E_GATE', what: 'srv-2 failed the gate' }))
    expect(await outcome(world)).toMatchObject({ code: 'E_GATE', exit: 6 })
    expect(steps(world, 'restore')).toEqual(['restore srv-2', 'restore srv-3'])
    expect(world.events.filter(event => event.kind === 'restored')).toMatchObject([{ server: 'srv-2' }, { server: 'srv-3' }])
  })

  test('is left as it is, and needs no operator, where another run has taken the lock over', async () => {
    const world = applyWorld()
    world.before = (step, server) =>
      step === 'gate' && server.endsWith('srv-2')
        ? Promise.reject(new HactlError({ code: 'E_GATE', what: 'srv-2 failed the gate' }))
        : step === 'restore'
          ? { code: 97 }
          : undefined
    const error = await outcome(world)
    expect(error.exit).toBe(6)
    expect((error as HactlErrors).errors.map(each => [each.code, each.server])).toEqual([
      ['E_GATE', undefined],
      ['E_LOCKED', 'srv-2'],
      ['E_LOCKED', 'srv-3'],
    ])
    expect(world.events.filter(event => event.kind === 'restored')).toEqual([])
  })

  test('counts as stopped part way whatever its gate met: earlier servers are changed', async () => {
    const world = applyWorld()
    breakAt(world, 'gate vip-answers srv-2', new HactlError({ code: 'E_PROBE_CUT', server: 'srv-2', what: 'cut', why: ['w'], fix: 'f' }))
    expect(await outcome(world)).toMatchObject({ code: 'E_PROBE_CUT', exit: 6, server: 'srv-2', why: ['w'], fix: 'f' })
  })

  test('is put back through a new connection where the old one is lost', async () => {
    const world = applyWorld()
    breakAt(world, 'switch srv-2', connectionLost('srv-2'))
    await outcome(world)
    expect(world.log.slice(-2)).toEqual(['reconnect srv-2', 'restore srv-2'])
  })

  test('says so where the server cannot be reached again, and what to do', async () => {
    const world = applyWorld()
    world.before = (step, server) => {
      if (step === 'reconnect') throw unreachable(server)
      if (`${step} ${server}` === 'switch srv-2') throw connectionLost(server)
      return undefined
    }
    const error = await outcome(world)
    expect(error.exit).toBe(6)
    expect((error as HactlErrors).errors).toMatchObject([
      { code: 'E_CONNECTION_LOST', server: 'srv-2' },
      { code: 'E_CONNECTION_LOST', server: 'srv-2', fix: expect.stringContaining('hactl deploy') },
    ])
  })

  test('needs an operator where it could not be put back: 8, the server, and the command', async () => {
    const world = applyWorld()
    world.before = (step, server) => (server === 'srv-2' && (step === 'switch' || step === 'restore') ? failed : undefined)
    const error = await outcome(world)
    expect(error).toMatchObject({ code: 'E_UNDO_FAILED', exit: 8 })
    expect((error as HactlErrors).errors).toMatchObject([
      { code: 'E_COMMAND_FAILED' },
      { code: 'E_UNDO_FAILED', server: 'srv-2', fix: expect.stringContaining('/var/lib/hactl/runs/run1/previous') },
    ])
  })

  test('of all servers together is put back on all of them, those that succeeded included', async () => {
    const world = applyWorld()
    breakAt(world, 'switch srv-2', failed)
    await outcome(world, 'together')
    expect(steps(world, 'restore')).toEqual(SERVERS.map(server => `restore ${server}`))
    expect(steps(world, 'switch')).toEqual(SERVERS.map(server => `switch ${server}`))
  })

  test('with a fault of hactl itself is put back too', async () => {
    const world = applyWorld()
    breakAt(world, 'switch srv-2', new TypeError('a bug'))
    await expect(world.apply()).rejects.toThrow('a bug')
    expect(steps(world, 'restore')).toEqual(['restore srv-2'])
  })
})

describe('a final check that fails', () => {
  test('puts every changed server back, the last changed first', async () => {
    const world = applyWorld()
    breakAt(world, 'gate one-holder srv-1,srv-2,srv-3', new HactlError({ code: 'E_GATE', what: 'nobody holds it' }))
    expect(await outcome(world)).toMatchObject({ code: 'E_GATE', exit: 6 })
    expect(steps(world, 'restore')).toEqual(['restore srv-1', 'restore srv-2', 'restore srv-3'])
    expect(steps(world, 'finish')).toEqual([])
  })
})

describe('an interrupt', () => {
  test.for([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s between two waves ends with %i and starts no later wave', async ([signal, exit]) => {
    const world = applyWorld()
    world.before = (step, server) => {
      if (`${step} ${server}` === 'gate vip-answers srv-3') world.abort.abort(signal)
      return undefined
    }
    expect(await outcome(world)).toMatchObject({ code: 'E_INTERRUPTED', exit })
    expect(steps(world, 'switch')).toEqual(['switch srv-3'])
    expect(steps(world, 'restore')).toEqual([])
  })

  test('in the middle of a switch lets it end', async () => {
    const world = applyWorld()
    world.before = (step, server) => {
      if (`${step} ${server}` === 'switch srv-2') world.abort.abort('SIGINT')
      return undefined
    }
    expect(await outcome(world)).toMatchObject({ code: 'E_INTERRUPTED', exit: 130 })
    expect(world.ended).toContain('switch srv-2')
    expect(steps(world, 'switch')).toEqual(['switch srv-3', 'switch srv-2'])
  })

  test('while a gate waits puts that wave back, and the undo is not interrupted', async () => {
    const world = applyWorld()
    world.before = (step, server) => {
      if (`${step} ${server}` !== 'gate vip-answers srv-2') return undefined
      world.abort.abort('SIGINT')
      throw interrupted()
    }
    expect(await outcome(world)).toMatchObject({
      code: 'E_INTERRUPTED',
      exit: 130,
      message: 'interrupted while srv-2 changed',
      why: ['srv-2: restored', 'servers before keep the new configuration, later ones were not changed'],
    })
    expect(world.ended.filter(entry => entry.startsWith('restore'))).toEqual(['restore srv-2'])
  })

  test('names as restored only the servers that are', async () => {
    const world = applyWorld()
    world.before = (step, server) => {
      if (`${step} ${server}` === 'restore srv-2') return failed
      if (step !== 'gate') return undefined
      world.abort.abort('SIGINT')
      throw interrupted()
    }
    const error = await outcome(world, 'together')
    expect(error).toMatchObject({ code: 'E_UNDO_FAILED', exit: 8 })
    expect((error as HactlErrors).errors).toMatchObject([
      {
        code: 'E_INTERRUPTED',
        message: 'interrupted while srv-1, srv-2, srv-3 changed',
        why: ['srv-1, srv-3: restored'],
      },
      { code: 'E_UNDO_FAILED', server: 'srv-2' },
    ])
  })

  test('during the preparation changes no live file', async () => {
    const world = applyWorld()
    world.before = step => {
      if (step === 'prepare') throw interrupted()
      return undefined
    }
    expect(await outcome(world)).toMatchObject({ code: 'E_INTERRUPTED', exit: 130 })
    expect(steps(world, 'switch')).toEqual([])
  })
})

test('a connection that is lost at any moment starts no later wave, and exactly the present wave is put back', async () => {
  const whole = applyWorld()
  await whole.apply()
  const places = whole.log.filter(entry => /^(prepare|switch|finish)/.test(entry))
  for (const where of places) {
    const world = applyWorld()
    const server = where.split(' ')[1] ?? ''
    breakAt(world, where, connectionLost(server))
    // Nothing was installed, nor made live.
    expect(await outcome(world)).toMatchObject({ code: 'E_CONNECTION_LOST', exit: where.startsWith('prepare') ? 4 : 6 })
    expect(new Set(steps(world, 'restore'))).toEqual(new Set(where.startsWith('switch') ? [`restore ${server}`] : []))
    const reached = whole.log.slice(0, whole.log.indexOf(where) + 1).filter(entry => entry.startsWith('switch'))
    expect(steps(world, 'switch')).toEqual(reached)
  }
})
