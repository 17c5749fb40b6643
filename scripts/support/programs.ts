/** Shell, Perl and Python programs of this repository, for what checks them. */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'

export interface Programs {
  readonly shell: readonly string[]
  readonly perl: readonly string[]
  readonly python: readonly string[]
}

const FIRST_LINE_BYTES = 128

function firstLine(path: string): string {
  const file = openSync(path, 'r')
  const bytes = Buffer.alloc(FIRST_LINE_BYTES)
  const length = readSync(file, bytes)
  closeSync(file)
  return bytes.toString('utf8', 0, length).split('\n')[0] ?? ''
}

/** The programs in these folders and all folders in them, by the name's ending or the first line. No matter whether they are executable. */
export function programsIn(folders: readonly string[]): Programs {
  const files = folders.flatMap(folder =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name))
      .toSorted(),
  )
  const having = (ending: string, interpreter: RegExp) =>
    files.filter(path => path.endsWith(ending) || (!/\.\w+$/.test(path) && interpreter.test(firstLine(path))))
  return {
    shell: having('.sh', /^#!.*\b(?:ba|da)?sh\b/),
    perl: having('.pl', /^#!.*\bperl\b/),
    python: having('.py', /^#!.*\bpython3?\b/),
  }
}
