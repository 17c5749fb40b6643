/** One contract for all who probe: which answers count, and why the others are lost. With real sockets and the real perl. */
import { spawnSync } from 'node:child_process'
import type { Socket } from 'node:net'
import { afterAll, describe, expect, test } from 'vitest'
import { probeFromServer } from '../../src/engine/probe-from-server.ts'
import { PROBE_INTERVAL_MS } from '../../src/engine/prober.ts'
import { runServerProber } from '../../src/engine/server-prober.ts'
import type { ProbeTarget } from '../../src/ports.ts'
import type { ProbeSample } from '../../src/state/drill.ts'
import { systemClock, systemProber } from '../../src/system.ts'
import { HTTP_ANSWERS } from '../support/http-answers.ts'
import { unlessLacking } from '../support/lacking.ts'
import { endListening, tcp } from '../support/listening.ts'
import { localSession } from '../support/local-session.ts'

afterAll(endListening)

const lacks = spawnSync('perl', ['-MIO::Socket::IP', '-e', '1']).status === 0 ? undefined : 'this machine has no perl with IO::Socket::IP'

const target: ProbeTarget = { address: '127.0.0.1', port: 0, kind: 'http', path: '/', timeoutMs: 5000 }

/** One probe in the way of a drill. */
async function drillProbe(asked: ProbeTarget) {
  const samples: ProbeSample[] = []
  await runServerProber({
    session: localSession,
    target: asked,
    clock: systemClock,
    stop: new AbortController().signal,
    onSample: sample => samples.push(sample),
    boundMs: PROBE_INTERVAL_MS,
  })
  const [sample] = samples
  if (sample === undefined) throw new Error('no probe was sent')
  return sample
}

describe.for([
  ['the controller', (asked: ProbeTarget) => systemProber(asked), undefined],
  ['a server, in a drill', drillProbe, lacks],
  ['a server, once', (asked: ProbeTarget) => probeFromServer(localSession, asked), lacks],
] as const)('a probe from %s', ([, probe, lacking]) => {
  describe('reads an answer', unlessLacking(lacking), () => {
    test.concurrent.for(HTTP_ANSWERS)('%s', async ([, send, lost, limitMs], { expect }) => {
      const sockets: Socket[] = []
      const port = await tcp(socket => {
        sockets.push(socket)
        send(socket)
      })
      const answer = await probe({ ...target, port, timeoutMs: limitMs ?? 5000 })
      for (const socket of sockets) socket.destroy()
      if (lost === undefined) expect(answer).toMatchObject({ ok: true })
      else expect(answer).toMatchObject({ ok: false, error: expect.stringMatching(lost) })
    })

    test('no further than its bound', async () => {
      const { promise: closed, resolve: onClosed } = Promise.withResolvers<void>()
      const piece = Buffer.alloc(64 * 1024)
      let sent = 0
      const port = await tcp(socket => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        const more = () => {
          while (socket.writable) {
            sent += piece.length
            if (!socket.write(piece)) break
          }
        }
        socket.on('drain', more)
        socket.once('close', () => onClosed())
        more()
      })
      expect(await probe({ ...target, port })).toMatchObject({ ok: true })
      await closed
      // What the buffers of Linux hold at both ends, and no more.
      expect(sent).toBeLessThan(16 * 1024 * 1024)
    })
  })
})

test('a controller that stood still until the time was over counts what has come meanwhile', async () => {
  const limitMs = 1000
  const port = await tcp(socket => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n')
    const standStill = () => {
      socket.write('fine')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, limitMs)
    }
    // After an immediate, the timers run before anything is read.
    setTimeout(() => setImmediate(standStill), 200)
  })
  expect(await systemProber({ ...target, port, timeoutMs: limitMs })).toMatchObject({ ok: true })
})
