/** The programs of this folder as text. The build puts a table of them in the place of this module (scripts/build.mjs). */
import { readFileSync } from 'node:fs'

/** The text of `name`, as it lies beside this module. */
export function onServer(name: string): string {
  return readFileSync(new URL(name, import.meta.url), 'utf8')
}
