/** Finds values that an inventory has twice. */
import type { Finding } from './findings.ts'
import { pathText } from './findings.ts'
import type { YamlPath } from '../yaml.ts'

export interface Entry {
  readonly value: string | undefined
  readonly path: YamlPath
  /** Compared instead of the value. */
  readonly as?: string
}

/** A finding at every entry that has the value of an earlier one. */
export function repeated(entries: readonly Entry[], message: (first: Entry, again: Entry) => string, fix: string): readonly Finding[] {
  const seen = new Map<string, Entry>()
  return entries.flatMap(entry => {
    if (entry.value === undefined) return []
    const key = entry.as ?? entry.value
    const first = seen.get(key)
    if (first !== undefined) return [{ path: entry.path, message: message(first, entry), fix }]
    seen.set(key, entry)
    return []
  })
}

/** The list entry that a path is in: "servers[1]". */
export function owner(path: YamlPath): string {
  return pathText(path.slice(0, 2))
}
