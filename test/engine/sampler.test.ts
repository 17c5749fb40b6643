import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseSample, runSampler, samplerScript, type Watch } from '../../src/engine/sampler.ts'
import { HactlError } from '../../src/errors.ts'
import type { HolderSample } from '../../src/state/drill.ts'
import { manualClock } from '../support/clock.ts'
import { type Asked, connectionLost, fakeSession, unreachable } from '../support/remote.ts'

const watch: Watch = { vips: ['198.51.100.200'], units: ['haproxy', 'keepalived'], trackers: ['/run/hactl/drain'], boundMs: 60_000 }
const line = (holds: string) => `hactl up=100.25 holds=${holds} unit:haproxy=active unit:keepalived=active file:/run/hactl/drain=0`

test('a line has the held addresses, the state of the services and the content of the files', () => {
  expect(parseSample(line('198.51.100.200,2001:db8::200'), 'srv-1', 7)).toEqual({
    kind: 'holder',
    server: 'srv-1',
    atMs: 7,
    uptimeMs: 100_250,
    reachable: true,
    holds: ['198.51.100.200', '2001:db8::200'],
    units: { haproxy: 'active', keepalived: 'active' },
    trackers: { '/run/hactl/drain': '0' },
  })
})

test('a server without the address holds nothing, and a missing file is undefined', () => {
  const sample = parseSample('hactl up=3 holds= unit:haproxy=inactive file:/run/hactl/drain=none', 'srv-1', 7)
  expect(sample?.holds).toEqual([])
  expect(sample?.trackers).toEqual({ '/run/hactl/drain': undefined })
})

test.each(['', 'Last login: today', 'hactl up= holds=', 'hactl up=1.0 holds=x unit:haproxy', `x ${line('')}`])('%j is no sample', text => {
  expect(parseSample(text, 'srv-1', 7)).toBeUndefined()
})

test('the limit of the watch is not multiplied by the patience that is already in its bound', async () => {
  const clock = manualClock(0)
  const reply = ({ options }: Asked) => {
    expect(options).toMatchObject({ deadlineMs: 70_000, hasFixedLimit: true })
    return {}
  }
  const session = fakeSession('srv-1', [{ when: /^sample /, reply }])
  const stop = new AbortController()
  await clock.settle(runSampler({ session, reconnect: neverAgain, watch, clock, stop: stop.signal, onSample: () => undefined }))
  expect(session.calls).toHaveLength(1)
})

test('samples carry the time of their arrival', async () => {
  const clock = manualClock(0)
  const samples: HolderSample[] = []
  const stop = new AbortController()
  const session = fakeSession('srv-1', [
    {
      when: /^sample /,
      reply: async ({ emit }) => {
        emit(line(''))
        await clock.sleep(120)
        emit(line('198.51.100.200'))
        await clock.sleep(10_000)
        return {}
      },
    },
  ])
  const run = runSampler({ session, reconnect: neverAgain, watch, clock, stop: stop.signal, onSample: sample => samples.push(sample) })
  await clock.advance(500)
  stop.abort()
  await clock.settle(run)
  expect(samples.map(({ atMs, holds }) => [atMs, holds])).toEqual([
    [0, []],
    [120, ['198.51.100.200']],
  ])
})

test('a server with a lost connection is unreachable and does not "hold nothing", and is tried again until it is back', async () => {
  const clock = manualClock(0)
  const samples: HolderSample[] = []
  const stop = new AbortController()
  const endless = { when: /^sample /, reply: async ({ emit }: { emit: (text: string) => void }) => (emit(line('198.51.100.200')), hang()) }
  const first = fakeSession('srv-1', [endless])
  let attempts = 0
  const run = runSampler({
    session: first,
    async reconnect() {
      attempts++
      if (attempts < 3) throw unreachable('srv-1')
      return fakeSession('srv-1', [endless])
    },
    watch,
    clock,
    stop: stop.signal,
    onSample: sample => samples.push(sample),
  })
  await clock.advance(10)
  first.lose()
  await clock.advance(5000)
  stop.abort()
  await clock.settle(run)
  expect(attempts).toBe(3)
  expect(samples.map(({ reachable, holds }) => ({ reachable, holds }))).toEqual([
    { reachable: true, holds: ['198.51.100.200'] },
    { reachable: false, holds: [] },
    { reachable: true, holds: ['198.51.100.200'] },
  ])
})

test('a script that cannot run is a fault, not an unreachable server', async () => {
  const clock = manualClock(0)
  const session = fakeSession('srv-1', [{ when: /^sample /, reply: () => ({ code: 127, stderr: 'sh: not found\n' }) }])
  const run = runSampler({
    session,
    reconnect: neverAgain,
    watch,
    clock,
    stop: new AbortController().signal,
    onSample: () => undefined,
  })
  await expect(clock.settle(run)).rejects.toMatchObject({
    code: 'E_COMMAND_FAILED',
    server: 'srv-1',
    why: ['sh: not found'],
    fix: expect.stringContaining('hactl status'),
  })
})

test('the attempts to reach a lost server end with the bound', async () => {
  const clock = manualClock(0)
  const session = fakeSession('srv-1', [
    {
      when: /^sample /,
      reply: () => {
        throw connectionLost('srv-1')
      },
    },
  ])
  const samples: HolderSample[] = []
  const run = runSampler({
    session,
    reconnect: neverAgain,
    watch: { ...watch, boundMs: 5000 },
    clock,
    stop: new AbortController().signal,
    onSample: sample => samples.push(sample),
  })
  await clock.settle(run)
  expect(clock.monotonic()).toBe(5000)
  expect(samples).toHaveLength(1)
})

test('the script is valid shell, matches whole addresses only, asks systemd at once when a process is gone, and ends by itself', async () => {
  const bin = await mkdtemp(join(tmpdir(), 'hactl-sampler-'))
  // 198.51.100.20 must not be found in 198.51.100.200, nor a broadcast or peer address be taken for one's own, nor one that was given away.
  await command(
    join(bin, 'ip'),
    `echo '1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever'
echo '1: lo    inet 198.51.100.201/32 scope host lo\\       valid_lft forever'
echo '2: eth0    inet 198.51.100.200/24 brd 198.51.100.255 scope global eth0\\       valid_lft forever'
echo '3: ppp0    inet 192.0.2.1 peer 192.0.2.2/32 scope global ppp0'
echo '2: eth0    inet6 2001:db8::200/64 scope global nodad'`,
  )
  await command(join(bin, 'systemctl'), `echo asked >>"$0.log"; echo MainPID=999999999; echo ActiveState=deactivating`)
  await writeFile(join(bin, 'drain'), '-200\n')
  await writeFile(join(bin, 'odd'), 'x y\n')
  const vips = [
    '198.51.100.20',
    '198.51.100.255',
    '198.51.100.200',
    '198.51.100.201',
    '192.0.2.1',
    '192.0.2.2',
    '2001:db8::200',
    '2001:db8::20',
  ]
  const trackers = [join(bin, 'drain'), join(bin, 'odd'), join(bin, 'none')]
  const script = samplerScript({ vips, units: ['haproxy'], trackers, boundMs: 1000 })
  const stdout = await new Promise<string>((resolve, reject) => {
    const env = { PATH: `${bin}:${process.env['PATH'] ?? ''}` }
    execFile('/bin/sh', ['-c', script.raw], { timeout: 10_000, env }, (error, out) => (error === null ? resolve(out) : reject(error)))
  })
  const samples = stdout
    .trim()
    .split('\n')
    .map(text => parseSample(text, 'here', 0))
  expect(samples.length).toBeGreaterThan(0)
  for (const sample of samples) {
    expect(sample?.holds).toEqual(['198.51.100.200', '192.0.2.1', '2001:db8::200'])
    expect(sample?.units).toEqual({ haproxy: 'deactivating' })
    expect(sample?.trackers).toEqual({ [trackers[0] ?? '']: '-200', [trackers[1] ?? '']: 'unreadable', [trackers[2] ?? '']: undefined })
  }
  const asked = await readFile(join(bin, 'systemctl.log'), 'utf8')
  expect(asked.trim().split('\n')).toHaveLength(samples.length)
  await rm(bin, { recursive: true })
})

test.each([
  ['long', '0.12', /^0\.(?:4[0-8])$/],
  ['longer still: no server may say nothing for a second', '0.3', /^0\.48$/],
])('on a server where a look takes %s, the pause is longer', async (_, seconds, pause) => {
  const bin = await mkdtemp(join(tmpdir(), 'hactl-sampler-'))
  await command(join(bin, 'ip'), `/bin/sleep ${seconds}; echo '2: eth0    inet 198.51.100.200/24 scope global eth0'`)
  await command(join(bin, 'systemctl'), 'echo MainPID=1; echo ActiveState=active')
  await command(join(bin, 'sleep'), 'echo "$1" >>"$0.log"; exec /bin/sleep "$1"')
  const script = samplerScript({ vips: ['198.51.100.200'], units: [], trackers: [], boundMs: 1000 })
  await new Promise<void>((resolve, reject) => {
    const env = { PATH: `${bin}:${process.env['PATH'] ?? ''}` }
    execFile('/bin/sh', ['-c', script.raw], { timeout: 10_000, env }, error => (error === null ? resolve() : reject(error)))
  })
  const pauses = (await readFile(join(bin, 'sleep.log'), 'utf8')).trim().split('\n')
  expect(pauses.length).toBeGreaterThan(0)
  for (const each of pauses) expect(each).toMatch(pause)
  await rm(bin, { recursive: true })
})

async function command(path: string, body: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 })
}

function hang(): Promise<never> {
  return new Promise(() => undefined)
}

async function neverAgain(): Promise<never> {
  throw new HactlError({ code: 'E_SSH_UNREACHABLE', what: 'unreachable' })
}
