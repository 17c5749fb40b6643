/** Runs load-process.ts beside a test. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { root } from './lab.ts'

const LIMIT_SECONDS = 240

export interface Loaded {
  readonly requests: number
  /** Of these, on connections that are kept open. */
  readonly keptOpen: number
  /** Why requests on a connection of their own got no answer, or none but an error. */
  readonly lost: readonly string[]
  /** Connections that ended within an answer. */
  readonly cut: readonly string[]
  /** Kept connections that were closed before any byte of an answer: every client asks again. */
  readonly retries: number
  /** Common names of the certificates that were shown. */
  readonly certificates: readonly string[]
}

export interface Load {
  stop(): Promise<Loaded>
}

/** Asks until stopped; resolves once the first requests are about to be sent. */
export async function startLoad(url: string): Promise<Load> {
  const child = spawn(process.execPath, [join(root, 'test/e2e/support/load-process.ts'), url, String(LIMIT_SECONDS)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let out = ''
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => reject(new Error(`the load ended with ${code}`)))
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString('utf8')
      if (out.startsWith('ready\n')) resolve()
    })
  })
  return {
    stop: async () => {
      const closed = new Promise<void>(resolve => child.once('close', () => resolve()))
      child.stdin.end()
      await closed
      return JSON.parse(out.slice('ready\n'.length)) as Loaded
    },
  }
}
