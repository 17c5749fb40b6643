/** The real Download, over undici: node's own fetch supports no proxy in the oldest Node that hactl runs on. */
import { EnvHttpProxyAgent, request } from 'undici'
import type { Download } from '../ports.ts'
import { interrupted } from '../system.ts'

let agent: EnvHttpProxyAgent | undefined

export const systemDownload: Download = async (url, { maxBytes, timeoutMs, signal }) => {
  // A proxy need not allow tunnels to port 80: it is asked for http as such.
  agent ??= new EnvHttpProxyAgent({ proxyTunnel: false, connect: { timeout: timeoutMs } })
  try {
    const { statusCode, headers, body } = await request(url, {
      dispatcher: agent,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      headers: { 'user-agent': 'hactl' },
      ...(signal === undefined ? {} : { signal }),
    })
    if (statusCode !== 200) await body.dump()
    const location = headers['location']
    if (statusCode >= 300 && statusCode < 400 && typeof location === 'string' && URL.canParse(location, url))
      return { kind: 'moved', to: new URL(location, url).href }
    if (statusCode === 404 || statusCode === 410) return { kind: 'missing' }
    if (statusCode !== 200) return { kind: 'failed', why: `HTTP ${statusCode}` }
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > maxBytes) {
        body.destroy()
        return { kind: 'failed', why: `it is larger than ${maxBytes} bytes` }
      }
      chunks.push(chunk)
    }
    return { kind: 'whole', content: Buffer.concat(chunks) }
  } catch (error) {
    if (signal?.aborted === true) throw interrupted(signal)
    return { kind: 'failed', why: reasonOf(error) }
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // Several addresses were tried: the first error says as much as all of them.
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0])
  return error.message === '' && 'code' in error ? String(error.code) : error.message
}
