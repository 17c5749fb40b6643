/** Runs a program of this folder beside a test: it says "ready", works until its stdin ends, and then prints as JSON what it saw. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { root } from './lab.ts'

/** Such a program ends by itself after this many seconds, its first argument: the process that would stop it may be gone. */
const LIMIT_SECONDS = 900
const READY = 'ready\n'

export interface Beside<T> {
  /** Throws where the program has ended by itself: what it saw is not all that happened. */
  stop(): Promise<T>
}

/** Resolves once the program is about to begin. */
export async function startBeside<T>(program: string, ...argv: readonly string[]): Promise<Beside<T>> {
  const words = [join(root, 'test/e2e/support', program), String(LIMIT_SECONDS), ...argv]
  const child = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'inherit'] })
  const closed = new Promise<void>(resolve => child.once('close', () => resolve()))
  // It may have ended by itself.
  child.stdin.on('error', () => undefined)
  let [out, isOver] = ['', false]
  void closed.then(() => {
    isOver = true
  })
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => reject(new Error(`${program} ended with ${code}`)))
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString('utf8')
      if (out.startsWith(READY)) resolve()
    })
  })
  return {
    stop: async () => {
      if (isOver) throw new Error(`${program} ended before it was stopped: it saw only a part, ${out.slice(READY.length, 1000)}`)
      child.stdin.end()
      await closed
      return JSON.parse(out.slice(READY.length)) as T
    },
  }
}
