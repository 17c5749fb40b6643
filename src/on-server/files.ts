/** The programs of this folder as text. The build puts a table of them in the place of this module (scripts/build.ts). */
import { readFileSync } from 'node:fs'

const read = new Map<string, string>()

/** The text of the file `name` beside this module. */
export function onServer(name: string): string {
  const text = read.get(name) ?? readFileSync(new URL(name, import.meta.url), 'utf8')
  read.set(name, text)
  return text
}
