import { describe, expect, test } from 'vitest'
import { HactlError } from '../../../src/errors.ts'
import type { EngineEvent } from '../../../src/engine/events.ts'
import type { LedgerEntry, Ports } from '../../../src/ports.ts'
import { scriptedPrompter } from '../../support/prompter.ts'
import { fakeFiles, fakeTerminal } from '../../support/terminal.ts'
import { runLine, type Scene } from '../command-line.ts'
import { DEPLOYED, HEALTHY, INSTALL, NOBODY_TOOK_OVER, NOTHING_TO_DO, PASSED, planOf, SPLIT, writeFile } from '../samples.ts'

const seen: EngineEvent = { kind: 'observed', server: 'srv-1', durationMs: 812, detail: 'Debian GNU/Linux 12' }

describe('plan', () => {
  const app = (plan = planOf()) => ({
    plan: async (_input: unknown, _ports: unknown, onEvent: (event: EngineEvent) => void) => {
      onEvent(seen)
      return { plan, observed: [] }
    },
  })

  test('shows changes and their diff on stdout, progress on stderr', async () => {
    const { exit, out, err } = await runLine(['plan'], { app: app() })
    expect(exit).toBe(0)
    expect(err).toBe('srv-1: Debian GNU/Linux 12 (812 ms)\n')
    expect(out).toContain('srv-1: 2 to change, 1 unchanged')
    expect(out).toContain('+ package/haproxy  install haproxy 2.6.12-1+deb12u1 (not installed)')
    expect(out).toContain('+  priority 101')
    expect(out).toContain('2 servers: 3 to change, 1 unchanged')
  })

  test('exits 2 for changes only when asked to', async () => {
    expect((await runLine(['plan', '--exit-code'], { app: app() })).exit).toBe(2)
    expect((await runLine(['plan', '--exit-code'], { app: app(NOTHING_TO_DO) })).exit).toBe(0)
  })

  test('--json prints events, changes and last the result, and nothing else on stdout', async () => {
    const { exit, err, objects, result } = await runLine(['plan', '--json'], { app: app() })
    expect(exit).toBe(0)
    expect(err).toBe('')
    expect(objects().map(object => object['event'])).toEqual(['observed', 'change', 'change', 'change', 'result'])
    expect(objects()[0]).toEqual({ event: 'observed', server: 'srv-1', duration_ms: 812, detail: 'Debian GNU/Linux 12' })
    expect(result()).toMatchObject({
      command: 'plan',
      exit: 0,
      servers: [
        { name: 'srv-1', changed: ['package/haproxy', 'file/keepalived.conf'], unchanged: 1 },
        { name: 'srv-2', changed: ['file/keepalived.conf'], unchanged: 0 },
      ],
    })
  })

  test('shows no secret in any form of output', async () => {
    for (const flags of [[], ['--json'], ['--verbose'], ['--verbose', '--json']]) {
      const { out, err } = await runLine(['plan', ...flags], { app: app() })
      expect(out + err).not.toMatch(/old-one|new-one/)
    }
  })

  test('--quiet prints nothing for a healthy cluster', async () => {
    expect(await runLine(['plan', '--quiet'], { app: app() })).toMatchObject({ exit: 0, out: '', err: '' })
  })
})

describe('deploy', () => {
  interface Input {
    readonly confirm: (plan: ReturnType<typeof planOf>) => Promise<boolean>
    readonly adopt: boolean
    readonly reload: boolean
  }
  const app = {
    deploy: async (input: Input, _ports: unknown, onEvent: (event: EngineEvent) => void) => {
      onEvent(seen)
      if (!(await input.confirm(planOf({ outageMs: 1200, warnings: ['mail goes nowhere'] }))))
        throw new HactlError({ code: 'E_DECLINED', what: 'not confirmed' })
      onEvent({ kind: 'action-done', server: 'srv-1', id: INSTALL.id, title: 'install haproxy', durationMs: 8100 })
      return DEPLOYED
    },
  }
  const screen = () => fakeTerminal({ stdin: true, stderr: true })

  test('without a terminal needs --yes, and says so', async () => {
    const { exit, err } = await runLine(['deploy'], { app })
    expect(exit).toBe(3)
    expect(err).toContain('[E_NOT_INTERACTIVE]')
    expect(err).toContain('give --yes')
  })

  test('shows plan, interruption and warnings before it asks', async () => {
    const prompter = scriptedPrompter([{ question: 'Apply these changes?', answer: false }])
    const { exit, out } = await runLine(['deploy'], { app, prompter, ports: { terminal: screen() } })
    expect(exit).toBe(3)
    expect(out).toContain('2 servers: 3 to change, 1 unchanged')
    expect(out).toContain('interruption: up to 1.2 s while this is applied')
    expect(out).toContain('warning: mail goes nowhere')
    expect(prompter.unasked()).toEqual([])
  })

  test('--yes asks nothing; the result says what was changed and who holds the address', async () => {
    const { exit, out, err } = await runLine(['deploy', '-y'], { app })
    expect(exit).toBe(0)
    expect(err).toContain('srv-1: install haproxy: done in 8.1 s')
    expect(out).toContain('srv-1: 2 changes, 1 as wanted')
    expect(out).toContain('192.0.2.200 is held by srv-1')
    const { result } = await runLine(['deploy', '-y', '--json'], { app })
    expect(result()).toMatchObject({ command: 'deploy', exit: 0, servers: DEPLOYED.servers, holder: { '192.0.2.200': 'srv-1' } })
  })

  test('passes --wait and --force on, as every command does that may end open connections', async () => {
    const given: unknown[] = []
    const app: Scene['app'] = {
      deploy: async ({ wait }) => {
        given.push(wait)
        return DEPLOYED
      },
      upgrade: async ({ wait }) => {
        given.push(wait)
        return { ...DEPLOYED, moves: [] }
      },
      rollback: async ({ wait }) => {
        given.push(wait)
        return { ...DEPLOYED, id: '20261122T101500Z-1f3a2b' }
      },
      remove: async ({ wait }) => {
        given.push(wait)
        return { servers: [] }
      },
    }
    for (const command of ['deploy', 'upgrade', 'rollback', 'remove']) {
      await runLine([command, '-y'], { app })
      await runLine([command, '-y', '--wait', '10m', '--force'], { app })
    }
    const each = [
      { waitMs: undefined, force: false },
      { waitMs: 600_000, force: true },
    ]
    expect(given).toEqual([...each, ...each, ...each, ...each])
  })

  test('passes --adopt and --reload on', async () => {
    const given: Input[] = []
    const spy = {
      deploy: async (input: Input) => {
        given.push(input)
        return DEPLOYED
      },
    }
    await runLine(['deploy', '-y'], { app: spy })
    await runLine(['deploy', '-y', '--adopt', '--reload'], { app: spy })
    expect(given.map(({ adopt, reload }) => ({ adopt, reload }))).toEqual([
      { adopt: false, reload: false },
      { adopt: true, reload: true },
    ])
  })

  describe('that stops part way says what was changed on which server:', () => {
    type Entry = Omit<LedgerEntry, 'state'>
    const failed = new HactlError({ code: 'E_COMMAND_FAILED', server: 'srv-2', what: 'installing haproxy failed' })
    /** A deploy that does this with its ledger before it fails; `step` reports a step of the script that is under way on srv-1. */
    const stopped = (work: (note: (entry: Entry) => ReturnType<Ports['ledger']['note']>, step: (id: string) => void) => void) => ({
      deploy: async (_input: unknown, { ledger }: Ports, onEvent: (event: EngineEvent) => void) => {
        work(
          entry => ledger.note(entry),
          id => onEvent({ kind: 'action-done', server: 'srv-1', id, title: id, durationMs: 8100 }),
        )
        throw failed
      },
    })
    const change = (label: string, server = 'srv-1'): Entry => ({ server, label, effect: 'change' })

    test('by its steps, without looks at apt and checks of files', async () => {
      const app = stopped((note, step) => {
        const tell = note(change('prepare'))
        for (const id of ['apt/lists', 'package/haproxy', 'check/haproxy.cfg', 'firewall/rules']) step(id)
        tell('made')
      })
      const { exit, err, result } = await runLine(['deploy', '-y', '--json'], { app })
      expect(exit).toBe(6)
      expect(err).toContain('  srv-1: package/haproxy, firewall/rules\n')
      expect(result()).toMatchObject({
        exit: 6,
        code: 'E_COMMAND_FAILED',
        server: 'srv-2',
        servers: [
          { name: 'srv-1', changed: ['package/haproxy', 'firewall/rules'] },
          { name: 'srv-2', code: 'E_COMMAND_FAILED' },
        ],
      })
    })

    test('by the label of a script that reports no steps, and of one that gave no answer', async () => {
      const app = stopped((note, step) => {
        note(change('lower the priority of srv-1'))('made')
        note(change('make the changes live'))
        step('file/haproxy.cfg')
        note(change('lower the priority of srv-2', 'srv-2'))
      })
      const { err, result } = await runLine(['deploy', '-y', '--json'], { app })
      expect(err).toContain(
        '  srv-1: lower the priority of srv-1, file/haproxy.cfg; "make the changes live" gave no answer, and may have changed more\n',
      )
      expect(err).toContain('  srv-2: "lower the priority of srv-2" gave no answer, and may have changed something\n')
      expect(result()['servers']).toMatchObject([
        { name: 'srv-1', changed: ['lower the priority of srv-1', 'file/haproxy.cfg'], unanswered: ['make the changes live'] },
        { name: 'srv-2', changed: [], unanswered: ['lower the priority of srv-2'], code: 'E_COMMAND_FAILED' },
      ])
    })

    test('without what was put back, except packages, which stay', async () => {
      const app = stopped((note, step) => {
        const prepared = note(change('prepare'))
        step('package/haproxy')
        prepared('made')
        note(change('make the changes live'))
        step('file/haproxy.cfg')
        const undone = note({ server: 'srv-1', label: 'restore the previous files', effect: 'undo' })
        step('files')
        undone('made')
      })
      const { exit, err } = await runLine(['deploy', '-y'], { app })
      expect(exit).toBe(6)
      expect(err).toContain('  srv-1: package/haproxy\n')
    })

    test('says nothing where nothing was changed', async () => {
      const { exit, err } = await runLine(['deploy', '-y'], { app: stopped(note => note(change('prepare'))('not made')) })
      expect(exit).toBe(5)
      expect(err).not.toContain('Changed before it stopped')
    })
  })
})

describe('status', () => {
  test('shows servers, holders and problems, and exits as the report says', async () => {
    const { exit, out } = await runLine(['status'], { app: { status: async () => SPLIT } })
    expect(exit).toBe(7)
    expect(out).toMatch(/srv-1 +MASTER +254 +192\.0\.2\.200 +healthy +active +none/)
    expect(out).toContain('192.0.2.200 is held by srv-1 AND srv-2: split brain')
    expect(out).toContain('srv-2: hears no adverts')
  })

  test('--quiet prints problems only, so that cron mails only them', async () => {
    expect((await runLine(['status', '-q'], { app: { status: async () => HEALTHY } })).out).toBe('')
    expect((await runLine(['status', '-q'], { app: { status: async () => SPLIT } })).out).toContain('srv-1 and srv-2 hold 192.0.2.200')
  })

  test('--json gives the servers in snake_case', async () => {
    const { result } = await runLine(['status', '--json'], { app: { status: async () => HEALTHY } })
    expect(result()).toMatchObject({ command: 'status', exit: 0, healthy: true })
    const split = await runLine(['status', '--json'], { app: { status: async () => SPLIT } })
    expect(split.result()).toMatchObject({ exit: 7, healthy: false })
    expect(result()['servers']).toEqual([
      {
        name: 'srv-1',
        reachable: true,
        state: 'MASTER',
        holds: ['192.0.2.200'],
        haproxy: 'healthy',
        keepalived: 'active',
        drift: [],
        problems: [],
        notes: [],
        open_connections: { mode: 'keep', open: [] },
        effective_priority: 254,
        drained: false,
        drains_at_boot: false,
        healthy: true,
      },
      expect.objectContaining({ name: 'srv-2', effective_priority: null }),
    ])
  })

  test('--watch looks again until it is interrupted, and does not show an interrupted look', async () => {
    const timeouts: number[] = []
    const controller = new AbortController()
    const app = {
      status: async ({ timeoutMs }: { timeoutMs: number }) => {
        if (timeouts.push(timeoutMs) === 3) controller.abort('SIGINT')
        return HEALTHY
      },
    }
    const clock = {
      now: () => 0,
      monotonic: () => 0,
      sleep: async (_ms: number, signal?: AbortSignal) => {
        if (signal?.aborted === true) throw new HactlError({ code: 'E_INTERRUPTED', what: 'interrupted' })
      },
    }
    const { exit, objects } = await runLine(['status', '--watch', '--json'], { app, ports: { clock, signal: controller.signal } })
    expect(exit).toBe(130)
    expect(objects().filter(object => object['event'] === 'status')).toHaveLength(2)
    expect(objects().at(-1)).toMatchObject({ event: 'result', exit: 130 })
    // A dead server must not hold up every look; --timeout says otherwise.
    expect(timeouts).toEqual([4000, 4000, 4000])
    await runLine(['status', '--watch', '--timeout', '30'], { app, ports: { clock, signal: controller.signal } })
    expect(timeouts[3]).toBe(30_000)
  })
})

describe('verify-failover', () => {
  const report = { drills: [PASSED], maxOutageMs: 3000, exit: 0, problems: [] }
  const announcement = {
    drills: [{ drill: 'haproxy-stop', server: 'srv-1', title: 'stop haproxy', expects: 'srv-2 takes over within 440 ms' }],
    vips: [{ address: '192.0.2.200', holder: 'srv-1', connections: 12 }],
    worstMs: 2500,
    ends: { drills: ['haproxy-stop', 'haproxy-restart'], fate: 'they have 20 s (stop_timeout), then haproxy ends them' },
  }
  const app = {
    verifyFailover: async (input: { confirm: (what: typeof announcement) => Promise<boolean> }) => {
      await input.confirm(announcement)
      return report
    },
  }

  test('names the addresses and the connections on them before it asks', async () => {
    const prompter = scriptedPrompter([{ question: 'Cause the failure on 192.0.2.200 now?', answer: true }])
    const { exit, out } = await runLine(['verify-failover'], {
      app,
      prompter,
      ports: { terminal: fakeTerminal({ stdin: true, stderr: true }) },
    })
    expect(exit).toBe(0)
    expect(out).toContain('expected: srv-2 takes over within 440 ms')
    expect(out).toContain('192.0.2.200 is held by srv-1, with 12 open connections')
    expect(out).toContain(
      "clients' open connections in haproxy-stop, haproxy-restart: they have 20 s (stop_timeout), then haproxy ends them",
    )
    expect(out).toContain('new connections may fail for up to 2.5 s in each drill')
    expect(out).toContain(
      'PASSED   haproxy-stop  192.0.2.200  srv-1 -> srv-2, outage 0 ms, 0 of 640 probes lost; back on srv-1, outage 0 ms',
    )
    expect(out).toContain('1 of 1 drill passed (longest outage allowed: 3 s)')
  })

  test.for([
    [true, '3 of 8 long-lived connections cut (the cluster keeps them)'],
    [false, '3 of 8 long-lived connections cut (counted separately)'],
  ] as const)('says how many long-lived connections were cut, promised: %s', async ([connectionsPromised, text]) => {
    const drill = { ...PASSED, connections: 8, connectionsCut: 3, connectionsPromised }
    const told = { verifyFailover: async () => ({ drills: [drill], maxOutageMs: 3000, exit: 0, problems: [] }) }
    const { out } = await runLine(['verify-failover', '-y'], { app: told })
    expect(out).toContain(text)
  })

  test('shows several drills as one table, and beneath it why one of them failed', async () => {
    const both = { verifyFailover: async () => ({ drills: [PASSED, NOBODY_TOOK_OVER], maxOutageMs: 3000, exit: 7, problems: [] }) }
    const { out } = await runLine(['verify-failover', '-y'], { app: both })
    expect(out).toMatch(/^ +drill +moved +outage +lost +cut +way back +holder +restored$/m)
    expect(out).toMatch(/^PASSED +haproxy-stop +srv-1 -> srv-2 +0 ms +0 of 640 /m)
    expect(out).toMatch(/^FAILED +\S+ +no +- /m)
    expect(out).toContain('1 of 2 drills passed on 192.0.2.200 (longest outage allowed: 3 s)')
  })

  test('says of an outage that did not end who has the address', async () => {
    const late = { ...PASSED, verdict: 'failed' as const, outageMs: undefined }
    const ended = { verifyFailover: async () => ({ drills: [late], maxOutageMs: 3000, exit: 7, problems: [] }) }
    const { out } = await runLine(['verify-failover', '-y'], { app: ended })
    expect(out).toContain('srv-1 -> srv-2, the outage did not end, 0 of 640 probes lost')
  })

  test('names the address in every row where there are several', async () => {
    const other = { ...PASSED, vip: '192.0.2.201' }
    const both = { verifyFailover: async () => ({ drills: [PASSED, other], maxOutageMs: 3000, exit: 0, problems: [] }) }
    const { out } = await runLine(['verify-failover', '-y'], { app: both })
    expect(out).toMatch(/^ +drill +address +moved /m)
    expect(out).toMatch(/^PASSED +haproxy-stop +192\.0\.2\.201 +srv-1 -> srv-2 /m)
    expect(out).toContain('2 of 2 drills passed (longest')
  })

  test('refuses --max-outage without a unit, because seconds and milliseconds differ by a factor of 1000', async () => {
    const { exit, err } = await runLine(['verify-failover', '-y', '--max-outage', '3'], { app })
    expect(exit).toBe(3)
    expect(err).toContain('--max-outage takes a duration with its unit')
    expect(err).toContain('--max-outage 3s or --max-outage 3ms')
  })

  test('ends --json with the drills in snake_case, null where nobody took over', async () => {
    const failed = { verifyFailover: async () => ({ drills: [PASSED, NOBODY_TOOK_OVER], maxOutageMs: 3000, exit: 7, problems: [] }) }
    const { exit, result } = await runLine(['verify-failover', '-y', '--json'], { app: failed })
    expect(exit).toBe(7)
    expect(result()).toMatchObject({
      event: 'result',
      command: 'verify-failover',
      exit: 7,
      drills: [
        {
          drill: 'haproxy-stop',
          vip: '192.0.2.200',
          verdict: 'passed',
          from: 'srv-1',
          predicted: 'srv-2',
          to: 'srv-2',
          outage_ms: 0,
          failed_probes: 0,
          probes: 640,
          holders_max: 2,
          failback: 'srv-1',
          failback_outage_ms: 0,
          restored: true,
        },
        { verdict: 'failed', to: null, outage_ms: null },
      ],
    })
  })

  test('writes every report that was asked for, and names its file', async () => {
    let given: unknown
    const writes = {
      verifyFailover: async (input: { reports?: unknown }) => {
        given = input.reports
        return { ...report, reports: [{ path: '/home/ops/edge/r.html', problem: undefined, text: '<html>' }] }
      },
    }
    const { exit, out } = await runLine(['verify-failover', '-y', '--report', 'r.html', '--report', '/srv/r.xml'], { app: writes })
    expect(exit).toBe(0)
    expect(given).toEqual({ paths: ['/home/ops/edge/r.html', '/srv/r.xml'], version: '1.2.3' })
    expect(out).toContain('report written to r.html')
  })

  test.for([
    [0, 1],
    [7, 7],
  ] as const)('shows a report that could not be written; status %i becomes %i', async ([drills, whole]) => {
    const lost = [{ path: '/srv/r.md', problem: 'ENOSPC: no space left on device', text: '# Failover drills of edge' }]
    const { exit, err, result } = await runLine(['verify-failover', '-y', '--json', '--report', '/srv/r.md'], {
      app: { verifyFailover: async () => ({ ...report, exit: drills, reports: lost }) },
    })
    expect(exit).toBe(whole)
    expect(result()).toMatchObject({
      event: 'result',
      exit: whole,
      drills: expect.any(Array),
      ...(drills === 0 ? { code: 'E_OUTPUT' } : {}),
    })
    expect(err).toContain('[E_OUTPUT]')
    expect(err).toContain('the report could not be written to /srv/r.md')
    expect(err).toContain('ENOSPC')
    expect(err).toContain('# Failover drills of edge')
  })

  test('passes the flags on', async () => {
    let given: unknown
    const spy = {
      verifyFailover: async (input: unknown) => {
        given = input
        return report
      },
    }
    await runLine(
      ['verify-failover', '-y', '--drill', 'a', '-d', 'b', '--max-outage', '3s', '--from', 'srv-2', '--probe', 'http://192.0.2.200/x'],
      { app: spy },
    )
    expect(given).toMatchObject({
      drills: ['a', 'b'],
      maxOutageMs: 3000,
      from: ['srv-2'],
      probe: 'http://192.0.2.200/x',
      all: false,
      destructive: false,
    })
  })
})

test('verify-failover warns that --destructive alone has no effect', async () => {
  const app = { verifyFailover: async () => ({ drills: [PASSED], maxOutageMs: 900, exit: 0, problems: [] }) }
  const said = async (...flags: string[]) => (await runLine(['verify-failover', '-y', ...flags], { app })).err
  expect(await said('--destructive')).toContain('--destructive has no effect without --all or --drill')
  expect(await said('--destructive', '--all')).not.toContain('no effect')
  expect(await said('--destructive', '--drill', 'reboot')).not.toContain('no effect')
})

describe('check', () => {
  const report = {
    cluster: 'edge',
    profile: 'classic',
    servers: ['srv-1', 'srv-2'],
    errors: [],
    warnings: [{ path: 'vrrp_instances[0].authentication', message: 'travels in plain text', fix: 'use unicast', line: 12, column: 3 }],
    table: [
      { failed: [], master: { VRRP1: 'srv-1' } },
      { failed: ['srv-1'], master: { VRRP1: 'srv-2' } },
      { failed: ['srv-1', 'srv-2'], master: { VRRP1: undefined } },
    ],
    outages: [{ event: 'haproxy-stop', expectedMs: 4600, worstMs: undefined, openConnections: 'cut', how: 'the script fails twice' }],
  }

  test('shows who becomes master, how long it takes, and warnings with their line', async () => {
    const { exit, out } = await runLine(['check'], { app: { check: async () => report } })
    expect(exit).toBe(0)
    expect(out).toMatch(/none +srv-1\n/)
    expect(out).toMatch(/srv-1, srv-2 +NOBODY\n/)
    expect(out).toMatch(/haproxy-stop +4\.6 s +forever +cut +the script fails twice/)
    expect(out).toContain('inventory.yml:12:3: warning: vrrp_instances[0].authentication: travels in plain text')
    expect(out).toContain('0 errors, 1 warning')
  })

  test('exits 3 for a cluster that can never fail over', async () => {
    const never = { ...report, errors: [{ path: 'vrrp_script.weight', message: 'nobody ever takes over' }] }
    const { exit, result } = await runLine(['check', '--json'], { app: { check: async () => never } })
    expect(exit).toBe(3)
    expect(result()).toMatchObject({ exit: 3, errors: never.errors, table: [{ failed: [] }, {}, { master: { VRRP1: null } }] })
  })

  test('--conf checks a keepalived.conf and needs no inventory', async () => {
    const app = {
      checkConf: async (path: string) => ({ errors: [{ path: '', message: 'tie of priorities', line: 4 }], warnings: [], path }),
    }
    const { exit, out } = await runLine(['check', '--conf', 'k.conf'], { app })
    expect(exit).toBe(3)
    expect(out).toContain('/home/ops/edge/k.conf:4: error: tie of priorities')
  })
})

describe('unlock', () => {
  const lock = { owner: 'ops@laptop', reason: 'deploy', ageSeconds: 3 }

  test('exits 5 while the owner is alive', async () => {
    const app = { unlock: async () => ({ servers: [{ name: 'srv-1', lock, released: false }] }) }
    const { exit, err, out } = await runLine(['unlock'], { app })
    expect(exit).toBe(5)
    expect(out).toContain('srv-1: locked by ops@laptop, deploy, last seen 3 s ago')
    expect(err).toContain('--force')
  })

  test('says what it released', async () => {
    const app = {
      unlock: async () => ({
        servers: [
          { name: 'srv-1', lock, released: true },
          { name: 'srv-2', lock: undefined, released: false },
        ],
      }),
    }
    const { exit, out } = await runLine(['unlock'], { app })
    expect(exit).toBe(0)
    expect(out).toContain('released')
    expect(out).toContain('srv-2: not locked')
  })
})

describe('schema and completion', () => {
  test('schema prints the file of the package', async () => {
    const files = fakeFiles({ '/opt/hactl/inventory.schema.json': '{"type":"object"}\n' })
    expect((await runLine(['schema'], { ports: { files } })).out).toBe('{"type":"object"}\n')
    expect((await runLine(['schema', '--json'], { ports: { files } })).result()).toMatchObject({ exit: 0, schema: { type: 'object' } })
  })

  test('an unknown shell is refused', async () => {
    expect(await runLine(['completion', 'tcsh'])).toMatchObject({ exit: 3, out: '' })
  })
})

test('a diff that the terminal could mistake for commands is shown escaped', async () => {
  const hostile = planOf({ servers: [{ server: 'srv-1', actions: [writeFile({ before: 'a\u001B[2J\n' })], unchanged: [] }] })
  const { out } = await runLine(['plan'], { app: { plan: async () => ({ plan: hostile, observed: [] }) } })
  expect(out).toContain('a\\x1b[2J')
  expect(out).not.toContain('\u001B')
})
