/** The same work on many servers, a bounded number of them at once. */
import { asHactlError, type HactlError, throwAll } from '../errors.ts'
import type { Session } from '../ports.ts'
import type { Links } from './links.ts'

/** Runs work for every item, at most `forks` at once, and keeps the order of the results. Work must not throw. */
export async function forkMap<T, R>(items: readonly T[], forks: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const worker = async () => {
    while (next < items.length) {
      const index = next++
      const item = items[index]
      if (item !== undefined) results[index] = await work(item)
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, Math.min(forks, items.length)) }, worker))
  return results
}

/** Servers answer in any order. What is made of their answers comes in the order of `names`. */
export function inOrderOf<T>(names: Iterable<string>, found: ReadonlyMap<string, T>): Map<string, T> {
  const ordered = new Map<string, T>()
  for (const name of names) if (found.has(name)) ordered.set(name, found.get(name) as T)
  return ordered
}

/** Reads something from every server. Throws what went wrong on all of them together. */
export async function readAll<T>(links: Links, forks: number, read: (session: Session) => Promise<T>): Promise<ReadonlyMap<string, T>> {
  const found = new Map<string, T>()
  const failures: HactlError[] = []
  await forkMap(links.servers, forks, async server => {
    try {
      found.set(server, await read(links.current(server)))
    } catch (error) {
      failures.push(asHactlError(error))
    }
  })
  throwAll(failures)
  return inOrderOf(links.servers, found)
}
