import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Download } from '../../src/ports.ts'

const open: Server[] = []
const LIMITS = { maxBytes: 1000, timeoutMs: 2000 }

async function listening(answer: RequestListener): Promise<{ readonly server: Server; readonly origin: string }> {
  const server = createServer(answer)
  open.push(server)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** The environment is read when the library is loaded and first used. */
async function downloader(env: Readonly<Record<string, string>> = {}): Promise<Download> {
  vi.resetModules()
  for (const name of ['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY']) vi.stubEnv(name, env[name])
  return (await import('../../src/system/download.ts')).systemDownload
}

let download: Download

beforeEach(async () => {
  download = await downloader()
})

afterEach(() => {
  vi.unstubAllEnvs()
  for (const server of open.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

test('fetches every byte of a file by GET', async () => {
  const content = Buffer.from([0, 255, 10, 13, 200])
  const seen: unknown[] = []
  const { origin } = await listening((request, response) => {
    seen.push([request.method, request.url, request.headers['user-agent']])
    response.end(content)
  })
  expect(await download(`${origin}/pool/x_1%2Bb1.deb`, LIMITS)).toEqual({ kind: 'whole', content })
  expect(seen).toEqual([['GET', '/pool/x_1%2Bb1.deb', 'hactl']])
})

describe('answers other than a file', () => {
  test('a redirect is reported as an absolute URL and not followed', async () => {
    const asked: (string | undefined)[] = []
    const { origin } = await listening((request, response) => {
      asked.push(request.url)
      response.writeHead(302, { location: '/elsewhere?x=1' }).end('moved')
    })
    expect(await download(`${origin}/here`, LIMITS)).toEqual({ kind: 'moved', to: `${origin}/elsewhere?x=1` })
    expect(asked).toEqual(['/here'])
  })

  test.for([
    [404, { kind: 'missing' }],
    [410, { kind: 'missing' }],
    [503, { kind: 'failed', why: 'HTTP 503' }],
    [302, { kind: 'failed', why: 'HTTP 302' }],
  ] as const)('%i', async ([status, told]) => {
    const { origin } = await listening((_request, response) => void response.writeHead(status).end())
    expect(await download(origin, LIMITS)).toEqual(told)
  })

  test('a file that is too large is refused', async () => {
    const { origin } = await listening((_request, response) => void response.end(Buffer.alloc(1001)))
    expect(await download(origin, LIMITS)).toMatchObject({ kind: 'failed', why: expect.stringContaining('1000 bytes') })
  })

  test('a connection that ends within a file is an error', async () => {
    const { origin } = await listening((_request, response) => {
      response.writeHead(200, { 'content-length': '900' })
      response.write('half', () => response.destroy())
    })
    expect(await download(origin, LIMITS)).toMatchObject({ kind: 'failed', why: expect.stringMatching(/\S/) })
  })

  test('a refused connection is an error', async () => {
    const { server, origin } = await listening(() => {})
    await new Promise(resolve => server.close(resolve))
    expect(await download(origin, LIMITS)).toEqual({ kind: 'failed', why: expect.stringContaining('ECONNREFUSED') })
  })

  test('a server that does not answer is an error', async () => {
    const { origin } = await listening(() => {})
    expect(await download(origin, { ...LIMITS, timeoutMs: 100 })).toMatchObject({
      kind: 'failed',
      why: expect.stringMatching(/[Tt]imeout/),
    })
  })

  test('an interrupt ends the download', async () => {
    const stop = new AbortController()
    const { origin } = await listening(() => stop.abort('SIGINT'))
    await expect(download(origin, { ...LIMITS, signal: stop.signal })).rejects.toMatchObject({
      code: 'E_INTERRUPTED',
      message: 'hactl was interrupted',
    })
  })
})

describe('behind a proxy', () => {
  test('an http URL is requested without a tunnel, which many proxies refuse, and with the password of the proxy', async () => {
    const seen: unknown[] = []
    const proxy = await listening((request, response) => {
      seen.push([request.method, request.url, request.headers['proxy-authorization']])
      response.end('through the proxy')
    })
    download = await downloader({ http_proxy: proxy.origin.replace('http://', 'http://ops:secret@') })
    expect(await download('http://mirror.example.com/debian/InRelease', LIMITS)).toMatchObject({
      content: Buffer.from('through the proxy'),
    })
    expect(seen).toEqual([['GET', 'http://mirror.example.com/debian/InRelease', `Basic ${Buffer.from('ops:secret').toString('base64')}`]])
  })

  test('https goes through a tunnel', async () => {
    const proxy = await listening(() => {})
    const tunnels: (string | undefined)[] = []
    proxy.server.on('connect', (request, socket) => {
      tunnels.push(request.url)
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    })
    download = await downloader({ https_proxy: proxy.origin })
    expect(await download('https://mirror.example.com/debian/InRelease', LIMITS)).toMatchObject({ kind: 'failed' })
    expect(tunnels).toEqual(['mirror.example.com:443'])
  })

  test('a host in no_proxy is asked directly', async () => {
    const proxy = await listening((_request, response) => void response.end('through the proxy'))
    const { origin } = await listening((_request, response) => void response.end('directly'))
    download = await downloader({ http_proxy: proxy.origin, no_proxy: '127.0.0.1' })
    expect(await download(origin, LIMITS)).toMatchObject({ content: Buffer.from('directly') })
  })
})
