/** The hooks as they run: real sh, in a folder instead of /run/hactl, with ip, systemctl and sleep that a test plays. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Cluster } from '../../src/domain/cluster-types.ts'
import { handOverLimitMs, renderServiceHooks, stopLimitSeconds } from '../../src/domain/hand-over.ts'
import { handOverUnitOf, renderHandOverUnit } from '../../src/domain/hand-over-unit.ts'
import { renderHaproxyDropin } from '../../src/domain/haproxy/hooks.ts'
import { renderKeepalivedDropin, renderTmpfilesConf } from '../../src/domain/keepalived/hooks.ts'
import { CHECK_SCRIPT, OPEN_CONNECTIONS_PROGRAM, SERVICE_HOOKS } from '../../src/domain/paths.ts'
import { clusterWith } from './example.ts'
import { hookCall } from './unit-file.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hactl-hooks-'))
  mkdirSync(join(folder, 'bin'))
  mkdirSync(join(folder, 'run'))
  play('systemctl', 'echo "systemctl $*" >> "$LOG"; case "$*" in *is-active*) exit 0;; *list-jobs*) echo "7 $4 stop waiting";; esac')
  play('systemd-run', 'echo "systemd-run $*" >> "$LOG"')
  play('ip', 'echo "1: eth0 inet 192.0.2.11/24 scope global eth0"')
  play('ss', 'echo "ss $*" >> "$LOG"')
  // A clock that only sleep moves, by 20 ms.
  writeFileSync(join(folder, 'uptime'), '4711.00 9000.00\n')
  writeFileSync(join(folder, 'ticks'), '471100\n')
  play(
    'sleep',
    `echo "sleep $1" >> "$LOG"; t=$(($(cat ${folder}/ticks)+2)); echo $t > ${folder}/ticks; echo "$((t/100)).$(printf %02d $((t%100))) 9000.00" > ${folder}/uptime`,
  )
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

function play(name: string, script: string): void {
  writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${script}\n`)
  chmodSync(join(folder, 'bin', name), 0o755)
}

/** `looks` times the address is there, then it has left. */
function holdsAddress(looks: number): void {
  const line = 'echo "1: eth0 inet 192.0.2.200/24 scope global secondary eth0"'
  const route = 'case "$*" in *route*) echo "ip $*" >> "$LOG"; exit;; esac'
  play('ip', `${route}; n=$(cat "$LOG.looks" 2>/dev/null || echo 0); echo $((n+1)) > "$LOG.looks"; [ $n -ge ${looks} ] || ${line}`)
}

const HAND_OVER = renderHandOverUnit(undefined)

const UNITS = { haproxy: renderHaproxyDropin(undefined), keepalived: renderKeepalivedDropin() }

/** Runs one hook of a drop-in, ExecStart or ExecStop of the unit that hands over for it; what it called, in order. */
function run(
  unit: keyof typeof UNITS,
  key: string,
  env: Record<string, string> = {},
  cluster: Cluster = clusterWith(),
  mode: 'keep' | 'reset' = 'reset',
): readonly string[] {
  const { path, words, options } = hook(unit, key, env, cluster, mode)
  execFileSync('/bin/sh', [path, ...words], { ...options, stdio: ['ignore', 'ignore', 'ignore'] })
  return called()
}

const called = () => readFileSync(join(folder, 'log'), 'utf8').split('\n').filter(Boolean)

/** The hook as a program to run. */
function hook(unit: keyof typeof UNITS, key: string, env: Record<string, string>, cluster: Cluster, mode: 'keep' | 'reset') {
  const log = join(folder, 'log')
  rmSync(log, { force: true })
  writeFileSync(log, '')
  const [program, ...words] = hookCall(key === 'ExecStop' || key === 'ExecStart' ? HAND_OVER.replaceAll('%i', unit) : UNITS[unit], key)
  expect(program).toBe(SERVICE_HOOKS)
  const path = join(folder, 'service-hooks.sh')
  const text = renderServiceHooks(cluster, mode)
  const here = text.replaceAll('/run/hactl', join(folder, 'run')).replaceAll('/proc/uptime', join(folder, 'uptime'))
  writeFileSync(path, here.replaceAll(OPEN_CONNECTIONS_PROGRAM, join(folder, 'bin', 'open-connections.pl')))
  return { path, words, options: { env: { PATH: `${join(folder, 'bin')}:/usr/bin:/bin`, LOG: log, ...env } } }
}

function tracker(name: string): string | undefined {
  const path = join(folder, 'run', name)
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined
}

const stop = (cluster: Cluster = clusterWith()) => run('haproxy', 'ExecStop', {}, cluster)

/** Only these services run. */
function running(...units: readonly string[]): void {
  const says = units.map(unit => `*"is-active ${unit}.service") exit 0;;`).join(' ')
  play('systemctl', `case "$*" in ${says} *is-active*) exit 3;; esac`)
}

describe('before haproxy stops', () => {
  test('a server without the address hands nothing over and does not wait', () => {
    expect(stop().filter(l => l.startsWith('sleep'))).toEqual([])
    expect(tracker('haproxy_offset')).toBeUndefined()
  })

  test('the holder lowers its priority and waits until a little after the address has left', () => {
    holdsAddress(5)
    expect(stop().filter(l => l.startsWith('sleep'))).toEqual(['sleep 0.02', 'sleep 0.02', 'sleep 0.02', 'sleep 0.3'])
    expect(tracker('haproxy_offset')).toBe('-253')
  })

  test.for([
    ['0.03', 'sleep 0.12'],
    ['0.26', 'sleep 1.04'],
  ] as const)('a server that needs %s s for a look pauses four times as long: haproxy still serves there', ([looksFor, pause]) => {
    const uptime = join(folder, 'uptime')
    const later = `read -r up rest <${uptime}; echo "$(awk "BEGIN { printf \\"%.2f\\", $up + ${looksFor} }") $rest" >${uptime}`
    play(
      'ip',
      `case "$*" in *route*) exit;; esac; ${later}; n=$(cat "$LOG.looks" 2>/dev/null || echo 0); echo $((n+1)) >"$LOG.looks"
[ $n -ge 3 ] || echo "1: eth0 inet 192.0.2.200/24 scope global secondary eth0"`,
    )
    // The first look of all is before the wait, and the last one finds the address gone.
    const pauses = stop().filter(line => line.startsWith('sleep'))
    expect(pauses.slice(0, -1)).toContain(pause)
    expect(pauses.slice(0, -1)).not.toContain('sleep 0.02')
  })

  test('the holder answers by a local route from before its priority falls until a moment after the address has left', () => {
    holdsAddress(3)
    const route = 'local 192.0.2.200 dev lo metric 9 table local'
    expect(stop()).toEqual([
      'systemctl --quiet is-active haproxy.service',
      'systemctl --quiet stop haproxy-hactl-damping.timer',
      'systemctl --quiet is-active keepalived.service',
      `ip route replace ${route}`,
      'sleep 0.02',
      'sleep 0.3',
      // While clients can still be told: a client must not wait on a connection that no server has.
      'ss -K -H -t state connected src 192.0.2.200',
      `ip route del ${route}`,
      'systemctl list-jobs --no-legend --full haproxy.service',
    ])
  })

  test('connections are ended only where their address has left', () => {
    holdsAddress(1_000_000)
    expect(stop().filter(l => l.startsWith('ss'))).toEqual([])
    expect(run('keepalived', 'ExecStopPost').filter(l => l.startsWith('ss'))).toEqual([])
    holdsAddress(0)
    expect(run('keepalived', 'ExecStopPost').filter(l => l.startsWith('ss'))).toEqual(['ss -K -H -t state connected src 192.0.2.200'])
  })

  test('the server answers for no address that another server holds', () => {
    holdsAddress(3)
    const both = clusterWith({ virtual_ipaddress: ['192.0.2.200/24', '192.0.2.201/24'] })
    expect(stop(both).filter(l => l.startsWith('ip route replace'))).toEqual([
      'ip route replace local 192.0.2.200 dev lo metric 9 table local',
    ])
  })

  test('the holder gives up when nobody takes over within the dead-master time', () => {
    holdsAddress(1_000_000)
    const sleeps = stop().filter(l => l.startsWith('sleep'))
    expect(sleeps).toHaveLength(55)
    expect(new Set(sleeps)).toEqual(new Set(['sleep 0.02']))
  })

  test('where backups do not preempt, the address is given up instead: keepalived takes -254 as FAULT', () => {
    holdsAddress(2)
    stop(clusterWith({ nopreempt: true }))
    expect(tracker('haproxy_offset')).toBe('-254')
  })

  test('a haproxy that has ended by itself, or a keepalived that does not run, hands nothing over', () => {
    holdsAddress(1_000_000)
    running('keepalived')
    expect(stop()).toEqual([])
    running('haproxy')
    expect([...stop(), ...run('keepalived', 'ExecStop')]).toEqual([])
    expect([tracker('haproxy_offset'), tracker('keepalived_offset')]).toEqual([undefined, undefined])
  })

  test('an address is compared as a whole', () => {
    play('ip', 'echo "1: eth0 inet 192.0.2.200 peer 10.0.0.1/24"; echo "1: eth0 inet 1192.0.2.200/24"; echo "1: eth0 inet 192.0.2.20/24"')
    stop()
    expect(tracker('haproxy_offset')).toBeUndefined()
  })
})

describe('where open connections are kept', () => {
  const stopKeeping = (cluster: Cluster = clusterWith()) => run('haproxy', 'ExecStop', {}, cluster, 'keep')
  /** An address that has left is on lo, for as long as connections are open to it. */
  const ON_LO = 'echo "1: lo inet 192.0.2.200/32 scope host lo"'
  let master: ChildProcess | undefined

  afterEach(() => {
    try {
      // With its worker, which would run on.
      if (master?.pid !== undefined) process.kill(-master.pid, 'SIGKILL')
    } catch {
      // Both have ended.
    }
    master = undefined
  })

  /** A master that goes on until its worker ends, and notes SIGUSR1. */
  async function runningHaproxy(): Promise<ChildProcess> {
    const script = `trap 'echo usr1 >>${folder}/signals' USR1; sh -c 'trap "echo term >>${folder}/signals; exit" TERM; while :; do /bin/sleep 0.01; done' & while kill -0 $!; do wait $!; done`
    const child = spawn('/bin/sh', ['-c', script], { stdio: 'ignore', detached: true })
    master = child
    await vi.waitUntil(() => readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim() !== '', { timeout: 10_000 })
    systemd(child)
    service('rules owner\nproven V srv-2 no\nproven V srv-3 yes\n')
    return child
  }

  /** `job`: of haproxy. `inactive`: a unit that does not run. */
  function systemd(haproxy: ChildProcess, { job = 'stop waiting', inactive = 'none' } = {}): void {
    const jobs = job === '' ? '' : `echo '  123 haproxy.service ${job}'`
    play('systemctl', `case "$*" in *MainPID*) echo ${haproxy.pid};; *list-jobs*) ${jobs || ':'};; *"is-active ${inactive}") exit 3;; esac`)
  }

  /** What the service that keeps open connections says of itself. */
  const service = (says: string) => play('open-connections.pl', `[ "$*" = status ] && printf '${says.replaceAll('\n', '\\n')}'`)

  /** `looks` times a connection is open, then none. */
  function open(looks: number): void {
    play(
      'ss',
      `echo "ss $*" >>"$LOG"; n=$(cat ${folder}/opens 2>/dev/null || echo 0); echo $((n+1)) >${folder}/opens; [ $n -ge ${looks} ] || echo ESTAB`,
    )
  }
  const signals = () =>
    existsSync(join(folder, 'signals')) ? readFileSync(join(folder, 'signals'), 'utf8').split('\n').filter(Boolean) : []

  test('a move adds no route, and ends no connection', () => {
    holdsAddress(2)
    play('ss', 'echo "ss $*" >>"$LOG"')
    for (const key of ['ExecStop', 'ExecStopPost']) {
      const called = run('keepalived', key, {}, clusterWith(), 'keep')
      expect(called.filter(line => /route replace|ss -K/.test(line))).toEqual([])
    }
    expect(tracker('keepalived_offset')).toBe('-253')
  })

  test('while the service that keeps them is down, a move answers and ends connections as with reset', () => {
    play('systemctl', 'echo "systemctl $*" >>"$LOG"; case "$*" in *"is-active hactl-open-connections.service") exit 3;; esac')
    holdsAddress(2)
    const asked = 'systemctl --quiet is-active hactl-open-connections.service'
    const stopped = run('keepalived', 'ExecStop', {}, clusterWith(), 'keep')
    expect(stopped).toContain('ip route replace local 192.0.2.200 dev lo metric 9 table local')
    expect(stopped).toContain('ss -K -H -t state connected src 192.0.2.200')
    expect(stopped.filter(line => line === asked)).toHaveLength(1)
    const ended = run('keepalived', 'ExecStopPost', {}, clusterWith(), 'keep')
    expect(ended).toContain('ss -K -H -t state connected src 192.0.2.200')
  })

  test('an address on lo is neither held nor taken away', () => {
    play('ip', `echo "ip $*" >>"$LOG"; ${ON_LO}`)
    stopKeeping()
    expect(tracker('haproxy_offset')).toBeUndefined()
    expect(run('keepalived', 'ExecStopPost', {}, clusterWith(), 'keep').filter(line => /addr del|sleep/.test(line))).toEqual([])
  })

  test('haproxy takes no new connections once the addresses have left, and stops when the open ones have ended', async () => {
    const haproxy = await runningHaproxy()
    holdsAddress(2)
    open(3)
    const called = stopKeeping()
    expect(called.filter(line => line === 'sleep 0.25')).toHaveLength(2)
    expect(called.indexOf('sleep 0.3')).toBeLessThan(called.findIndex(line => line.startsWith('ss ')))
    await vi.waitUntil(() => haproxy.exitCode !== null, { timeout: 10_000 })
    expect(signals()).toEqual(['usr1', 'term'])
  })

  test('what is open after stop_timeout is ended at the workers: a master that waits for them may not hand a SIGTERM on', async () => {
    const haproxy = await runningHaproxy()
    play('ip', ON_LO)
    open(1_000_000)
    // The clock moves by 20 ms with each sleep.
    const sleeps = stopKeeping(clusterWith({}, { stop_timeout: 1 })).filter(line => line === 'sleep 0.25')
    expect(sleeps).toHaveLength(50)
    await vi.waitUntil(() => haproxy.exitCode !== null, { timeout: 10_000 })
    expect(signals()).toEqual(['usr1', 'term'])
  })

  test.each([
    ['no connection is open', () => open(0), clusterWith()],
    ['stop_timeout is 0', () => open(1_000_000), clusterWith({}, { stop_timeout: 0 })],
    ['no other server has taken the addresses over', () => (open(1_000_000), holdsAddress(1_000_000)), clusterWith()],
  ] as const)('haproxy is left to systemd at once where %s', async (_, given, cluster) => {
    await runningHaproxy()
    given()
    expect(stopKeeping(cluster)).not.toContain('sleep 0.25')
    expect(signals()).toEqual([])
  })

  describe('of several addresses', () => {
    const TWO = clusterWith({ virtual_ipaddress: ['192.0.2.200/24', '192.0.2.201/24'] })

    /** 192.0.2.200 leaves, and nobody takes 192.0.2.201 over. `open`: which of them has connections here. */
    async function halfMoved(open: string): Promise<ChildProcess> {
      const haproxy = await runningHaproxy()
      holdsAddress(2)
      const ip = readFileSync(join(folder, 'bin', 'ip'), 'utf8')
      play('ip', `${ip}\necho "1: eth0 inet 192.0.2.201/24 scope global secondary eth0"`)
      play(
        'ss',
        `echo "ss $*" >>"$LOG"; case "$*" in *" ${open} "*) ;; *) exit;; esac
n=$(cat ${folder}/opens 2>/dev/null || echo 0); echo $((n+1)) >${folder}/opens; [ $n -ge 3 ] || echo ESTAB`,
      )
      return haproxy
    }

    test('one that nobody takes over is served while a stop waits for the connections of the others', async () => {
      const haproxy = await halfMoved('192.0.2.200')
      expect(stopKeeping(TWO).filter(line => line === 'sleep 0.25')).toHaveLength(2)
      expect(signals()).toEqual([])
      expect(haproxy.exitCode).toBeNull()
    })

    test('a stop does not wait for connections to one that nobody takes over', async () => {
      await halfMoved('192.0.2.201')
      expect(stopKeeping(TWO)).not.toContain('sleep 0.25')
    })
  })

  test.each([
    ['the service that keeps them is down', (haproxy: ChildProcess) => systemd(haproxy, { inactive: 'hactl-open-connections.service' })],
    ['packets reach no peer', () => service('rules owner\nproven V srv-2 no\n')],
    [
      'only the unit that hands over is stopped, or haproxy is started again meanwhile',
      (haproxy: ChildProcess) => systemd(haproxy, { job: '' }),
    ],
  ] as const)('a stop does not wait for connections that are open where %s', async (_, given) => {
    const haproxy = await runningHaproxy()
    holdsAddress(2)
    open(1_000_000)
    given(haproxy)
    expect(stopKeeping()).not.toContain('sleep 0.25')
    expect(signals()).toEqual([])
  })

  test.each([
    ['a service that does not answer in time', () => service('')],
    ['a restart', (haproxy: ChildProcess) => systemd(haproxy, { job: 'restart waiting' })],
  ] as const)('%s waits for connections that are open', async (_, given) => {
    const haproxy = await runningHaproxy()
    holdsAddress(2)
    open(3)
    given(haproxy)
    expect(stopKeeping().filter(line => line === 'sleep 0.25')).toHaveLength(2)
    await vi.waitUntil(() => haproxy.exitCode !== null, { timeout: 10_000 })
  })

  test.each([
    [
      'bind :80\n bind 192.0.2.200:8000-8010,127.0.0.1:9000\n bind unix@/run/x.sock',
      ' ( sport = :80 or ( sport >= :8000 and sport <= :8010 ) )',
    ],
    ['bind :80\n bind ":$PORT"', ''],
  ])('only connections at ports of haproxy count, and any where one is not known: %s', async (binds, filter) => {
    await runningHaproxy()
    holdsAddress(2)
    open(0)
    const cluster = clusterWith()
    const text = `frontend web\n ${binds}\n default_backend web\n`
    const asked = stopKeeping({ ...cluster, haproxyConfig: { ...cluster.haproxyConfig, text } }).filter(line => line.startsWith('ss '))
    expect(asked).toEqual([`ss -H -t -n state established state close-wait src 192.0.2.200${filter}`])
  })

  test('a crash while a stop waits ends the wait, and the next start gives the priority back', async () => {
    const haproxy = await runningHaproxy()
    holdsAddress(2)
    // haproxy dies at the second look.
    play(
      'ss',
      `n=$(cat ${folder}/opens 2>/dev/null || echo 0); echo $((n+1)) >${folder}/opens; [ $n -ne 1 ] || kill -9 -${haproxy.pid}; echo ESTAB`,
    )
    const { path, words, options } = hook('haproxy', 'ExecStop', {}, clusterWith(), 'keep')
    // This process must go on, or it would not notice that haproxy has ended.
    await promisify(execFile)('/bin/sh', [path, ...words], options)
    expect(called().filter(line => line === 'sleep 0.25').length).toBeLessThan(1000)
    run('haproxy', 'ExecStopPost', { SERVICE_RESULT: 'signal' }, clusterWith(), 'keep')
    run('haproxy', 'ExecStartPost', {}, clusterWith(), 'keep')
    expect(tracker('haproxy_down')).toBe('0')
    execFileSync('/bin/sh', [join(folder, 'service-hooks.sh'), 'haproxy-stable'])
    expect(tracker('haproxy_offset')).toBe('0')
  })

  test('systemd waits longer than the hooks do, and less long than for a reboot as a whole', () => {
    const cluster = clusterWith({}, { stop_timeout: 600 })
    const limit = stopLimitSeconds(cluster, 'keep') ?? 0
    expect(limit * 1000).toBeGreaterThan(handOverLimitMs(cluster) + 600_000)
    // reboot.target and poweroff.target have JobTimeoutSec=30min: then systemd reboots without what has not stopped yet.
    expect(2 * limit).toBeLessThan(30 * 60)
    for (const text of [renderHandOverUnit(limit), renderHaproxyDropin(limit)])
      expect(wordsOf(text, 'TimeoutStopSec')).toEqual([String(limit)])
    expect(stopLimitSeconds(cluster, 'reset')).toBeUndefined()
    expect(`${HAND_OVER}${UNITS.haproxy}`).not.toContain('TimeoutStopSec')
  })
})

describe('around a start and a stop of haproxy', () => {
  test.each(['haproxy', 'keepalived'] as const)(
    'where a start of %s takes the place of its stop, also one whose hook was killed, the priority comes back',
    unit => {
      holdsAddress(2)
      run(unit, 'ExecStop')
      expect(tracker(`${unit}_offset`)).toBe('-253')
      play('systemctl', 'case "$*" in *timer) exit 3;; esac')
      run(unit, 'ExecStart')
      expect(tracker(`${unit}_offset`)).toBe('0')
    },
  )

  test.each([
    ['haproxy', 'has crashed and is damped', 'exit 0'],
    ['haproxy', 'does not run', 'exit 3'],
    ['keepalived', 'does not run', 'exit 3'],
  ] as const)('the unit that hands over leaves the priority low where %s %s', (unit, _, systemctl) => {
    writeFileSync(join(folder, 'run', `${unit}_offset`), '-253\n')
    play('systemctl', systemctl)
    run(unit, 'ExecStart')
    expect(tracker(`${unit}_offset`)).toBe('-253')
  })

  const startsAgain = (unit: string) =>
    `systemctl --quiet --no-block start ${handOverUnitOf(unit === 'haproxy' ? 'haproxy' : 'keepalived')}`

  test.each([
    ['haproxy', 'a reload', 'echo "7 haproxy.service reload waiting"'],
    ['keepalived', 'a reload', 'echo "7 keepalived.service reload waiting"'],
    ['haproxy', 'a start', ':'],
  ] as const)('where %s goes on because %s has taken the place of its stop, the unit that hands over starts again', (unit, _, jobs) => {
    holdsAddress(2)
    play('systemctl', `echo "systemctl $*" >>"$LOG"; case "$*" in *list-jobs*) ${jobs};; esac`)
    expect(run(unit, 'ExecStop').at(-1)).toBe(startsAgain(unit))
  })

  test.each([
    ['is still to stop', 'case "$*" in *list-jobs*) echo "7 haproxy.service stop waiting";; esac'],
    ['is still to restart', 'case "$*" in *list-jobs*) echo "7 haproxy.service restart waiting";; esac'],
    ['has ended', 'case "$*" in *is-active*) exit 3;; esac'],
    ['may be to stop, and systemd does not say', 'case "$*" in *list-jobs*) exit 1;; esac'],
  ])('the unit that hands over does not start again where haproxy %s', (_, systemctl) => {
    holdsAddress(2)
    play('systemctl', `echo "systemctl $*" >>"$LOG"; ${systemctl}`)
    expect(stop()).not.toContain(startsAgain('haproxy'))
  })

  test('a restart that has taken the place of a stop waits for the hand-over of that stop', () => {
    play(
      'systemctl',
      `n=$(cat ${folder}/asked 2>/dev/null || echo 0); echo $((n+1)) >${folder}/asked; [ $n -lt 3 ] && echo deactivating || echo inactive`,
    )
    const path = hook('haproxy', 'ExecStartPost', {}, clusterWith(), 'reset')
    const [program = '', ...words] = hookCall(UNITS.haproxy, 'ExecStop')
    expect(program).toBe(SERVICE_HOOKS)
    execFileSync('/bin/sh', [path.path, ...words], path.options)
    expect(called()).toEqual(['sleep 0.25', 'sleep 0.25', 'sleep 0.25'])
  })

  test('the hand-over of a stop is carried out also where the restart that has taken its place has begun to stop haproxy', () => {
    holdsAddress(2)
    play(
      'systemctl',
      `case "$*" in *SubState*) echo stop;; *"is-active haproxy.service") exit 3;; *list-jobs*) echo "7 $4 restart running";; esac`,
    )
    stop()
    expect(tracker('haproxy_offset')).toBe('-253')
  })

  test('a haproxy that has ended by itself hands nothing over', () => {
    holdsAddress(2)
    play('systemctl', 'case "$*" in *SubState*) echo auto-restart;; *"is-active haproxy.service") exit 3;; esac')
    stop()
    expect(tracker('haproxy_offset')).toBeUndefined()
  })

  test('the timer of an earlier crash does not raise the priority while haproxy stops', () => {
    holdsAddress(2)
    const called = stop()
    const ended = called.indexOf('systemctl --quiet stop haproxy-hactl-damping.timer')
    expect(ended).toBeGreaterThanOrEqual(0)
    expect(ended).toBeLessThan(called.findIndex(line => line.startsWith('ip route replace')))
  })

  test('a hand-over that was killed leaves no route behind', () => {
    play('ip', 'echo "ip $*" >> "$LOG"')
    const gone = 'ip route del local 192.0.2.200 dev lo metric 9 table local'
    expect(run('haproxy', 'ExecStopPost', { SERVICE_RESULT: 'timeout' })).toContain(gone)
    expect(run('keepalived', 'ExecStopPost')).toContain(gone)
  })

  test('a planned stop ends with haproxy_down 1 and without an offset', () => {
    run('haproxy', 'ExecStopPost', { SERVICE_RESULT: 'success' })
    expect([tracker('haproxy_down'), tracker('haproxy_offset')]).toEqual(['1', '0'])
  })

  test('a start says that haproxy is up and gives the priority back', () => {
    run('haproxy', 'ExecStopPost', { SERVICE_RESULT: 'success' })
    expect(run('haproxy', 'ExecStartPost').filter(l => l.startsWith('systemd-run'))).toEqual([])
    expect([tracker('haproxy_down'), tracker('haproxy_offset')]).toEqual(['0', '0'])
  })

  test('after a crash only a timer gives the priority back, so that a crashing haproxy does not move the address back and forth', () => {
    run('haproxy', 'ExecStopPost', { SERVICE_RESULT: 'signal' })
    expect([tracker('haproxy_down'), tracker('haproxy_offset')]).toEqual(['1', '-253'])
    const called = run('haproxy', 'ExecStartPost')
    expect([tracker('haproxy_down'), tracker('haproxy_offset')]).toEqual(['0', '-253'])
    expect(called.join()).toMatch(/systemd-run .*--on-active=5 .*service-hooks[.]sh haproxy-stable$/)
    execFileSync('/bin/sh', [join(folder, 'service-hooks.sh'), 'haproxy-stable'])
    expect(tracker('haproxy_offset')).toBe('0')
    run('haproxy', 'ExecStopPost', { SERVICE_RESULT: 'signal' })
    expect(run('haproxy', 'ExecStopPost', { SERVICE_RESULT: 'success' }).join()).toContain('stop haproxy-hactl-damping.timer')
    expect(tracker('haproxy_offset')).toBe('0')
  })

  test('a second crash before haproxy was stable delays the next start, and systemd never gives up', () => {
    run('haproxy', 'ExecStartPost')
    expect(run('haproxy', 'ExecStopPost', { SERVICE_RESULT: 'signal' }).filter(l => l.startsWith('sleep'))).toEqual([])
    run('haproxy', 'ExecStartPost')
    expect(run('haproxy', 'ExecStopPost', { SERVICE_RESULT: 'signal' }).filter(l => l.startsWith('sleep'))).toEqual(['sleep 1'])
    expect(UNITS.haproxy).toContain('\nStartLimitIntervalSec=0\n')
  })

  test('where the timer cannot be set the priority comes back at once', () => {
    run('haproxy', 'ExecStopPost', { SERVICE_RESULT: 'signal' })
    play('systemd-run', 'exit 1')
    run('haproxy', 'ExecStartPost')
    expect(tracker('haproxy_offset')).toBe('0')
  })

  test.each([
    ['haproxy', 'ExecStartPost'],
    ['keepalived', 'ExecStopPost'],
  ] as const)('a failed check of before is forgotten in %s, %s: nobody takes haproxy for hung', (unit, key) => {
    writeFileSync(join(folder, 'run', '.check_failed'), '')
    run(unit, key, {}, clusterWith(), 'keep')
    expect(existsSync(join(folder, 'run', '.check_failed'))).toBe(false)
  })

  test('no file is left half written', () => {
    run('haproxy', 'ExecStopPost', { SERVICE_RESULT: 'success' })
    run('haproxy', 'ExecStartPost')
    expect(execFileSync('ls', ['-A', join(folder, 'run')]).toString()).toBe('haproxy_down\nhaproxy_offset\n')
  })

  test('haproxy stops before keepalived at a shutdown', () => {
    expect(wordsOf(UNITS.haproxy, 'After')).toEqual(['keepalived.service', handOverUnitOf('keepalived')])
  })
})

describe('around keepalived', () => {
  test('the holder hands over before keepalived stops, and takes its priority back at the next start', () => {
    holdsAddress(2)
    run('keepalived', 'ExecStop')
    expect([tracker('keepalived_offset'), tracker('haproxy_offset')]).toEqual(['-253', undefined])
    run('keepalived', 'ExecStartPre')
    expect(tracker('keepalived_offset')).toBe('0')
  })

  test('a haproxy that runs without a track file is written as up', () => {
    run('keepalived', 'ExecStartPre')
    expect(tracker('haproxy_down')).toBe('0')
  })

  test('a haproxy that does not run is written as down, and one that is down stays down', () => {
    play('systemctl', 'exit 3')
    run('keepalived', 'ExecStartPre')
    expect(tracker('haproxy_down')).toBe('1')
    play('systemctl', 'exit 0')
    run('keepalived', 'ExecStartPre')
    expect(tracker('haproxy_down')).toBe('1')
  })

  test('a haproxy that starts while systemd is asked about it stays up in the track file', () => {
    play('systemctl', `echo 0 > ${folder}/run/haproxy_down; exit 3`)
    run('keepalived', 'ExecStartPre')
    expect(tracker('haproxy_down')).toBe('0')
  })

  test('missing track files are made, and a drain lasts over a start', () => {
    run('keepalived', 'ExecStartPre')
    expect([tracker('drain'), tracker('haproxy_offset'), tracker('keepalived_offset')]).toEqual(['0', '0', '0'])
    writeFileSync(join(folder, 'run', 'drain'), '-253\n')
    writeFileSync(join(folder, 'run', 'haproxy_offset'), '-253\n')
    run('keepalived', 'ExecStartPre')
    expect([tracker('drain'), tracker('haproxy_offset'), tracker('keepalived_offset')]).toEqual(['-253', '-253', '0'])
  })

  test('the folder is made where it is missing', () => {
    rmSync(join(folder, 'run'), { recursive: true })
    run('keepalived', 'ExecStartPre')
    expect(tracker('keepalived_offset')).toBe('0')
    expect(renderTmpfilesConf().split('\n').slice(1, -1)).toEqual([
      'd /run/hactl 0755 root root -',
      'f! /run/hactl/haproxy_down 0644 root root - 1',
    ])
  })

  test('a keepalived that dies comes back, however often and in whatever way', () => {
    expect(UNITS.keepalived).toMatch(/^Restart=always$/m)
    expect(UNITS.keepalived).toMatch(/^StartLimitIntervalSec=0$/m)
  })

  test('an address that a killed keepalived left behind stays until a backup has had the time to take it, then goes', () => {
    play('ip', 'echo "ip $*" >> "$LOG"; echo "7: vlan5@eth0 inet 192.0.2.200/24 scope global secondary vlan5"')
    const called = run('keepalived', 'ExecStopPost')
    expect(called.filter(l => l.startsWith('sleep'))).toHaveLength(40)
    expect(called.at(-2)).toBe('ip addr del 192.0.2.200/24 dev vlan5')
  })

  test('after a keepalived that removed its addresses itself, the hook does not wait', () => {
    expect(run('keepalived', 'ExecStopPost').filter(l => l.startsWith('sleep'))).toEqual([])
  })
})

/** The words of a key that stands once in a unit file. */
function wordsOf(unitText: string, key: string): readonly string[] {
  return new RegExp(`^${key}=(.*)$`, 'm').exec(unitText)?.[1]?.split(' ') ?? []
}

describe('the unit that hands over', () => {
  // systemd passes over ExecStop of a service that is reloading (evidence T10).
  test.each(['haproxy', 'keepalived'] as const)(
    'starts with %s, stops before it, and is what hands over: no hook of the service itself does',
    unit => {
      expect(wordsOf(UNITS[unit], 'Wants')).toEqual([handOverUnitOf(unit)])
      expect(UNITS[unit]).not.toContain('-stopping')
      const text = HAND_OVER.replaceAll('%i', unit)
      expect([wordsOf(text, 'After'), wordsOf(text, 'PartOf')]).toEqual([[`${unit}.service`], [`${unit}.service`]])
      expect(wordsOf(text, 'RemainAfterExit')).toEqual(['yes'])
    },
  )

  test('starts however often its service does: systemd gives up no hand-over', () => {
    expect(wordsOf(HAND_OVER, 'StartLimitIntervalSec')).toEqual(['0'])
  })

  test('needs no enabling, so that nothing of it is left when its file goes', () => {
    expect(HAND_OVER).not.toContain('[Install]')
  })
})

test.each([
  ['haproxy', [SERVICE_HOOKS]],
  ['keepalived', [SERVICE_HOOKS, CHECK_SCRIPT]],
] as const)('%s waits at boot for the file systems that hold what it runs', (unit, programs) => {
  const waits = wordsOf(UNITS[unit], 'RequiresMountsFor')
  expect(programs.filter(program => !waits.some(path => program === path || program.startsWith(`${path}/`)))).toEqual([])
})
