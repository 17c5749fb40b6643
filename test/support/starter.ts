/**
 * Starts programs from a small process. A process that starts another is copied first, and that of a test has hundreds of megabytes: the copy of its
 * page tables costs several ms of CPU, where a shell itself needs one.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'

export type Order =
  | { readonly id: number; readonly file: string; readonly args: readonly string[]; readonly env: Readonly<Record<string, string>> }
  | { readonly id: number; readonly kill: true }

export type Report =
  | { readonly id: number; readonly stream: 'stdout' | 'stderr'; readonly text: string }
  | { readonly id: number; readonly error: string }
  /** `code` is null where a signal ended it. */
  | { readonly id: number; readonly code: number | null }

export interface Started {
  /** Its exit code, or null where a signal ended it. Rejects where it could not be started. */
  readonly ended: Promise<number | null>
  readonly kill: () => void
}

type Hearer = (report: Report) => void

let starter: ChildProcess | undefined
let orders = 0
const hearers = new Map<number, Hearer>()

function theStarter(): ChildProcess {
  if (starter !== undefined) return starter
  starter = fork(join(import.meta.dirname, 'starter-process.ts'), { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  starter.on('message', (report: Report) => hearers.get(report.id)?.(report))
  starter.on('exit', () => {
    for (const [id, hear] of hearers) hear({ id, error: 'the process that starts programs has ended' })
    starter = undefined
  })
  starter.unref()
  starter.channel?.unref()
  return starter
}

/** Starts a program with an empty stdin. `onText` gets what it prints, as it comes. */
export function startSmall(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  onText: (stream: 'stdout' | 'stderr', text: string) => void,
): Started {
  const id = orders++
  const order = (what: Order) => theStarter().send(what)
  const ended = new Promise<number | null>((resolve, reject) => {
    hearers.set(id, report => {
      if ('text' in report) return onText(report.stream, report.text)
      hearers.delete(id)
      if ('error' in report) reject(new Error(`${file}: ${report.error}`))
      else resolve(report.code)
    })
  })
  order({ id, file, args, env })
  return { ended, kill: () => void order({ id, kill: true }) }
}
