import { describe, expect, test } from 'vitest'
import type { MoveReport } from '../../../src/engine/operations/lower.ts'
import { HactlError } from '../../../src/errors.ts'
import { scriptedPrompter } from '../../support/prompter.ts'
import { fakeTerminal } from '../../support/terminal.ts'
import { runLine, type Scene } from '../command-line.ts'
import { HEALTHY } from '../samples.ts'

const MOVED: MoveReport = {
  server: 'srv-1',
  drained: true,
  survivesReboot: false,
  changed: true,
  vips: [{ address: '192.0.2.200', from: 'srv-1', to: 'srv-2', outageMs: 0, failedProbes: 0, probes: 160, errors: [] }],
  notes: [],
  failure: undefined,
}

const MOVED_BACK: MoveReport = {
  ...MOVED,
  drained: false,
  vips: [{ address: '192.0.2.200', from: 'srv-2', to: 'srv-1', outageMs: 38, failedProbes: 1, probes: 160, errors: ['ECONNRESET'] }],
}

describe('drain', () => {
  test('says what moved where, how many probes were lost, and the way back', async () => {
    const { exit, out } = await runLine(['drain', 'srv-1', '--yes'], { app: { drain: async () => MOVED } })
    expect(exit).toBe(0)
    expect(out).toBe(
      [
        'srv-1 is drained until its next reboot',
        '  192.0.2.200: srv-1 -> srv-2, 0 of 160 probes lost',
        'hactl undrain srv-1 gives its priority back',
        '',
      ].join('\n'),
    )
  })

  test('the last line of --json has the addresses, what was lost, and whether it is drained', async () => {
    const { objects } = await runLine(['drain', 'srv-1', '--yes', '--json'], { app: { drain: async () => MOVED } })
    expect(objects()).toEqual([
      {
        event: 'result',
        command: 'drain',
        exit: 0,
        server: 'srv-1',
        vips: [{ address: '192.0.2.200', from: 'srv-1', to: 'srv-2', outage_ms: 0, failed_probes: 0, probes: 160, errors: [] }],
        drained: true,
        survives_reboot: false,
        changed: true,
        notes: [],
        open_connections: null,
      },
    ])
  })

  test('the argument is the server, the inventory comes from -i, and the flags are passed on', async () => {
    let given: unknown
    const app = {
      drain: async (input: unknown) => {
        given = input
        return MOVED
      },
    }
    await runLine(['drain', 'srv-1', '-i', 'edge.yml', '--persist', '--force', '-y'], { app })
    expect(given).toMatchObject({ server: 'srv-1', inventoryPath: '/home/ops/edge/edge.yml', persist: true, force: true })
  })

  test.each([
    ['90s', 90_000],
    ['10m', 600_000],
    ['1h30m', 5_400_000],
    ['1m0.5s', 60_500],
  ])('--wait %s is read as Go and kubectl read it', async (text, waitMs) => {
    let given: unknown
    const app: Scene['app'] = {
      drain: async input => {
        given = input.waitMs
        return MOVED
      },
    }
    await runLine(['drain', 'srv-1', '-y', '--wait', text], { app })
    expect(given).toBe(waitMs)
  })

  test('a drain that waited in vain says what has moved and what is open, and ends with 9', async () => {
    const why = ['2 connections are still open (web: 2)', 'srv-1 stays drained, and nothing was cut']
    const failure = new HactlError({ code: 'E_STILL_OPEN', server: 'srv-1', what: 'connections are still open after 600 s', why })
    const report: MoveReport = { ...MOVED, open: [{ instance: 'WEB', family: 4, port: 80, frontends: ['web'], connections: 2 }], failure }
    const drained = { app: { drain: async () => report } }
    const { exit, out, err } = await runLine(['drain', 'srv-1', '-y', '--wait', '10m'], drained)
    expect(exit).toBe(9)
    expect(out).toContain('srv-1 is drained until its next reboot\n  192.0.2.200: srv-1 -> srv-2')
    expect(err).toMatch(/srv-1: connections are still open after 600 s +\[E_STILL_OPEN\]\n +why +2 connections are still open \(web: 2\)/)
    const { result } = await runLine(['drain', 'srv-1', '-y', '--wait', '10m', '--json'], drained)
    expect(result()).toMatchObject({
      exit: 9,
      code: 'E_STILL_OPEN',
      drained: true,
      open_connections: [{ instance: 'WEB', family: 4, port: 80, frontends: ['web'], connections: 2 }],
    })
  })

  test('without a terminal and without --yes it does not even connect', async () => {
    const app: Scene['app'] = {
      drain: async input => {
        input.beforeConnecting?.()
        throw new Error('it connected')
      },
    }
    const { exit, err } = await runLine(['drain', 'srv-1'], { app })
    expect(exit).toBe(3)
    expect(err).toContain('E_NOT_INTERACTIVE')
  })

  test('needs a server', async () => {
    expect(await runLine(['drain', '--yes'])).toMatchObject({ exit: 3, err: expect.stringContaining('SERVER') })
  })

  test('asks with the addresses, the connections on them and what --force overrules', async () => {
    const prompter = scriptedPrompter([{ question: 'Drain srv-1 now?', answer: true }])
    const { exit, out } = await runLine(['drain', 'srv-1', '--force'], {
      app: {
        drain: async input => {
          const vips = [
            { address: '192.0.2.200', holder: 'srv-1', connections: 12, isKept: false },
            { address: '192.0.2.201', holder: 'srv-1', connections: 3, isKept: true },
          ]
          const asked = { command: 'drain', server: 'srv-1', vips, warnings: ['nobody is left to take over from srv-1'] } as const
          expect(await input.confirm(asked)).toBe(true)
          return MOVED
        },
      },
      prompter,
      ports: { terminal: fakeTerminal({ stdin: true, stderr: true }) },
    })
    expect(exit).toBe(0)
    expect(out).toContain('  192.0.2.200, with 12 open connections: a move cuts them\n')
    expect(out).toContain('  192.0.2.201, with 3 open connections: they stay open\n  nobody is left to take over from srv-1\n')
    expect(prompter.unasked()).toEqual([])
  })

  test('a drain after which nobody took over ends with 7, and --json still has the figures', async () => {
    const failure = new HactlError({ code: 'E_FAILOVER_NONE', server: 'srv-1', what: 'the drain was undone', why: ['still on srv-1'] })
    const report = { ...MOVED, drained: false, changed: false, failure }
    const { exit, err, result } = await runLine(['drain', 'srv-1', '--yes', '--json'], { app: { drain: async () => report } })
    expect(exit).toBe(7)
    expect(err).toContain('still on srv-1')
    expect(result()).toMatchObject({ exit: 7, code: 'E_FAILOVER_NONE', drained: false, vips: [{ probes: 160 }] })
  })
})

describe('undrain', () => {
  test('says which addresses came back and how probes failed', async () => {
    const { out } = await runLine(['undrain', 'srv-1', '--yes'], { app: { undrain: async () => MOVED_BACK } })
    expect(out).toBe('srv-1 is undrained\n  192.0.2.200: srv-2 -> srv-1, 1 of 160 probes lost, outage 38 ms (ECONNRESET)\n')
  })

  test('says that there is nothing to do', async () => {
    const report = { ...MOVED_BACK, changed: false, vips: [], notes: ['srv-1 is not drained'] }
    const { out } = await runLine(['undrain', 'srv-1', '--yes'], { app: { undrain: async () => report } })
    expect(out).toBe('srv-1 is not drained\n')
  })
})

test('status shows who is drained, and whether a reboot ends it', async () => {
  const [first, second] = HEALTHY.servers
  if (first === undefined || second === undefined) throw new Error('the sample has two servers')
  const servers = [
    { ...first, drained: true, drainsAtBoot: true },
    { ...second, drained: true },
  ]
  const { out } = await runLine(['status'], { app: { status: async () => ({ ...HEALTHY, servers }) } })
  expect(out).toMatch(/^srv-1 +MASTER, drained at every boot /m)
  expect(out).toMatch(/^srv-2 +BACKUP, drained /m)
})
