/**
 * What runs beside the servers in the lab of real kernels, in the lab's own network namespace: two HTTP backends, and the repository that the
 * servers install from. They reach nothing else.
 *   node beside.ts PREFIX PACKAGES
 */
import { createReadStream, statSync } from 'node:fs'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import { join } from 'node:path'

const [prefix = '', packages = ''] = process.argv.slice(2)

/** An answer without an end: so many bytes so often, as long as they are read. */
const CHUNK = Buffer.alloc(16_384, '.')
const CHUNK_MS = 50

function endless(response: ServerResponse): void {
  const next = setInterval(() => response.writableNeedDrain || response.write(CHUNK), CHUNK_MS)
  response.once('close', () => clearInterval(next))
}

/** The same answers as test/lab/image/app/nginx.conf, and /endless. */
const backend =
  (name: string): RequestListener =>
  (request, response) => {
    const answers: Readonly<Record<string, string>> = { '/': `hello from ${name}\n`, '/health': `ok ${name}\n` }
    const isEndless = request.url === '/endless'
    const text = answers[request.url ?? '']
    const body = text ?? `nothing here on ${name}\n`
    response.writeHead(text === undefined && !isEndless ? 404 : 200, {
      'X-Backend': name,
      'Cache-Control': 'no-store',
      'Content-Type': 'text/plain',
      ...(isEndless ? {} : { 'Content-Length': Buffer.byteLength(body) }),
    })
    if (isEndless) endless(response)
    else response.end(body)
  }

/** undefined where it can be no file of ours: whatever a server asks for must not end this process. */
function nameIn(url: string): string | undefined {
  try {
    const name = decodeURIComponent(url.replace(/^(\/\.)*\//, ''))
    return /^[\w][\w.+~%-]*$/.test(name) ? name : undefined
  } catch {
    return undefined
  }
}

/** Files of one folder without folders in it; anything else is not there. */
const repository: RequestListener = (request, response) => {
  const name = nameIn(request.url ?? '')
  const path = join(packages, name ?? '')
  const size = name === undefined ? undefined : statSync(path, { throwIfNoEntry: false })?.size
  if (size === undefined) {
    response.writeHead(404).end()
    return
  }
  response.writeHead(200, { 'Content-Length': size, 'Content-Type': 'application/octet-stream' })
  createReadStream(path)
    .once('error', () => response.destroy())
    .pipe(response)
}

createServer(backend('app-1')).listen(80, `${prefix}.21`)
createServer(backend('app-2')).listen(80, `${prefix}.22`)
createServer(repository).listen(80, `${prefix}.2`)
