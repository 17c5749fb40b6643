/**
 * Looks at servers that are folders, answered from memory. A look at a server gets the answer that the same look got before, at a server in the
 * same state, from a real shell. So a test of what is made of an answer pays for a shell only where the state or the script is new.
 */
import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { CommandResult, RunOptions, Script } from '../../src/ports.ts'
import { type Content, contentOf } from './folder-content.ts'

interface Known {
  /** Its runs are named by their places in State.runs. */
  readonly result: CommandResult
  /** The text of the dump that the look left. */
  readonly dump: string | undefined
  readonly lockAgeS: number
}

interface State {
  /** Of everything but the dump. */
  readonly text: string
  readonly dump: string | undefined
  /** The ids of all runs that hactl's own state names, sorted. */
  readonly runs: readonly string[]
}

/** By the script and the state before it. */
const known = new Map<string, Known>()

/** The one file that a look changes for good: keepalived's answer. */
const DUMP = 'tmp/keepalived.json'
/** What a stand-in notes, and what a run of a script leaves. */
const NO_STATE = /^(?:tmp\/keepalived[.]json|world\/(?:script[.]pid|.*[.]log))$/
const RUN_ID = /\b\d{8}T\d{6}Z-[0-9a-f]{6}\b/g

export function isLook({ label }: RunOptions): boolean {
  return label === 'read the facts of this server'
}

/**
 * The answer of `look`, which runs `script` on the server in the folder `root`. It is remembered unless something changed the server meanwhile.
 * Rejects with what `look` rejects with.
 */
export async function rememberedLook(root: string, script: Script, look: () => Promise<CommandResult>): Promise<CommandResult> {
  const before = stateOf(root)
  if (before === undefined) return look()
  const key = createHash('sha256')
    .update([process.env['PATH'], script.raw, before.dump ?? 'no dump', before.text].join('\0'))
    .digest('base64')
  const ageS = lockAgeS(root)
  const earlier = known.get(key)
  if (earlier !== undefined) {
    if (earlier.dump === undefined) rmSync(join(root, DUMP), { force: true })
    else writeFileSync(join(root, DUMP), earlier.dump, 'latin1')
    const { result, lockAgeS: oldAgeS } = earlier
    return { ...result, stdout: atThisTime(runsNamed(result.stdout, before.runs), ageS - oldAgeS) }
  }
  const result = await look()
  const after = stateOf(root)
  if (after?.text === before.text)
    known.set(key, { result: { ...result, stdout: runsPlaced(result.stdout, before.runs) }, dump: after.dump, lockAgeS: ageS })
  return result
}

/** Two lines of an answer tell the time: the server's clock, and the age of its lock. */
function atThisTime(stdout: string, olderS: number): string {
  const nowMs = Date.now()
  return stdout
    .replace(/^clock \d+ \d+$/m, `clock ${Math.floor(nowMs / 1000)} ${(nowMs % 1000) * 1_000_000}`)
    .replace(/(?<=^@@begin lock\nage )-?\d+$/m, age => `${Number(age) + olderS}`)
}

/** undefined: something goes on there. */
function stateOf(root: string): State | undefined {
  const content = contentIfQuiet(root)
  if (content === undefined) return undefined
  const own = (text: string) =>
    // A copy is named after the whole path of its file.
    text
      .replaceAll(root, '@')
      .replaceAll(root.replaceAll('/', '_'), '@')
      .replaceAll(/\b[0-9a-f]{64}-/g, '')
  const entries = [...content].flatMap(([name, { kind, mode, text }]) => {
    if (NO_STATE.test(name)) return []
    const entry = `${name} ${kind} ${mode} ${hoursOld(root, name)} ${text}`
    return [{ isOwn: name.startsWith('var/lib/hactl/'), entry }]
  })
  const runs = [...new Set(entries.flatMap(({ isOwn, entry }) => (isOwn ? (entry.match(RUN_ID) ?? []) : [])))].toSorted()
  const texts = entries.map(({ isOwn, entry }) => (isOwn ? runsPlaced(own(entry), runs) : entry)).toSorted()
  return { text: [...neighboursOf(root), ...texts].join('\0'), dump: content.get(DUMP)?.text, runs }
}

function contentIfQuiet(root: string): Content | undefined {
  try {
    return contentOf(root)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** A look asks whether lists of packages are fresh. */
function hoursOld(root: string, name: string): number {
  return name.startsWith('var/lib/apt/lists/') ? Math.floor((Date.now() - lstatSync(join(root, name)).mtimeMs) / 3_600_000) : 0
}

/** The stand-ins of ip and of keepalived look at the services of all servers: which of them run, and which is this one. */
function neighboursOf(root: string): readonly string[] {
  const isThere = (path: string) => lstatSync(path, { throwIfNoEntry: false }) !== undefined
  const all = dirname(root)
  return readdirSync(all)
    .filter(name => name.startsWith('srv-'))
    .toSorted()
    .map(name => {
      const runs = ['haproxy', 'keepalived'].every(unit => isThere(join(all, name, 'world/units', unit, 'active')))
      return `${join(all, name) === root ? 'here' : 'there'} ${runs}`
    })
}

/** How long ago the lock was confirmed, by the same files as on a server; 0 without one. */
function lockAgeS(root: string): number {
  const stats = ['beat', ''].map(name => lstatSync(join(root, 'var/lib/hactl/lock', name), { throwIfNoEntry: false }))
  const [stat] = stats.filter(each => each !== undefined)
  return stat === undefined ? 0 : Math.floor(Date.now() / 1000) - Math.floor(stat.mtimeMs / 1000)
}

const runsPlaced = (text: string, runs: readonly string[]) =>
  text.replaceAll(RUN_ID, id => (runs.includes(id) ? `@run ${runs.indexOf(id)}@` : id))
const runsNamed = (text: string, runs: readonly string[]) => text.replaceAll(/@run (\d+)@/g, (all, at) => runs[Number(at)] ?? all)
