import { describe, expect, test } from 'vitest'
import { HactlError, HactlErrors } from '../../src/errors.ts'
import { createLedger } from '../../src/engine/ledger.ts'
import { COMMANDS } from '../../src/cli/program.ts'
import { fakeTerminal } from '../support/terminal.ts'
import { scriptedPrompter } from '../support/prompter.ts'
import { runLine, type Scene } from './command-line.ts'
import { DEPLOYED, HEALTHY } from './samples.ts'

describe('a command line that cannot be run', () => {
  test('shows the help on stderr and exits 3 when no command is given', async () => {
    const { exit, out, err } = await runLine([])
    expect(exit).toBe(3)
    expect(out).toBe('')
    expect(err).toContain('Commands:')
    expect(err).toContain('no command was given')
  })

  test.for([
    [['plam'], "unknown command 'plam'", 'did you mean plan?'],
    [['plan', '--exitcode'], "unknown option '--exitcode'", 'did you mean --exit-code?'],
    [['plan', 'a.yml', 'b.yml'], 'too many arguments', 'hactl plan --help'],
    [['completion'], "missing required argument 'SHELL'", 'hactl completion --help'],
    [['plan', '--forks', '0'], '--forks takes a whole number from 1 to 64', '--forks 1'],
    [['plan', '--timeout', '1h'], '--timeout takes a duration', '--timeout 3s'],
    [['drain', 'srv-1', '-y', '--wait', '10'], '--wait takes a duration with its units', '--wait 10m'],
    [['upgrade', '-y', '--wait', '25h'], '(at most a day)', '--wait 10m'],
    [['upgrade', '-y', '--force'], '--force says what to do when the time of --wait is over', 'give --wait'],
    [['rollback', '-y', '--force'], '--force says what to do when the time of --wait is over', 'give --wait'],
    [['remove', '-y', '--force'], '--force says what to do when the time of --wait is over', 'give --wait'],
    [['deploy', '-y', '--force'], '--force says what to do when the time of --wait is over', 'give --wait'],
    [['verify-failover', '--report', 'x.pdf'], '--report takes a file that ends in', '--report failover.html'],
    [['verify-failover', '--probe', 'ftp://192.0.2.1/'], '--probe takes an http:// or https:// address', 'http://192.0.2.200/health'],
    [['verify-failover', '--all', '--drill', 'x', '-y'], '--all and --drill exclude each other', 'give one of them'],
    [['verify-failover', '--limit', ''], '--limit was given no name', 'a shell variable in it may be unset'],
    [['remove', '--yes', '--limit', ''], '--limit was given no name', 'or leave --limit out'],
    [['remove', '--yes', '--limit='], '--limit was given no name', 'or leave --limit out'],
    [['--limit', ' ', 'plan'], '--limit was given no name', 'or leave --limit out'],
    [['plan', '--limit', ','], '--limit holds an empty name', 'or leave --limit out'],
    [['plan', '--limit', 'srv-1', '--limit', 'srv-2,'], '--limit holds an empty name', 'or leave --limit out'],
    [['deploy', '--yes', '--forget', ''], '--forget was given no name', 'or leave --forget out'],
    [['check', ''], 'the name of the inventory is empty', 'a shell variable may be unset'],
    [['check', '-i', ''], 'the name of the inventory is empty', 'a shell variable may be unset'],
    [['check', '--conf', ''], 'the name for --conf is empty', 'a shell variable may be unset'],
    [['check', '--conf', 'k.conf', 'a.yml'], '--conf checks one file alone', 'leave out --conf or the inventory "a.yml"'],
    [['check', '--conf', 'k.conf', '-i', 'a.yml'], '--conf checks one file alone', 'leave out --conf or -i'],
    [['check', '--conf', 'k.conf', '--servers'], '--conf checks one file alone', 'leave out --conf or --servers'],
    [['check', '--conf', 'k.conf', '--limit', 'srv-1'], '--conf checks one file alone', 'leave out --conf or --limit'],
    [['import', 'srv-1=192.0.2.1', 'srv-1=192.0.2.2'], 'two servers are called srv-1', 'name each server once'],
    [['plan', 'a.yml', '-i', 'b.yml'], 'two inventories were given', 'give one of them'],
  ] as const)('%j exits 3 with a hint', async ([argv, what, fix]) => {
    const { exit, out, err } = await runLine(argv)
    expect(exit).toBe(3)
    expect(out).toBe('')
    expect(err).toContain(what)
    expect(err).toContain('[E_USAGE]')
    expect(err).toContain(fix)
  })

  test('ends --json with a result that says the same', async () => {
    const { exit, out, result } = await runLine(['plam', '--json'])
    expect(exit).toBe(3)
    expect(out.trimEnd().split('\n')).toHaveLength(1)
    expect(result()).toMatchObject({ event: 'result', command: 'hactl', exit: 3, code: 'E_USAGE', what: "unknown command 'plam'" })
  })
})

describe('--help and --version', () => {
  test('print to stdout and exit 0', async () => {
    expect(await runLine(['--version'])).toMatchObject({ exit: 0, out: '1.2.3\n', err: '' })
    const help = await runLine(['--help'])
    expect(help.exit).toBe(0)
    // The one run that ends with 5 after it has changed something.
    expect(help.out.replaceAll(/\s+/g, ' ')).toContain('one drill of several was refused')
    for (const { name, summary } of COMMANDS) {
      expect(help.out).toContain(`  ${name}`)
      expect(help.out.replaceAll(/\s+/g, ' ')).toContain(summary)
    }
  })

  test.for(COMMANDS.map(spec => spec.name))('hactl %s --help names every flag and shows an example', async name => {
    const { exit, out } = await runLine([name, '--help'])
    const spec = COMMANDS.find(one => one.name === name)
    expect(exit).toBe(0)
    for (const flag of spec?.flags ?? []) expect(out).toContain(flag.flags)
    expect(out).toContain(`Examples:\n  ${spec?.examples[0]}`)
  })

  test('stay within 80 columns, examples apart', async () => {
    const { out } = await runLine(['deploy', '--help'])
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
  })
})

describe('global flags', () => {
  test('may stand before or after the command', async () => {
    const seen: unknown[] = []
    const app = {
      status: async (input: unknown) => {
        seen.push(input)
        return HEALTHY
      },
    }
    await runLine(['--limit', 'srv-1,srv-2', '--forks', '3', 'status', '--timeout', '1500ms'], { app })
    await runLine(['status', '-l', 'srv-1', '-l', 'srv-2', '--forks', '3', '--timeout', '1.5'], { app })
    expect(seen[0]).toEqual(seen[1])
    expect(seen[0]).toMatchObject({ limit: ['srv-1', 'srv-2'], forks: 3, timeoutMs: 1500 })
  })

  test('the inventory is the argument, then -i, then $HACTL_INVENTORY, then ./inventory.yml', async () => {
    const paths: string[] = []
    const app = {
      status: async ({ inventoryPath }: { inventoryPath: string }) => {
        paths.push(inventoryPath)
        return HEALTHY
      },
    }
    const ports = { env: { HACTL_INVENTORY: '/etc/edge.yml' } }
    await runLine(['status', 'a.yml'], { app, ports })
    await runLine(['status', '-i', 'b.yml'], { app, ports })
    await runLine(['status'], { app, ports })
    await runLine(['status'], { app })
    expect(paths).toEqual(['/home/ops/edge/a.yml', '/home/ops/edge/b.yml', '/etc/edge.yml', '/home/ops/edge/inventory.yml'])
  })

  test('-K without a terminal fails and names what to set instead', async () => {
    const { exit, err } = await runLine(['status', '-K'])
    expect(exit).toBe(3)
    expect(err).toContain('[E_NOT_INTERACTIVE]')
    expect(err).toContain('become_password')
  })

  test('-K asks on a terminal, and the password is kept as a secret', async () => {
    let given: { becomePassword?: unknown } = {}
    await runLine(['status', '-K'], {
      app: {
        status: async input => {
          given = input
          return HEALTHY
        },
      },
      ports: { terminal: fakeTerminal({ stdin: true, stderr: true }) },
      prompter: scriptedPrompter([{ question: 'sudo password', answer: 'hunter2' }]),
    })
    expect(JSON.stringify(given)).toContain('"becomePassword":"***"')
  })

  test('without a terminal nobody can be asked for a passphrase', async () => {
    let given: { askPassphrase?: unknown } = { askPassphrase: 'unset' }
    const app = { status: async (input: object) => ((given = input), HEALTHY) }
    await runLine(['status', '--yes'], { app, ports: { terminal: fakeTerminal({ stdin: true }) } })
    expect(given.askPassphrase).toBeUndefined()
  })

  test('passphrases are asked for one after the other, and an empty answer gives none', async () => {
    const prompter = scriptedPrompter([
      { question: 'Passphrase for /home/ops/.ssh/a (empty: do without this key)', answer: 'open sesame' },
      { question: 'That was wrong. Passphrase for /home/ops/.ssh/b (empty: do without this key)', answer: '' },
    ])
    const answers: (string | undefined)[] = []
    const app: Scene['app'] = {
      status: async ({ askPassphrase }) => {
        const given = await Promise.all([askPassphrase?.('/home/ops/.ssh/a', false), askPassphrase?.('/home/ops/.ssh/b', true)])
        answers.push(...given.map(secret => secret?.reveal()))
        return HEALTHY
      },
    }
    const { out, err } = await runLine(['status'], { app, ports: { terminal: fakeTerminal({ stdin: true, stderr: true }) }, prompter })
    expect(answers).toEqual(['open sesame', undefined])
    expect(prompter.unasked()).toEqual([])
    expect(out + err).not.toContain('open sesame')
  })

  test('events during a passphrase question are shown after the answer', async () => {
    const drawn: string[] = []
    let meanwhile = () => {}
    const app: Scene['app'] = {
      deploy: async ({ askPassphrase }, _ports, onEvent) => {
        onEvent({ kind: 'observe-started', server: 'srv-1' })
        meanwhile = () => onEvent({ kind: 'observed', server: 'srv-2', durationMs: 812 })
        await askPassphrase?.('/home/ops/.ssh/a', false)
        return DEPLOYED
      },
    }
    const password = async () => {
      drawn.push('asked')
      meanwhile()
      return 'open sesame'
    }
    await runLine(['deploy', '--yes'], {
      app,
      ports: { terminal: fakeTerminal({ stdin: true, stdout: true, stderr: true }) },
      tree: { event: event => void drawn.push(event.kind), end: async goesOn => void drawn.push(`end ${goesOn === true}`) },
      prompter: { ...scriptedPrompter([]), password },
    })
    expect(drawn.slice(0, 4)).toEqual(['observe-started', 'end true', 'asked', 'observed'])
  })

  test('Ctrl+C at a passphrase stops the run once, however many servers ask for it', async () => {
    const interrupted = new HactlError({ code: 'E_INTERRUPTED', what: 'interrupted at a question; nothing was changed' })
    let asked = 0
    const password = async () => {
      asked += 1
      throw interrupted
    }
    const app: Scene['app'] = {
      status: async ({ askPassphrase }, { signal }) => {
        const both = await Promise.allSettled(['a', 'b'].map(async path => askPassphrase?.(path, false)))
        expect(both.map(one => one.status)).toEqual(['rejected', 'rejected'])
        expect(signal.reason).toBe('SIGINT')
        throw new HactlErrors([interrupted, interrupted])
      },
    }
    const ports = { terminal: fakeTerminal({ stdin: true, stderr: true }) }
    const { exit, err } = await runLine(['status'], { app, ports, prompter: { ...scriptedPrompter([]), password } })
    expect([exit, asked]).toEqual([130, 1])
    expect(err.match(/E_INTERRUPTED/g)).toHaveLength(1)
  })
})

describe('errors', () => {
  const denied = new HactlError({
    code: 'E_SSH_AUTH',
    server: 'srv-2',
    what: 'the server refused every key offered for user "deploy"',
    why: ['tried ~/.ssh/id_ed25519 and 2 keys from the agent (198.51.100.12:22)'],
    fix: 'ssh-copy-id deploy@198.51.100.12, or set servers[1].ssh.identity_file in inventory.yml',
  })
  const fails = (error: unknown) => ({
    status: async () => {
      throw error
    },
  })

  test('say what, why and how to fix it on stderr', async () => {
    const { exit, out, err } = await runLine(['status'], { app: fails(denied) })
    expect(exit).toBe(4)
    expect(out).toBe('')
    expect(err).toBe(`srv-2: the server refused every key offered for user "deploy"          [E_SSH_AUTH]
  why   tried ~/.ssh/id_ed25519 and 2 keys from the agent (198.51.100.12:22)
  fix   ssh-copy-id deploy@198.51.100.12, or set servers[1].ssh.identity_file in inventory.yml
`)
  })

  const changed = () => {
    const ledger = createLedger()
    ledger.note({ server: 'srv-3', label: 'make the changes live', effect: 'change' })('made')
    return ledger
  }

  test('of several servers are all reported, and the worst decides', async () => {
    const lost = new HactlError({ code: 'E_CONNECTION_LOST', server: 'srv-3', what: 'the connection was lost', fix: 'run it again' })
    const { exit, err, result } = await runLine(['status', '--json'], {
      app: fails(new HactlErrors([denied, lost])),
      ports: { ledger: changed() },
    })
    expect(exit).toBe(6)
    expect(err).toContain('srv-2: ')
    expect(err).toContain('srv-3: the connection was lost')
    expect(result()).toMatchObject({
      event: 'result',
      command: 'status',
      exit: 6,
      code: 'E_CONNECTION_LOST',
      servers: [
        { name: 'srv-3', changed: ['make the changes live'], code: 'E_CONNECTION_LOST' },
        { name: 'srv-2', code: 'E_SSH_AUTH' },
      ],
    })
  })

  test.for([
    ['E_SSH_AUTH', 4, 6],
    ['E_UNHEALTHY', 5, 6],
    ['E_DECLINED', 3, 6],
    ['E_CONNECTION_LOST', 4, 6],
    ['E_COMMAND_TIMEOUT', 4, 6],
    ['E_COMMAND_FAILED', 5, 6],
    ['E_GATE', 5, 6],
    ['E_FAILOVER_NONE', 7, 7],
    ['E_UNDO_FAILED', 8, 8],
    ['E_INTERNAL', 1, 1],
    ['E_OUTPUT', 1, 1],
  ] as const)('with %s end with %i where nothing was changed, and with %i where something was', async ([code, before, after]) => {
    const app = fails(new HactlError({ code, what: 'it failed' }))
    expect((await runLine(['status'], { app })).exit).toBe(before)
    expect((await runLine(['status'], { app, ports: { ledger: changed() } })).exit).toBe(after)
  })

  test('of several servers are judged by what was changed: before any change a refusal outweighs a lost connection', async () => {
    const errors = [
      new HactlError({ code: 'E_CONNECTION_LOST', server: 'srv-1', what: 'lost' }),
      new HactlError({ code: 'E_DISK_FULL', server: 'srv-2', what: 'full' }),
    ]
    const { result } = await runLine(['status', '--json'], { app: fails(new HactlErrors(errors)) })
    expect(result()).toMatchObject({ exit: 5, code: 'E_DISK_FULL', server: 'srv-2' })
  })

  test('that are faults of hactl exit 1, with their stack only when asked for', async () => {
    const fault = new TypeError('x is not a function')
    const short = await runLine(['status'], { app: fails(fault) })
    expect(short.exit).toBe(1)
    expect(short.err).toContain('[E_INTERNAL]')
    expect(short.err).not.toContain('TypeError')
    const long = await runLine(['status', '-v'], { app: fails(fault) })
    expect(long.err).toContain('cause TypeError: x is not a function')
  })

  test.for([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('after %s exit %i', async ([name, status]) => {
    const { exit, result } = await runLine(['status', '--json'], {
      app: fails(new HactlError({ code: 'E_INTERRUPTED', what: 'interrupted' })),
      ports: { signal: AbortSignal.abort(name) },
    })
    expect(exit).toBe(status)
    expect(result()).toMatchObject({ exit: status, code: 'E_INTERRUPTED' })
  })

  test('of several interrupted servers are one interrupt, beside what else went wrong', async () => {
    const interrupted = (server: string) => new HactlError({ code: 'E_INTERRUPTED', server, what: 'interrupted' })
    const scene = (errors: readonly HactlError[]) => ({
      app: fails(new HactlErrors(errors)),
      ports: { signal: AbortSignal.abort('SIGTERM') },
    })
    const alone = await runLine(['status'], scene([interrupted('srv-1'), interrupted('srv-2')]))
    expect(alone.exit).toBe(143)
    expect(alone.err).toMatch(/^interrupted by SIGTERM +\[E_INTERRUPTED\]\n$/)
    const mixed = await runLine(['status'], scene([interrupted('srv-1'), denied]))
    expect(mixed.exit).toBe(143)
    expect(mixed.err).toContain('srv-2: the server refused every key')
  })

  test('come after the note that a second signal does not stop the undo, with --quiet too', async () => {
    const first = new AbortController()
    const second = new AbortController()
    const app = {
      status: async () => {
        first.abort('SIGINT')
        second.abort()
        throw new HactlError({ code: 'E_INTERRUPTED', what: 'interrupted' })
      },
    }
    const { exit, err } = await runLine(['status', '-q'], { app, ports: { signal: first.signal }, impatience: second.signal })
    expect(exit).toBe(130)
    expect(err).toMatch(/^SIGINT: stopping.*\nthe undo is still running; one more signal ends hactl at once/)
  })

  test('of an undo outrank the interrupt that caused them', async () => {
    const stuck = new HactlError({
      code: 'E_UNDO_FAILED',
      server: 'srv-1',
      what: 'haproxy is still stopped',
      fix: 'systemctl start haproxy',
    })
    const { exit, err } = await runLine(['status'], { app: fails(stuck), ports: { signal: AbortSignal.abort('SIGINT') } })
    expect(exit).toBe(8)
    expect(err).toContain('systemctl start haproxy')
  })

  test('that nothing can catch stop the run as a fault of hactl', async () => {
    const { exit, err } = await runLine(['status'], {
      app: fails(new HactlError({ code: 'E_INTERRUPTED', what: 'interrupted' })),
      ports: { signal: AbortSignal.abort(new Error('read ECONNRESET')) },
    })
    expect(exit).toBe(1)
    expect(err).toContain('read ECONNRESET')
  })
})

describe('colour', () => {
  const screen = () => fakeTerminal({ stdout: true, stderr: true })
  const app = { status: async () => HEALTHY }
  const ESC = '\u001B['

  test('is used on a terminal', async () => {
    expect((await runLine(['status'], { app, ports: { terminal: screen() } })).out).toContain(ESC)
  })

  test.for([
    ['NO_COLOR', ['status'], { NO_COLOR: '1' }],
    ['--no-color', ['status', '--no-color'], {}],
    ['TERM=dumb', ['status'], { TERM: 'dumb' }],
  ] as const)('is not used with %s', async ([, argv, env]) => {
    expect((await runLine(argv, { app, ports: { terminal: screen(), env } })).out).not.toContain(ESC)
  })

  test('is not used in a pipe', async () => {
    expect((await runLine(['status'], { app })).out).not.toContain(ESC)
  })
})
