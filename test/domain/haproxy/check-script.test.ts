/** The check as it runs: real sh and perl against a socket that plays HAProxy's master. */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync, chmodSync, mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { CHECK_ASKS, checkPace, renderCheckProgram, renderCheckScript } from '../../../src/domain/haproxy/check-script.ts'
import { classicWith, clusterWith } from '../example.ts'

let folder: string
let master: Server | undefined

/** The parent of the check plays keepalived. A check asks less where keepalived has just started. */
beforeAll(() => new Promise<void>(resolve => setTimeout(resolve, Math.max(0, 2000 - process.uptime() * 1000))))

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hactl-check-'))
  mkdirSync(join(folder, 'bin'))
  play('pidof', 'exit 1')
  play('systemctl', 'echo active')
})

afterEach(async () => {
  for (const child of started.splice(0)) signal('SIGKILL', child)
  await new Promise<void>(resolve => {
    if (master === undefined) resolve()
    else master.close(() => resolve())
  })
  master = undefined
  rmSync(folder, { recursive: true, force: true })
})

function play(name: string, script: string): void {
  writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${script}\n`)
  chmodSync(join(folder, 'bin', name), 0o755)
}

/** What a process has in /proc/PID/cgroup. Without it, every haproxy counts. */
const inCgroup = (pid: number | undefined, text: string) => writeFileSync(join(folder, `cgroup.${pid}`), text)

/** Listens where HAProxy's master would, and sends the same prompt. `onQuestion` plays the worker. */
async function listen(
  onQuestion: (socket: Socket, number: number) => void,
  greet = (socket: Socket): unknown => socket.write('\nmaster> '),
): Promise<{ readonly asked: () => number }> {
  let asked = 0
  const server = createServer(socket => {
    socket.on('error', () => undefined)
    socket.on('data', (text: Buffer) => (text.toString() === 'prompt\n' ? greet(socket) : onQuestion(socket, ++asked)))
  })
  master = server
  await new Promise<void>(resolve => server.listen(join(folder, 'master.sock'), resolve))
  return { asked: () => asked }
}

const answer = (socket: Socket) => socket.end('Name: HAProxy\nVersion: 2.6.12\nPid: 4711\n')

function run(
  script: string,
  ...args: readonly string[]
): Promise<{ readonly code: number | null; readonly signal: string | null; readonly stderr: string }> {
  const path = join(folder, 'check.sh')
  const here = (text: string) =>
    text
      .replaceAll('/run/haproxy-master.sock', join(folder, 'master.sock'))
      .replaceAll('/run/hactl', folder)
      .replaceAll('/usr/local/lib/hactl', folder)
      .replaceAll(/\/proc\/(\$pid|\$_\[0\])\/cgroup/g, `${folder}/cgroup.$1`)
  writeFileSync(path, here(script))
  writeFileSync(join(folder, 'haproxy-check.pl'), here(renderCheckProgram()))
  const child = spawn('sh', [path, ...args], { env: { PATH: `${join(folder, 'bin')}:/usr/bin:/bin`, LC_ALL: 'C' }, detached: true })
  running = child
  started.push(child)
  let stderr = ''
  child.stderr.on('data', data => (stderr += String(data)))
  return new Promise(resolve => child.on('close', (code, signal) => resolve({ code, signal, stderr })))
}

let running: ReturnType<typeof spawn> | undefined
const started: ReturnType<typeof spawn>[] = []

/** As keepalived does: to the shell and all that it has started. */
function signal(name: NodeJS.Signals, child = running): void {
  if (child?.pid === undefined) return
  try {
    process.kill(-child.pid, name)
  } catch {
    // All of them have ended.
  }
}

/** The program that the shell of this run has started. Throws where it has ended: a signal to process 0 is one to all that runs these tests. */
function program(): number {
  const [pid = ''] = readFileSync(`/proc/${running?.pid}/task/${running?.pid}/children`, 'utf8').split(' ')
  if (pid === '') throw new Error('the program of this run has ended')
  return Number(pid)
}

/** Whether the shell, or something that it has started, still runs. */
function isThere(): boolean {
  try {
    return running?.pid !== undefined && process.kill(-running.pid, 0)
  } catch {
    return false
  }
}

const fast = renderCheckScript(clusterWith())

describe('the check of fast', () => {
  test('asks several times and passes while HAProxy answers', async () => {
    const { asked } = await listen(answer)
    expect(await run(fast)).toMatchObject({ code: 0, stderr: '' })
    expect(asked()).toBe(CHECK_ASKS)
  })

  test('asks only once where keepalived has just started', async () => {
    const { asked } = await listen(answer)
    const script = join(folder, 'young.sh')
    writeFileSync(script, 'sh "$1"; exit $?\n')
    await run(fast)
    const child = spawn('sh', [script, join(folder, 'check.sh')], { env: { PATH: `${join(folder, 'bin')}:/usr/bin:/bin`, LC_ALL: 'C' } })
    expect(await new Promise(resolve => child.on('close', resolve))).toBe(0)
    expect(asked()).toBe(CHECK_ASKS + 1)
  })

  test('asks once with "once"', async () => {
    const { asked } = await listen(answer)
    expect((await run(fast, 'once')).code).toBe(0)
    expect(asked()).toBe(1)
  })

  test('fails when HAProxy takes the question and never answers', async () => {
    await listen(() => undefined)
    expect((await run(fast)).code).toBe(1)
  })

  test('asks no worker through a master that is asleep: HAProxy 2.2 would never close that connection', async () => {
    const { asked } = await listen(answer, () => undefined)
    expect((await run(fast)).code).toBe(1)
    expect(asked()).toBe(0)
  })

  test('waits for a HAProxy that waits for a CPU, and repeats the last verdict where it gets none', async () => {
    await listen(() => undefined)
    const busy = spawn('sh', ['-c', 'while :; do :; done'])
    play('pidof', `echo ${busy.pid}`)
    try {
      expect((await run(fast)).code).toBe(0)
      writeFileSync(join(folder, '.check_failed'), '')
      expect((await run(fast)).code).toBe(1)
    } finally {
      busy.kill('SIGKILL')
    }
  })

  test.each([
    ['of a container', '0::/system.slice/docker-1.scope\n'],
    ['of before a reload', '0::/system.slice/haproxy.service\n'],
  ])('does not wait for a busy haproxy %s', async (_, cgroup) => {
    await listen(() => undefined)
    const busy = spawn('sh', ['-c', 'while :; do :; done'])
    // The worker that is asked must be older than a second, and more than that younger than the other.
    await new Promise(resolve => setTimeout(resolve, 2000))
    const asleep = spawn('sleep', ['30'])
    await new Promise(resolve => setTimeout(resolve, 1200))
    play('pidof', `echo ${busy.pid} ${asleep.pid}`)
    for (const pid of [process.pid, asleep.pid]) inCgroup(pid, '0::/system.slice/haproxy.service\n')
    inCgroup(busy.pid, cgroup)
    try {
      // A run that gets no CPU has no verdict.
      const hasFailed = async () => (await run(fast)).code === 1
      expect(await vi.waitUntil(hasFailed, { timeout: 15_000, interval: 5 })).toBe(true)
    } finally {
      busy.kill('SIGKILL')
      asleep.kill('SIGKILL')
    }
  })

  test('fails for a HAProxy that is stopped or asleep during a question', async () => {
    await listen(() => undefined)
    const asleep = spawn('sleep', ['30'])
    play('pidof', `echo ${asleep.pid}`)
    // A process younger than a second would count as started by a reload.
    await new Promise(resolve => setTimeout(resolve, 1200))
    try {
      expect((await run(fast)).code).toBe(1)
    } finally {
      asleep.kill('SIGKILL')
    }
  })

  test('repeats a question that was lost by a reload', async () => {
    const { asked } = await listen((socket, number) => {
      if (number > 1) answer(socket)
    })
    // Whenever it is looked for, it has just started: on a busy machine the question itself takes longer than a second.
    play('pidof', 'sleep 2 >/dev/null 2>&1 & echo $!')
    expect((await run(fast, 'once')).code).toBe(0)
    expect(asked()).toBe(2)
  })

  test('fails at the first question that is not answered', async () => {
    const { asked } = await listen((socket, number) => {
      if (number < 3) answer(socket)
    })
    expect((await run(fast)).code).toBe(1)
    expect(asked()).toBe(3)
  })

  test('asks again within its limit where the master hangs up, as it does when it re-executes itself', async () => {
    const { asked } = await listen((socket, number) => {
      if (number === 1) socket.destroy()
      else answer(socket)
    })
    expect((await run(fast, 'once')).code).toBe(0)
    expect(asked()).toBe(2)
  })

  test('goes on where the master hangs up between its greeting and the question', async () => {
    let greetings = 0
    const { asked } = await listen(answer, socket => {
      socket.write('\nmaster> ')
      if (++greetings < 16) socket.destroy()
    })
    expect(await run(fast, 'once')).toMatchObject({ code: 0, signal: null })
    expect(asked()).toBe(1)
  })

  test('passes while systemd says that HAProxy reloads: the master reads its configuration, and the workers serve', async () => {
    await listen(() => undefined)
    play('systemctl', 'echo reloading')
    expect((await run(fast)).code).toBe(0)
  })

  test('asks again where a reload has ended before systemd is asked: the master has bound another socket', async () => {
    const masters: { readonly asked: () => number }[] = []
    const former: (Server | undefined)[] = []
    const lost = await listen(() => {
      rmSync(join(folder, 'master.sock'))
      former.push(master)
      void listen(answer).then(next => masters.push(next))
    })
    masters.push(lost)
    try {
      expect((await run(fast, 'once')).code).toBe(0)
      expect(masters.map(each => each.asked())).toEqual([1, 1])
    } finally {
      for (const server of former) server?.close()
    }
  })

  test('has no verdict where keepalived cuts the run off before systemd answers, and leaves no failure for later runs to repeat', async () => {
    await listen(() => undefined)
    const asked = join(folder, 'asked')
    play('systemctl', `: >${asked}; exec sleep 1`)
    const ended = run(fast)
    await vi.waitUntil(() => existsSync(asked), { timeout: 10_000, interval: 5 })
    signal('SIGTERM')
    expect((await ended).code).toBe(0)
    expect(existsSync(join(folder, '.check_failed'))).toBe(false)
  })

  test('has no verdict where systemd says nothing', async () => {
    await listen(() => undefined)
    play('systemctl', 'exit 1')
    expect((await run(fast)).code).toBe(0)
  })

  test("does not take the master's own answer for that of a worker", async () => {
    await listen(socket => socket.end("Can't find the target CLI!\n"))
    expect((await run(fast, 'once')).code).toBe(1)
  })

  test('fails without asking where systemd has said that haproxy is down and it stays down; with "once" it asks', async () => {
    const { asked } = await listen(answer)
    writeFileSync(join(folder, 'haproxy_down'), '1\n')
    expect((await run(fast)).code).toBe(1)
    expect(asked()).toBe(0)
    expect((await run(fast, 'once')).code).toBe(0)
  })

  test('waits for a haproxy that systemd restarts, also where the first question is refused before systemd says so', async () => {
    const { asked } = await listen((socket, number) => {
      if (number === 1) {
        writeFileSync(join(folder, 'haproxy_down'), '1\n')
        setTimeout(() => writeFileSync(join(folder, 'haproxy_down'), '0\n'), 100)
        socket.destroy()
      } else answer(socket)
    })
    expect((await run(fast)).code).toBe(0)
    expect(asked()).toBeGreaterThan(1)
  })

  test('leaves a haproxy that goes down in the middle of a run to the next run', async () => {
    await listen((socket, number) => {
      if (number === 2) writeFileSync(join(folder, 'haproxy_down'), '1\n')
      if (number < 2) answer(socket)
      else socket.destroy()
    })
    expect((await run(fast)).code).toBe(0)
    expect((await run(fast)).code).toBe(1)
  })

  test('looks for a process where there is no master socket, and says so', async () => {
    expect(await run(fast)).toMatchObject({ code: 1, stderr: expect.stringContaining('a process of haproxy.service only') })
    play('pidof', 'echo 4711')
    for (const [cgroup, code] of [
      ['0::/system.slice/haproxy.service\n', 0],
      // Ubuntu 20.04 has both versions of control groups.
      ['2:memory:/system.slice/haproxy.service\n1:name=systemd:/system.slice/haproxy.service\n0::/system.slice/haproxy.service\n', 0],
      ['0::/system.slice/docker-1.scope\n', 1],
    ] as const) {
      inCgroup(4711, cgroup)
      expect((await run(fast)).code).toBe(code)
    }
  })

  test('ends on SIGTERM during a question, and repeats the last verdict: a busy server is no hung HAProxy', async () => {
    await listen(() => signal('SIGTERM'))
    expect((await run(fast)).code).toBe(0)
    writeFileSync(join(folder, '.check_failed'), '')
    expect((await run(fast)).code).toBe(1)
    expect((await run(fast, 'once')).code).toBe(1)
  })

  test.each([
    ['passed', (): void => undefined, 0],
    ['failed', (): void => writeFileSync(join(folder, '.check_failed'), ''), 1],
    ['passed, but systemd has said that haproxy is down', (): void => writeFileSync(join(folder, 'haproxy_down'), '1\n'), 1],
  ] as const)('cut off before perl is up, a run ends at once with the verdict of the one before: %s', async (_, given, code) => {
    await listen(answer)
    given()
    const up = join(folder, 'up')
    play('perl', `: >${up}; exec sleep 60`)
    const ended = run(fast)
    await vi.waitUntil(() => existsSync(up), { timeout: 10_000, interval: 5 })
    signal('SIGTERM')
    expect((await ended).code).toBe(code)
    // Nothing of it runs on, beside the next run.
    await vi.waitUntil(() => !isThere(), { timeout: 10_000, interval: 5 })
  })

  test('cut off before its program is looked for, a run ends with the verdict of the one before', async () => {
    const up = join(folder, 'up')
    play('pidof', `: >${up}; exec sleep 60`)
    const ended = run(fast)
    await vi.waitUntil(() => existsSync(up), { timeout: 10_000, interval: 5 })
    signal('SIGTERM')
    expect((await ended).code).toBe(0)
  })

  describe('whose program outlives it', () => {
    /** A run that is cut off once there is a file that its program makes, and the program is in that state. */
    const cutOff = async (state = 'S') => {
      const up = join(folder, 'up')
      rmSync(up, { force: true })
      const ended = run(fast)
      await vi.waitUntil(() => existsSync(up) || running?.exitCode !== null, { timeout: 10_000, interval: 5 })
      const isSo = () => readFileSync(`/proc/${program()}/stat`, 'utf8').includes(`) ${state} `)
      if (existsSync(up)) await vi.waitUntil(isSo, { timeout: 10_000, interval: 5 })
      signal('SIGTERM')
      return { code: (await ended).code, hasStarted: existsSync(up) }
    }
    /** A program that neither starts nor ends, as with a disk that does not answer. */
    const stick = () => play('perl', `trap "" TERM; : >${join(folder, 'up')}; exec sleep 60 >/dev/null 2>&1`)
    const end = async () => {
      for (const child of started) {
        running = child
        signal('SIGKILL')
        await vi.waitUntil(() => !isThere(), { timeout: 10_000, interval: 5 })
      }
    }

    test('repeats the verdict once, fails while that program is there, and starts no third', async () => {
      await listen(answer)
      stick()
      expect([await cutOff(), await cutOff(), await cutOff()]).toEqual([
        { code: 0, hasStarted: true },
        { code: 1, hasStarted: true },
        { code: 1, hasStarted: false },
      ])
      await end()
      expect(await cutOff()).toEqual({ code: 0, hasStarted: true })
    })

    test('repeats it again once a program has started in time', async () => {
      await listen(answer)
      stick()
      expect((await cutOff()).code).toBe(0)
      rmSync(join(folder, 'bin', 'perl'))
      expect((await run(fast)).code).toBe(0)
      stick()
      expect((await cutOff()).code).toBe(0)
    })

    test('repeats it for as long as that program only wants a CPU', async () => {
      await listen(answer)
      play('perl', `trap "" TERM; : >${join(folder, 'up')}; exec >/dev/null 2>&1; while :; do :; done`)
      expect([(await cutOff('R')).code, (await cutOff('R')).code]).toEqual([0, 0])
    })

    test('takes no other process of the same number for it', async () => {
      await listen(answer)
      stick()
      writeFileSync(join(folder, '.check_late'), `${process.pid} 1\n`)
      expect((await cutOff()).code).toBe(0)
    })

    test('passes where HAProxy has answered, and leaves the mark of a later failure', async () => {
      const mark = join(folder, '.check_failed')
      writeFileSync(mark, '')
      let stopped = false
      await listen((socket, number) => {
        if (number === 1) return answer(socket)
        process.kill(program(), 'SIGSTOP')
        stopped = true
        return undefined
      })
      const ended = run(fast)
      await vi.waitUntil(() => stopped, { timeout: 10_000, interval: 5 })
      signal('SIGTERM')
      await vi.waitUntil(() => running?.exitCode !== null, { timeout: 10_000, interval: 5 })
      writeFileSync(mark, '')
      signal('SIGCONT')
      expect((await ended).code).toBe(0)
      await vi.waitUntil(() => !isThere(), { timeout: 10_000, interval: 5 })
      expect(existsSync(mark)).toBe(true)
    })
  })

  test('keeps a failure until HAProxy has answered a whole run', async () => {
    let hung = true
    await listen(socket => {
      if (!hung) answer(socket)
    })
    await run(fast)
    expect(existsSync(join(folder, '.check_failed'))).toBe(true)
    hung = false
    expect((await run(fast)).code).toBe(0)
    expect(existsSync(join(folder, '.check_failed'))).toBe(false)
  })

  test('forgets a failure in a run that passes although its time is up, and where keepalived has just started', async () => {
    const mark = join(folder, '.check_failed')
    let answers = 1
    await listen(socket => {
      if (answers-- > 0) answer(socket)
    })
    // What answered once and then wants a CPU until the time is up.
    const busy = spawn('sh', ['-c', 'while :; do :; done'])
    play('pidof', `echo ${busy.pid}`)
    try {
      writeFileSync(mark, '')
      expect((await run(fast)).code).toBe(0)
      // Later than any answer: the run before has passed, so this one does.
      expect((await run(fast)).code).toBe(0)
    } finally {
      busy.kill('SIGKILL')
    }
    writeFileSync(mark, '')
    answers = 1
    const script = join(folder, 'young.sh')
    writeFileSync(script, 'sh "$1"; exit $?\n')
    const child = spawn('sh', [script, join(folder, 'check.sh')], { env: { PATH: `${join(folder, 'bin')}:/usr/bin:/bin`, LC_ALL: 'C' } })
    expect(await new Promise(resolve => child.on('close', resolve))).toBe(0)
    expect(existsSync(mark)).toBe(false)
  })

  /** The run gets no CPU from its first question on, for longer than its time; HAProxy answers meanwhile, or does not. */
  function starve(socket: Socket, hasAnswer: boolean): void {
    signal('SIGSTOP')
    if (hasAnswer) answer(socket)
    setTimeout(() => signal('SIGCONT'), 1000)
  }

  test('a run that is merely late fails none of its kind, however many follow: the address stays', async () => {
    const { asked } = await listen((socket, number) => starve(socket, number % 2 === 0))
    const codes: (number | null)[] = []
    for (let runs = 0; runs < 4; runs++) codes.push((await run(fast)).code)
    expect(codes).toEqual([0, 0, 0, 0])
    expect(asked()).toBe(4)
    expect(existsSync(join(folder, '.check_failed'))).toBe(false)
  })

  test('a late run repeats a failure only until one has heard HAProxy, however late: then none counts any more', async () => {
    const verdicts = ['hung', 'late', 'late and answered', 'late', 'hung', 'answered', 'late'] as const
    let now: (typeof verdicts)[number] = 'hung'
    await listen(socket => {
      if (now === 'answered') answer(socket)
      else if (now !== 'hung') starve(socket, now === 'late and answered')
    })
    const seen: [string, number | null][] = []
    for (const verdict of verdicts) {
      now = verdict
      seen.push([verdict, (await run(fast)).code])
    }
    expect(seen).toEqual([
      ['hung', 1],
      ['late', 1],
      ['late and answered', 0],
      ['late', 0],
      ['hung', 1],
      ['answered', 0],
      ['late', 0],
    ])
  })

  test('has the time that keepalived gives a run, and a look of hactl all the time that the look has', async () => {
    await listen(answer)
    // What the program is asked for: questions, end, spacing, waits, and how long each is.
    play('perl', 'shift; echo "$1 $2 $3 $4 $5" >&2')
    const { check, ...rest } = clusterWith()
    const slow = renderCheckScript({ ...rest, check: { ...check, interval: 2, timeout: 2 } })
    expect((await run(fast)).stderr).toBe('5 0.88 0.185 8 0.02\n')
    expect((await run(slow)).stderr).toBe('5 1.76 0.37 16 0.02\n')
    expect((await run(fast, 'once')).stderr).toBe('1 2 0.185 24 0.02\n')
    expect((await run(fast, 'once', '9')).stderr).toBe('1 9 0.185 24 0.02\n')
  })

  test.each([0.1, 0.5, 1, 1.5, 2, 10])(
    'with a timeout of %s s, ends before keepalived cuts it off, so that runs never pile up',
    timeout => {
      const { spacingMs, limitMs, endMs } = checkPace({ timeout })
      expect(endMs).toBeLessThan(timeout * 1000)
      expect(limitMs).toBeLessThan(spacingMs)
      // Below a second some questions find no time.
      expect((CHECK_ASKS - 1) * spacingMs + limitMs).toBeLessThan(0.95 * Math.max(1, timeout) * 1000)
    },
  )
})

describe("the article's check", () => {
  const classic = renderCheckScript(classicWith())

  test('passes while there is at least one haproxy process', async () => {
    play('pidof', 'echo 17 18')
    expect((await run(classic)).code).toBe(0)
  })

  test('fails when there is none', async () => {
    expect((await run(classic)).code).toBe(1)
  })
})
