/**
 * What runs beside the servers in the lab of real kernels, in the lab's own network namespace: two HTTP backends, and the repository that the
 * servers install from. They reach nothing else.
 *   node beside.ts PREFIX PACKAGES
 */
import { createReadStream, statSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { join } from 'node:path'

const [prefix = '', packages = ''] = process.argv.slice(2)

/** The same answers as test/lab/image/app/nginx.conf. */
const backend =
  (name: string): RequestListener =>
  (request, response) => {
    const answers: Readonly<Record<string, string>> = { '/': `hello from ${name}\n`, '/health': `ok ${name}\n` }
    const text = answers[request.url ?? '']
    response.writeHead(text === undefined ? 404 : 200, {
      'X-Backend': name,
      'Cache-Control': 'no-store',
      'Content-Type': 'text/plain',
    })
    response.end(text ?? `nothing here on ${name}\n`)
  }

/** Files of one folder without folders in it; anything else is not there. */
const repository: RequestListener = (request, response) => {
  const name = decodeURIComponent((request.url ?? '').replace(/^(\/\.)*\//, ''))
  const path = join(packages, name)
  const size = /^[\w][\w.+~%-]*$/.test(name) ? statSync(path, { throwIfNoEntry: false })?.size : undefined
  if (size === undefined) {
    response.writeHead(404).end()
    return
  }
  response.writeHead(200, { 'Content-Length': size, 'Content-Type': 'application/octet-stream' })
  createReadStream(path).pipe(response)
}

createServer(backend('app-1')).listen(80, `${prefix}.21`)
createServer(backend('app-2')).listen(80, `${prefix}.22`)
createServer(repository).listen(80, `${prefix}.2`)
