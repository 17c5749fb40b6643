import { expect, test } from 'vitest'
import { runServerProber, serverProbeScript } from '../../src/engine/server-prober.ts'
import type { ProbeTarget } from '../../src/ports.ts'
import type { ProbeSample } from '../../src/state/drill.ts'
import { manualClock } from '../support/clock.ts'
import { type Asked, fakeSession } from '../support/remote.ts'

const target: ProbeTarget = { address: '198.51.100.200', port: 80, kind: 'http', path: '/', timeoutMs: 1000 }

async function samplesOf(reply: (asked: Asked, sleep: (ms: number) => Promise<void>) => Promise<{ code?: number; stderr?: string }>) {
  const clock = manualClock(1000)
  const samples: ProbeSample[] = []
  const session = fakeSession('srv-3', [{ when: /perl/, reply: asked => reply(asked, ms => clock.sleep(ms)) }])
  const stop = new AbortController()
  const run = runServerProber({ session, target, clock, stop: stop.signal, onSample: sample => samples.push(sample), boundMs: 60_000 })
  return { run: clock.settle(run), samples, stop, session }
}

test('answers have the name of the server, and the time of their sending by the clock of the controller', async () => {
  const { run, samples } = await samplesOf(async ({ emit }, sleep) => {
    await sleep(60)
    emit('probe 500000 10 ok')
    await sleep(500)
    // Sent 20 ms after the first, refused, and half a second on its way.
    emit('probe 500020 0 failed Connection refused')
    emit('perl: warning: Setting locale failed.')
    return {}
  })
  await run
  expect(samples).toEqual([
    { kind: 'probe', from: 'srv-3', sentMs: 1050, tookMs: 10, ok: true },
    { kind: 'probe', from: 'srv-3', sentMs: 1070, tookMs: 0, ok: false, error: 'Connection refused' },
  ])
})

test('its limit is not multiplied by the patience that is already in its bound', async () => {
  const { run, session } = await samplesOf(async ({ options }) => {
    expect(options).toMatchObject({ deadlineMs: 70_000, hasFixedLimit: true })
    return {}
  })
  await run
  expect(session.calls).toHaveLength(1)
})

test('a server that cannot send probes is an error that names it', async () => {
  const { run } = await samplesOf(async () => ({ code: 127, stderr: 'sh: 1: perl: not found\n' }))
  await expect(run).rejects.toMatchObject({ code: 'E_COMMAND_FAILED', server: 'srv-3', why: ['sh: 1: perl: not found'] })
})

test('a lost connection ends the probing with an error, a stop does not', async () => {
  const endless = () => samplesOf(async () => new Promise(() => undefined))
  const cut = await endless()
  cut.session.lose()
  await expect(cut.run).rejects.toMatchObject({ code: 'E_CONNECTION_LOST' })
  const stopped = await endless()
  stopped.stop.abort()
  await expect(stopped.run).resolves.toBeUndefined()
})

test('the last probe before the stop was lost: one that is answered is waited for', async () => {
  const { run, samples, stop } = await samplesOf(async ({ emit }, sleep) => {
    await sleep(1)
    emit('probe 500000 1 ok')
    emit('probe 500020 1 failed no answer')
    stop.abort()
    await sleep(20)
    emit('probe 500040 1 ok')
    return new Promise(() => undefined)
  })
  await run
  expect(samples.map(sample => sample.ok)).toEqual([true, false, true])
})

test('the script has the probe as quoted words', () => {
  const { raw } = serverProbeScript({ ...target, path: "/a'b", host: 'www.example.com', status: 204 }, 60_000)
  expect(raw).toContain(`'198.51.100.200' 80 'http' '/a'\\''b' 'www.example.com' 204 1 18 60000`)
})
