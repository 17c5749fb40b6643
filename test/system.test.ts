import { existsSync, readFileSync } from 'node:fs'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { ProbeTarget } from '../src/ports.ts'
import { runLocalCommand, systemClock, systemProber } from '../src/system.ts'
import { endListening, http, tcp } from './support/listening.ts'

afterEach(endListening)

function target(port: number, over: Partial<ProbeTarget> = {}): ProbeTarget {
  return { address: '127.0.0.1', port, kind: 'http', path: '/health', timeoutMs: 1000, ...over }
}

describe('a probe', () => {
  test('is one request on a connection of its own, in plain HTTP/1.1', async () => {
    const seen: { url: string | undefined; headers: unknown }[] = []
    const port = await http((request, response) => {
      seen.push({ url: request.url, headers: request.headers })
      response.end('fine')
    })
    expect(await systemProber(target(port))).toMatchObject({ ok: true, status: 200 })
    expect(seen).toEqual([
      { url: '/health', headers: { host: `127.0.0.1:${port}`, 'user-agent': 'hactl', accept: '*/*', connection: 'close' } },
    ])
  })

  test.for([
    [404, undefined, true],
    [503, undefined, false],
    [200, 204, false],
    [204, 204, true],
  ] as const)('answered with %i where %s is expected is ok: %s', async ([status, expected, ok]) => {
    const port = await http((_request, response) => void response.writeHead(status).end())
    const answer = await systemProber(target(port, expected === undefined ? {} : { status: expected }))
    expect(answer).toMatchObject(ok ? { ok, status } : { ok, status, error: `HTTP ${status}` })
  })

  test('sends the given host', async () => {
    const hosts: (string | undefined)[] = []
    const port = await http((request, response) => {
      hosts.push(request.headers.host)
      response.end()
    })
    await systemProber(target(port, { host: 'www.example.com' }))
    await systemProber(target(port, { host: 'www.example.com:8443' }))
    expect(hosts).toEqual([`www.example.com:${port}`, 'www.example.com:8443'])
  })

  test('fails where nobody listens', async () => {
    const port = await tcp(() => {})
    await endListening()
    expect(await systemProber(target(port))).toMatchObject({ ok: false, error: 'ECONNREFUSED' })
  })

  test('fails where the connection ends without an answer', async () => {
    expect(await systemProber(target(await tcp(socket => socket.end())))).toMatchObject({ ok: false, error: 'closed without an answer' })
  })

  test('fails where the answer is not HTTP', async () => {
    expect(await systemProber(target(await tcp(socket => socket.end('SSH-2.0-x\r\n'))))).toMatchObject({
      ok: false,
      error: 'the answer is not HTTP',
    })
  })

  test('reads a status line that comes in pieces', async () => {
    const port = await tcp(socket => {
      socket.write('HTTP/1.')
      setImmediate(() => socket.end('0 200 OK\r\n\r\n'))
    })
    expect(await systemProber(target(port))).toMatchObject({ ok: true, status: 200 })
  })

  test('fails after its limit', async () => {
    const port = await tcp(() => {})
    expect(await systemProber(target(port, { timeoutMs: 50 }))).toMatchObject({ ok: false, error: 'no answer in 50 ms' })
  })

  test('of kind tcp asks for a connection only', async () => {
    const port = await tcp(() => {})
    expect(await systemProber(target(port, { kind: 'tcp' }))).toMatchObject({ ok: true })
  })

  test('ends when it is stopped', async () => {
    const port = await tcp(() => {})
    const controller = new AbortController()
    const probe = systemProber(target(port), controller.signal)
    controller.abort('SIGINT')
    expect(await probe).toMatchObject({ ok: false, error: 'interrupted' })
    expect(await systemProber(target(port), controller.signal)).toMatchObject({ ok: false, error: 'interrupted' })
  })

  test.for(['/x y', '/x\r\nHost: evil', ''])('never sends the path %j', async path => {
    const port = await http(() => expect.unreachable())
    expect(await systemProber(target(port, { path }))).toMatchObject({ ok: false })
  })
})

describe('a local command', () => {
  test('gets its arguments unchanged, and its stdin', async () => {
    const result = await runLocalCommand(['sh', '-c', 'printf "%s|" "$@"; cat; echo bad >&2; exit 3', 'sh', 'a b', '$HOME'], {
      timeoutMs: 5000,
      stdin: 'in',
    })
    expect(result).toEqual({ code: 3, stdout: 'a b|$HOME|in', stderr: 'bad\n' })
  })

  test('that is missing gives 127, one that takes too long 124', async () => {
    expect((await runLocalCommand(['hactl-no-such-program'], { timeoutMs: 1000 })).code).toBe(127)
    expect((await runLocalCommand(['sleep', '60'], { timeoutMs: 50 })).code).toBe(124)
  })

  test('that takes too long is ended with all processes that it started', async () => {
    // The sleep inherits stdout: were it left alive, the answer would not come before its end.
    const { code, stdout } = await runLocalCommand(['sh', '-c', 'sleep 60 & echo $!; wait | cat'], { timeoutMs: 100 })
    expect(code).toBe(124)
    const isAlive = () =>
      existsSync(`/proc/${Number(stdout)}`) && !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${Number(stdout)}/status`, 'utf8'))
    await vi.waitFor(() => expect(isAlive()).toBe(false))
  })

  test('is ended by an interrupt, too', async () => {
    const controller = new AbortController()
    const running = runLocalCommand(['sleep', '60'], { timeoutMs: 60_000, signal: controller.signal })
    controller.abort('SIGINT')
    await expect(running).rejects.toMatchObject({ code: 'E_INTERRUPTED', message: 'hactl was interrupted' })
    await expect(runLocalCommand(['true'], { timeoutMs: 1000, signal: controller.signal })).rejects.toMatchObject({ code: 'E_INTERRUPTED' })
  })

  test('that another process kills does not count as one that took too long', async () => {
    expect((await runLocalCommand(['sh', '-c', 'kill -KILL $$'], { timeoutMs: 5000 })).code).toBe(128)
  })
})

test('sleep ends at once when interrupted', async () => {
  const controller = new AbortController()
  const sleeping = systemClock.sleep(60_000, controller.signal)
  controller.abort('SIGINT')
  await expect(sleeping).rejects.toMatchObject({ code: 'E_INTERRUPTED', message: 'hactl was interrupted' })
  await expect(systemClock.sleep(60_000, controller.signal)).rejects.toMatchObject({ code: 'E_INTERRUPTED' })
})
