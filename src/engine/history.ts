/** What was deployed when: a whole copy of hactl's files per change, on each server, root only. Reading it back is what rollback does. */
import { HactlError } from '../errors.ts'
import type { Script, Session } from '../ports.ts'
import { STEP_STATUSES } from './apply/report.ts'
import { assertKnownFormat } from './server-state/format.ts'
import { onState } from './server-state/layout.ts'
import { runFolder } from './server-state/run-folder.ts'

/** Older entries are forgotten. */
const KEPT_ENTRIES = 30
const LIST_DEADLINE_MS = 15_000
const SNAPSHOT_DEADLINE_MS = 30_000

export interface HistoryEntry {
  /** Begins with the time in UTC, so that ids sort by age: 20261122T101500Z-1f3a. */
  readonly id: string
  /** Who: "ops@laptop". */
  readonly owner: string
  readonly command: 'deploy' | 'rollback' | 'upgrade'
  readonly cluster: string
  /** The inventory's file name and checksum; for a rollback the entry that was gone back to. */
  readonly source: string
  /** Ids of the resources that changed on this server. */
  readonly changed: readonly string[]
}

/** What one server recorded of a run: the entry, and the files that hactl owned there afterwards. */
export interface RecordedEntry extends HistoryEntry {
  readonly files: readonly { readonly path: string; readonly sha256: string }[]
}

interface SnapshotFile {
  readonly path: string
  readonly mode: string
  readonly owner: string
  readonly group: string
  readonly content: string
}

export interface Snapshot {
  /** The entry it comes from; undefined where the server has none that old. */
  readonly id: string | undefined
  readonly files: readonly SnapshotFile[]
  /** Files that it had and whose content an entry of format 1 no longer tells: another's copy took its place. */
  readonly lost: readonly string[]
}

const history = onState('history.sh', { ...STEP_STATUSES, KEPT_ENTRIES })

/** Copies every file that hactl owns into a new entry; a half-written entry is never seen, because the last step is a rename. */
export function recordScript(entry: HistoryEntry): Script {
  return history`record_entry ${entry.id} ${metaOf(entry)}`
}

/** What a run leaves in its own folder before it changes anything, so that the next one can record it where it died before it did itself. */
export function announceScript(runId: string, entry: HistoryEntry): Script {
  return history`announce ${runFolder(runId)} ${metaOf(entry)}`
}

/**
 * Removes what dead runs left. The last of them that changed this server and was not undone is recorded in its own name: its change stands,
 * and this run has just seen that the change is whole.
 */
export function settleScript(): Script {
  return history`settle_runs`
}

function metaOf(entry: HistoryEntry): string {
  return JSON.stringify({ version: 1, ...entry })
}

/** Reads what one server recorded, oldest first. Throws what parseHistory and Session.run throw. */
export async function listHistory(session: Session, signal: AbortSignal): Promise<readonly RecordedEntry[]> {
  const result = await session.run(listHistoryScript(), { effect: 'none', label: 'read the history', deadlineMs: LIST_DEADLINE_MS, signal })
  return parseHistory(session.server, result.stdout)
}

/** Prints the format, then every entry's meta.json in one line, oldest first, and after it a line per file: its checksum and its path. */
export function listHistoryScript(): Script {
  return history`list_history`
}

/** Throws E_STATE_FORMAT where a newer version of hactl wrote it. An entry that cannot be read is left out. */
export function parseHistory(server: string, stdout: string): readonly RecordedEntry[] {
  const format = [...stdout.matchAll(/^@@(.*)$/gm)].map(match => match[1] ?? '')
  assertKnownFormat(server, format.join('\n'))
  return stdout.split(/\n(?=\{)/).flatMap(text => {
    const [line = '', ...sums] = text.split('\n')
    const entry = parseEntry(line)
    if (entry === undefined) return []
    const files = sums.flatMap(sum => {
      const [, sha256, path] = /^([0-9a-f]{64}) {2}(\/\S+)$/.exec(sum) ?? []
      return sha256 === undefined || path === undefined ? [] : [{ path, sha256 }]
    })
    return [{ ...entry, files }]
  })
}

function parseEntry(line: string): HistoryEntry | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return isEntry(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isEntry(value: unknown): value is HistoryEntry & { version: 1 } {
  if (typeof value !== 'object' || value === null) return false
  const entry = value as Record<string, unknown>
  return entry['version'] === 1 && typeof entry['id'] === 'string' && typeof entry['owner'] === 'string' && Array.isArray(entry['changed'])
}

/** Reads what one server had when the entry `id` was recorded. Throws E_PROBE_CUT and what Session.run throws. */
export async function readSnapshot(session: Session, id: string, signal: AbortSignal): Promise<Snapshot> {
  const result = await session.run(snapshotScript(id), {
    effect: 'none',
    label: `read the files of ${id}`,
    deadlineMs: SNAPSHOT_DEADLINE_MS,
    signal,
    hasSecretOutput: true,
  })
  const snapshot = parseSnapshot(result.stdout)
  if (snapshot !== undefined) return snapshot
  throw new HactlError({
    code: 'E_PROBE_CUT',
    server: session.server,
    what: `the files of ${id} could not be read completely`,
    fix: 'run hactl rollback again',
  })
}

/** Prints the files of the newest entry that is not newer than `id`: what this server had then. */
export function snapshotScript(id: string): Script {
  return history`print_snapshot ${id}`
}

/** undefined where the answer was cut. */
export function parseSnapshot(stdout: string): Snapshot | undefined {
  const lines = stdout.split('\n')
  if (!lines.includes('@@end')) return undefined
  return {
    id: lines.find(line => line.startsWith('entry '))?.slice('entry '.length),
    lost: lines.flatMap(line => (line.startsWith('lost ') ? [line.slice('lost '.length)] : [])),
    files: lines.flatMap(line => {
      const match = /^file (\d+) (\S+) (\S+) (\/\S+) ([A-Za-z0-9+/=]*)$/.exec(line)
      if (match === null) return []
      const [, mode = '', owner = '', group = '', path = '', content = ''] = match
      return [{ path, mode: mode.padStart(4, '0'), owner, group, content: Buffer.from(content, 'base64').toString('utf8') }]
    }),
  }
}
