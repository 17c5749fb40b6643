import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { bootstrapFor, wrapScript } from '../../../src/engine/ssh/become.ts'
import type { SshRemoteDeps } from '../../../src/engine/ssh/node-ssh.ts'
import { createSshRemote } from '../../../src/engine/ssh/node-ssh.ts'
import type { SshLogEntry } from '../../../src/engine/ssh/session.ts'
import { base64Literal, sh } from '../../../src/shell/sh.ts'
import { HactlError } from '../../../src/errors.ts'
import type { ConnectTarget, Session } from '../../../src/ports.ts'
import { Secret } from '../../../src/secret.ts'
import type { Controller, SshServer, SshServerOptions, SudoKind } from '../../support/ssh-server.ts'
import { knownHostsLine, makeController, makeKey, makeSudoPath, startSshServer } from '../../support/ssh-server.ts'
import { failureOf } from '../../support/thrown.ts'

const userKey = makeKey()
const hostKey = makeKey()
const options = { effect: 'none' as const, label: 'do it', deadlineMs: 8_000 }

let controller: Controller
const cleanups: (() => unknown)[] = []

beforeEach(() => {
  controller = makeController()
  controller.sshFile('id_ed25519', userKey.private)
})

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  controller.remove()
})

async function open(
  server: SshServerOptions = {},
  target: Partial<ConnectTarget> = {},
  deps: Partial<SshRemoteDeps> = {},
): Promise<{ session: Session; server: SshServer }> {
  const started = await startSshServer({ hostKeys: [hostKey], authorized: [userKey], ...server })
  cleanups.push(() => started.close())
  controller.sshFile('known_hosts', knownHostsLine(started.port, hostKey))
  const session = await createSshRemote({ ...controller.deps, ...deps }).connect(controller.target(started, target))
  cleanups.push(() => session.close())
  return { session, server: started }
}

const path = (name: string) => join(controller.home, name)
// A zombie counts as dead: the first process of some containers never reaps it.
const isAlive = (pid: number) => /^[^Z]/.test(spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim())

describe('a command', () => {
  test('gives back its exit code, stdout and stderr, untrimmed', async () => {
    const { session } = await open()
    const result = await session.run(sh`printf ' out \n\n'; printf 'err\n' >&2; exit 3`, options)
    expect(result).toMatchObject({ code: 3, stdout: ' out \n\n', stderr: 'err\n' })
    expect((await session.run(sh``, options)).code).toBe(0)
    expect((await session.run(sh`false`, options)).code).toBe(1)
  })

  test('runs with an empty stdin, LC_ALL=C, the system directories on PATH, umask 022 and in /', async () => {
    const { session } = await open({ env: { LC_ALL: 'de_DE.UTF-8', PATH: '/usr/bin:/bin' } })
    const { stdout } = await session.run(sh`cat; echo "$LC_ALL"; umask; pwd; case :$PATH: in (*:/usr/sbin:*) echo sbin;; esac`, options)
    expect(stdout).toBe('C\n0022\n/\nsbin\n')
  })

  test('that a signal ends has the exit code that a shell reports', async () => {
    const { session } = await open()
    expect((await session.run(sh`kill -KILL $$`, options)).code).toBe(137)
  })

  test('the output does not contain what login files print on either stream', async () => {
    const { session } = await open({ onExec: c => c.runShell(`printf 'Welcome\n'; printf motd >&2; ${c.command}`) })
    expect(await session.run(sh`echo a; echo b >&2`, options)).toMatchObject({ stdout: 'a\n', stderr: 'b\n' })
  })

  test('a syntax error is a failed command that ran nothing', async () => {
    const { session } = await open()
    const result = await session.run(sh`touch ${path('ran')}\nif then`, options)
    expect(result.code).not.toBe(0)
    expect(result.stderr).toMatch(/syntax error/i)
    expect(existsSync(path('ran'))).toBe(false)
  })

  test('scripts may use here-documents, functions, exit, set -e, traps and wait', async () => {
    const { session } = await open()
    const run = async (script: ReturnType<typeof sh>) => (await session.run(script, options)).stdout
    expect(await run(sh`cat <<EOF\na 'b' $((1 + 1))\nEOF`)).toBe("a 'b' 2\n")
    expect(await run(sh`f() { echo "in $1"; }; f x; f y # end`)).toBe('in x\nin y\n')
    expect(await run(sh`set -e; trap 'echo bye' EXIT; false; echo never`)).toBe('bye\n')
    expect(await run(sh`sleep 0.05 & sleep 0.05 & wait; echo waited`)).toBe('waited\n')
  })

  test('every character arrives complete, however the bytes are split', async () => {
    const { session } = await open({ chunkBytes: 1 })
    const text = 'größer 日本語 👩‍👩‍👧\n'
    const result = await session.run(sh`printf %s ${text}; printf %s ${text} >&2`, options)
    expect(result).toMatchObject({ stdout: text, stderr: text })
  })

  test('a script of more than a megabyte arrives', async () => {
    const { session } = await open()
    const bytes = Buffer.alloc(1_000_000, 'hactl ')
    const result = await session.run(sh`printf %s ${base64Literal(bytes)} | base64 -d | wc -c`, options)
    expect(result.stdout.trim()).toBe('1000000')
  })

  test('output is read up to its bound, and a command with more output is stopped', async () => {
    const { session } = await open()
    const print = sh`head -c 3000000 /dev/zero | tr '\\000' x`
    expect((await session.run(print, options)).stdout.length).toBe(3_000_000)
    const failure = await failureOf(session.run(sh`${print}; sleep 60`, { ...options, maxBytes: 100_000 }))
    expect(failure).toMatchObject({ code: 'E_COMMAND_FAILED', server: 'srv-1' })
  })

  test('lines are handed out as they arrive and are not collected', async () => {
    const { session } = await open({ chunkBytes: 3 })
    const lines: string[] = []
    let release: (() => void) | undefined
    const first = new Promise<void>(resolve => {
      release = resolve
    })
    const running = session.run(sh`echo äöü; while [ ! -e ${path('go')} ]; do sleep 0.02; done; echo; printf rest`, {
      ...options,
      onLine: line => {
        lines.push(line)
        release?.()
      },
    })
    await first
    expect(lines).toEqual(['äöü'])
    controller.sshFile('../go', '')
    expect(await running).toMatchObject({ code: 0, stdout: '' })
    expect(lines).toEqual(['äöü', '', 'rest'])
  })

  test('a listener that throws ends the command with its error', async () => {
    const { session } = await open()
    const failure = await failureOf(
      session.run(sh`echo a; sleep 60`, {
        ...options,
        onLine: () => {
          throw new HactlError({ code: 'E_GATE', what: 'seen enough' })
        },
      }),
    )
    expect(failure.code).toBe('E_GATE')
  })

  test('is one exec whose command line holds no value', async () => {
    const { session, server } = await open()
    await session.run(sh`echo ${new Secret('s3cret')} ${'value'}`, options)
    expect(server.commands).toHaveLength(1)
    expect(server.commands[0]).not.toMatch(/s3cret|value/)
    expect(server.commands[0]).not.toMatch(/[\\\n!]/)
  })

  test('is logged once, masked, with the ends of its output', async () => {
    const log: SshLogEntry[] = []
    const { session } = await open({}, {}, { log: entry => log.push(entry) })
    await session.run(sh`printf %s ${new Secret('s3cret')} >/dev/null; echo out; echo err >&2; exit 4`, options)
    await failureOf(session.run(sh`sleep 60`, { ...options, deadlineMs: 100 }))
    expect(log).toMatchObject([
      {
        server: 'srv-1',
        label: 'do it',
        code: 4,
        script: 'printf %s *** >/dev/null; echo out; echo err >&2; exit 4',
        stdoutTail: 'out\n',
        stderrTail: 'err\n',
      },
      { code: undefined, script: 'sleep 60' },
    ])
    expect(JSON.stringify(log)).not.toContain('s3cret')
  })
})

describe('nothing runs unless all of the script arrived', () => {
  test('a script cut anywhere before its last line does nothing', () => {
    const ran = path('ran')
    const text = wrapScript(sh`touch ${ran}\ncat > ${ran} <<EOF\nx\nEOF\ntouch ${ran}`)
    const callAt = text.lastIndexOf('hactl_main')
    for (let length = text.indexOf('hactl_main'); length < callAt + 'hactl_main'.length; length += 3) {
      spawnSync('/bin/sh', ['-s'], { input: text.slice(0, length) })
      expect(existsSync(ran), `cut after ${length} bytes`).toBe(false)
    }
    spawnSync('/bin/sh', ['-s'], { input: text })
    expect(existsSync(ran)).toBe(true)
  })
})

describe('a deadline', () => {
  test.for(['root', 'sudo'])('ends the command and its children on the server, as %s', async kind => {
    const env: Record<string, string> = kind === 'root' ? {} : { PATH: makeSudoPath(controller.home, 'nopasswd', '').path }
    const { session } = await open({ env }, { user: kind === 'root' ? 'root' : 'ops' })
    const failure = await failureOf(
      session.run(sh`sleep 60 & echo $! > ${path('pid')}; echo working >&2; wait`, { ...options, deadlineMs: 400 }),
    )
    expect(failure).toMatchObject({ code: 'E_COMMAND_TIMEOUT', didNotRun: false, message: 'do it: not done after 0.4 s' })
    expect(failure.why).toEqual(['the command was stopped on the server', 'working'])
    const pid = Number(readFileSync(path('pid'), 'utf8'))
    await vi.waitFor(() => expect(isAlive(pid)).toBe(false))
  })

  test('a command that does not end is reported as possibly still running', async () => {
    const { session } = await open()
    const failure = await failureOf(
      session.run(sh`trap '' TERM; echo $$ > ${path('pid')}; while :; do sleep 0.05; done`, { ...options, deadlineMs: 300 }),
    )
    process.kill(Number(readFileSync(path('pid'), 'utf8')), 'SIGKILL')
    expect(failure.why[0]).toBe('the command may still be running on the server, which ends it 10.3 s after its start')
  })

  test('grows with --timeout above its default, save where the limit belongs to something that does not wait; the error names the flag', async () => {
    const { session, server } = await open({}, { connectTimeoutMs: 60_000 })
    const short = { ...options, deadlineMs: 150 }
    const patient = await failureOf(session.run(sh`sleep 60`, short))
    expect(patient).toMatchObject({ message: 'do it: not done after 0.5 s', fix: expect.stringContaining('--timeout 120 allows it twice') })
    const fixed = await failureOf(session.run(sh`sleep 60`, { ...short, hasFixedLimit: true }))
    expect(fixed).toMatchObject({ message: 'do it: not done after 0.2 s', fix: 'see what keeps the server busy, then run again' })
    await session.close()
    const hurried = await createSshRemote(controller.deps).connect(controller.target(server, { connectTimeoutMs: 3_000 }))
    cleanups.push(() => hurried.close())
    expect(await failureOf(hurried.run(sh`sleep 60`, short))).toMatchObject({
      message: 'do it: not done after 0.2 s',
      fix: expect.stringContaining('--timeout 40 '),
    })
  })

  test.for([
    [1_800_000, '; --timeout 3600 allows it twice the time'],
    [2_000_000, '; --timeout 3600 allows it more time'],
    [3_600_000, ''],
  ] as const)('that passed at a --timeout of %i ms names none that hactl does not take', async ([connectTimeoutMs, more]) => {
    const { session } = await open({}, { connectTimeoutMs })
    expect(await failureOf(session.run(sh`sleep 60`, { ...options, deadlineMs: 2 }))).toMatchObject({
      code: 'E_COMMAND_TIMEOUT',
      fix: `see what keeps the server busy, then run again${more}`,
    })
  })

  test('is enforced by the server too, a little later, in case the controller is gone', () => {
    expect(bootstrapFor('login', 0.2)).toContain('exec timeout -k 5 1 /bin/sh -s')
    const result = spawnSync('/bin/sh', ['-c', bootstrapFor('login', 0.2)], { input: wrapScript(sh`sleep 60`) })
    expect(result.status).toBe(124)
  })
})

describe('an abort', () => {
  test('ends the command on the server and says so', async () => {
    const { session } = await open()
    const abort = new AbortController()
    const failure = await failureOf(
      session.run(sh`sleep 60 & echo $!; wait`, {
        ...options,
        signal: abort.signal,
        onLine: line => {
          controller.sshFile('../pid', line)
          abort.abort('SIGINT')
        },
      }),
    )
    expect(failure).toMatchObject({ code: 'E_INTERRUPTED', why: ['the command was stopped on the server'] })
    const pid = Number(readFileSync(path('pid'), 'utf8'))
    await vi.waitFor(() => expect(isAlive(pid)).toBe(false))
    expect((await session.run(sh`echo still here`, options)).stdout).toBe('still here\n')
  })

  test('before the start keeps the command from starting', async () => {
    const { session, server } = await open()
    expect((await failureOf(session.run(sh`true`, { ...options, signal: AbortSignal.abort() }))).code).toBe('E_INTERRUPTED')
    expect(server.commands).toHaveLength(0)
  })

  test('reaches commands that wait for their turn', async () => {
    const { session, server } = await open()
    const abort = new AbortController()
    const five = Array.from({ length: 5 }, () => failureOf(session.run(sh`sleep 60`, { ...options, signal: abort.signal })))
    await vi.waitFor(() => expect(server.commands).toHaveLength(4))
    abort.abort()
    expect((await Promise.all(five)).map(f => f.code)).toEqual(Array.from({ length: 5 }, () => 'E_INTERRUPTED'))
    expect(server.commands).toHaveLength(4)
  })
})

describe('a lost connection', () => {
  test('during a command is an error, never a success, and says what may have happened', async () => {
    const { session, server } = await open({
      onExec: c => {
        c.runShell()
        c.channel.once('data', () => setTimeout(() => c.socket.destroy(), 150))
      },
    })
    const failure = await failureOf(session.run(sh`sleep 0.4; echo done > ${path('finished')}`, options))
    expect(server.commands).toHaveLength(1)
    expect(failure).toMatchObject({ code: 'E_CONNECTION_LOST', didNotRun: false, message: 'do it: the connection was lost' })
    expect(failure.why.at(-1)).toBe('the command may have run to its end, or the server ends it 18 s after its start')
    // A package installation must not be cut short because a laptop went to sleep.
    await vi.waitFor(() => expect(existsSync(path('finished'))).toBe(true))
  })

  test('by a reset does not end the process, and later commands fail at once', async () => {
    const { session } = await open({ onExec: c => c.socket.resetAndDestroy() })
    expect((await failureOf(session.run(sh`true`, options))).code).toBe('E_CONNECTION_LOST')
    const later = await failureOf(session.run(sh`true`, options))
    expect(later.code).toBe('E_CONNECTION_LOST')
    expect(later.why.at(-1)).toBe('no part of the command has run')
    expect(later.didNotRun).toBe(true)
  })

  test('while idle does not end the process', async () => {
    const { session, server } = await open()
    await server.close()
    await vi.waitFor(async () => expect((await failureOf(session.run(sh`true`, options))).code).toBe('E_CONNECTION_LOST'))
    cleanups.splice(0)
  })

  test('a channel that closes without an exit status is not a success', async () => {
    const { session } = await open({
      onExec: c => {
        c.channel.write('hactl:ready\n')
        c.channel.stderr.write('hactl:ready\n')
        c.channel.once('data', () => c.channel.end())
      },
    })
    expect((await failureOf(session.run(sh`true`, options))).code).toBe('E_CONNECTION_LOST')
  })

  test('a network that falls silent is noticed', async () => {
    const { session, server } = await open({}, {}, { keepaliveMs: 40 })
    const running = failureOf(session.run(sh`sleep 60`, options))
    await vi.waitFor(() => expect(server.commands).toHaveLength(1))
    server.fallSilent()
    const failure = await running
    expect(failure).toMatchObject({ code: 'E_CONNECTION_LOST' })
    expect(failure.why[0]).toBe('Keepalive timeout')
  })

  test('a server that is slow by --timeout may be silent for as many times longer', async () => {
    const { session, server } = await open({}, { connectTimeoutMs: 1_200_000 }, { keepaliveMs: 40 })
    const running = failureOf(session.run(sh`sleep 60`, { ...options, deadlineMs: 20 }))
    await vi.waitFor(() => expect(server.commands).toHaveLength(1))
    server.fallSilent()
    expect((await running).code).toBe('E_COMMAND_TIMEOUT')
  })
})

describe('channels', () => {
  test('at most four commands run at once on a connection; the rest wait', async () => {
    const { session, server } = await open()
    const results = await Promise.all(Array.from({ length: 10 }, (_, i) => session.run(sh`sleep 0.05; echo ${i}`, options)))
    expect(results.map(r => r.stdout)).toEqual(Array.from({ length: 10 }, (_, i) => `${i}\n`))
    expect(server.maxRunning()).toBe(4)
  })

  test('a session that the server refuses is requested again, with a limit', async () => {
    const { session } = await open({ refusedSessions: 2 })
    expect((await session.run(sh`echo ok`, options)).stdout).toBe('ok\n')
    const { session: other } = await open({ refusedSessions: 100 })
    const refused = await failureOf(other.run(sh`echo ok`, options))
    expect(refused.message).toMatch(/opens no further session/)
    expect(refused.didNotRun).toBe(true)
  })
})

describe('becoming root', () => {
  const password = 'correct horse'
  const asOps = async (kind: SudoKind, target: Partial<ConnectTarget> = {}) => {
    const sudo = makeSudoPath(controller.home, kind, password)
    const opened = await open({ env: { PATH: sudo.path } }, { user: 'ops', ...target })
    return { ...opened, sudoLog: () => readFileSync(sudo.log, 'utf8') }
  }

  test('root needs no sudo', async () => {
    const sudo = makeSudoPath(controller.home, 'nopasswd', password)
    const { session } = await open({ env: { PATH: sudo.path } }, { user: 'root' })
    expect((await session.run(sh`echo hi`, options)).stdout).toBe('hi\n')
    expect(readFileSync(sudo.log, 'utf8')).toBe('')
  })

  test('without become, the login user runs the script', async () => {
    const { session, sudoLog } = await asOps('nopasswd', { become: false })
    expect((await session.run(sh`echo hi`, options)).stdout).toBe('hi\n')
    expect(sudoLog()).toBe('')
  })

  test('sudo that asks for nothing gets no password, even where one is known', async () => {
    const { session, sudoLog } = await asOps('nopasswd', { becomePassword: new Secret(password) })
    for (const word of ['a', 'b'])
      expect(await session.run(sh`echo ${word}; echo e >&2`, options)).toMatchObject({ stdout: `${word}\n`, stderr: 'e\n' })
    expect(sudoLog()).not.toMatch(/^read/m)
    expect(sudoLog()).not.toContain(password)
  })

  test('sudo that asks gets the password on stdin, once per command, and it never appears in output or argv', async () => {
    const { session, sudoLog, server } = await asOps('password', { becomePassword: new Secret(password) })
    for (const word of ['a', 'b'])
      expect(await session.run(sh`cat; echo ${word}`, options)).toMatchObject({ code: 0, stdout: `${word}\n`, stderr: '' })
    expect(
      sudoLog()
        .split('\n')
        .filter(l => l === `read ${password}`),
    ).toHaveLength(2)
    expect(
      sudoLog()
        .split('\n')
        .filter(l => l.startsWith('argv'))
        .join(),
    ).not.toContain(password)
    expect(server.commands.join()).not.toContain(password)
  })

  test('a wrong password is tried once, even for many commands, and never followed by the script', async () => {
    const { session, sudoLog } = await asOps('password', { becomePassword: new Secret('wrong') })
    const failure = await failureOf(session.run(sh`touch ${path('ran')}`, options))
    expect(failure).toMatchObject({ code: 'E_SUDO', didNotRun: true, message: 'sudo refused the password for "ops"' })
    expect(failure.fix).toContain('--ask-become-pass')
    expect((await failureOf(session.run(sh`true`, options))).code).toBe('E_SUDO')
    expect(
      sudoLog()
        .split('\n')
        .filter(l => l.startsWith('read ')),
    ).toEqual(['read wrong'])
    expect(existsSync(path('ran'))).toBe(false)
    expect([failure.message, ...failure.why, failure.fix].join()).not.toContain('wrong ')
  })

  test.for<[SudoKind, Secret | undefined, RegExp, RegExp]>([
    ['password', undefined, /wants a password for "ops"/, /--ask-become-pass/],
    ['not-allowed', undefined, /does not let "ops" become root/, /usermod -aG sudo ops/],
    ['not-allowed', new Secret(password), /does not let "ops" become root/, /usermod -aG sudo ops/],
    ['not-installed', undefined, /sudo is not installed/, /install sudo/],
    ['not-installed', new Secret(password), /sudo is not installed/, /install sudo/],
    ['needs-terminal', undefined, /wants a terminal/, /!requiretty/],
  ])('no way to root: sudo %s', async ([kind, becomePassword, what, fix]) => {
    const { session } = await asOps(kind, { becomePassword })
    const failure = await failureOf(session.run(sh`touch ${path('ran')}`, options))
    expect(failure).toMatchObject({ code: 'E_SUDO', didNotRun: true, server: 'srv-1' })
    expect(failure.message).toMatch(what)
    expect(failure.fix).toMatch(fix)
    expect(failure.why.join()).not.toContain('hactl:')
    expect(existsSync(path('ran'))).toBe(false)
  })

  test('an account without a shell is reported as such', async () => {
    const { session } = await open({ onExec: c => c.runShell('echo "This account is currently not available." >&2; exit 1') })
    const failure = await failureOf(session.run(sh`true`, options))
    expect(failure).toMatchObject({ code: 'E_SSH_CONFIG', didNotRun: true, why: ['This account is currently not available.'] })
  })
})

test('close is idempotent, and a command after it is refused', async () => {
  const { session } = await open()
  await Promise.all([session.close(), session.close()])
  await session.close()
  expect((await failureOf(session.run(sh`true`, options))).code).toBe('E_CONNECTION_LOST')
})
