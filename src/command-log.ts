/** The log of every command on every server, on the controller: one JSON object per line, secrets masked, readable by its owner only. */
import { appendFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { SshLogEntry } from './engine/ssh/session.ts'

/** Daily files older than this are removed. */
const KEPT_DAYS = 30
const DAY_MS = 86_400_000

/** Where the log is written: --log FILE, else one file a day under $XDG_STATE_HOME/hactl/log (XDG Base Directory Specification). */
export function commandLogPath(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  home: string,
  cwd: string,
  nowMs: number,
): string {
  const at = argv.findIndex(word => word === '--log' || word.startsWith('--log='))
  const word = argv[at]
  const named = word === undefined ? undefined : word === '--log' ? argv[at + 1] : word.slice('--log='.length)
  if (named !== undefined && named !== '') return resolve(cwd, named)
  const state = env['XDG_STATE_HOME'] ?? ''
  return join(state.startsWith('/') ? state : join(home, '.local/state'), 'hactl/log', `${dayOf(nowMs)}.jsonl`)
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

/**
 * Appends entries as they come, so that a killed run leaves its log behind. A log that cannot be written must not stop work on servers:
 * `onFailure` is called once.
 */
export function createCommandLog(path: string, onFailure: (why: string) => void): (entry: SshLogEntry) => void {
  let state: 'new' | 'open' | 'failed' = 'new'
  return entry => {
    if (state === 'failed') return
    try {
      if (state === 'new') {
        makeFolders(dirname(path))
        pruneDaily(path, entry.startedAtMs)
        state = 'open'
      }
      const { startedAtMs, durationMs, code, ...rest } = entry
      const line = { at: new Date(startedAtMs).toISOString(), duration_ms: Math.round(durationMs), exit: code ?? null, ...rest }
      appendFileSync(path, `${JSON.stringify(line)}\n`, { mode: 0o600 })
    } catch (error) {
      state = 'failed'
      onFailure(`the log ${path} cannot be written: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}

// Not mkdirSync's own recursion: it never ends where a folder exists but no folder can be made in it (/proc, the root of an automounter).
function makeFolders(path: string): void {
  if (existsSync(path)) return
  makeFolders(dirname(path))
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    // Another run made it meanwhile.
    if (!existsSync(path)) throw error
  }
}

// Only files named after a day, and only beside a log named after a day: a file that --log names may have neighbours that are not ours.
function pruneDaily(path: string, nowMs: number): void {
  const daily = /^(\d{4}-\d{2}-\d{2})\.jsonl$/
  const folder = dirname(path)
  if (!daily.test(path.slice(folder.length + 1))) return
  const oldest = dayOf(nowMs - KEPT_DAYS * DAY_MS)
  for (const name of readdirSync(folder)) {
    const day = daily.exec(name)?.[1]
    if (day !== undefined && day < oldest) rmSync(join(folder, name), { force: true })
  }
}
