/** What kept sums are told apart by: the contents of what measured and of what was measured. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** A short hash of the names and contents of files. Throws where one cannot be read. */
export function fingerprintOf(files: readonly string[]): string {
  const hash = createHash('sha256')
  for (const file of files.toSorted()) {
    const content = readFileSync(file)
    hash.update(`${basename(file)} ${content.length}\n`).update(content)
  }
  return hash.digest('hex').slice(0, 8)
}

const filesIn = (folder: string) => readdirSync(folder).map(name => join(folder, name))

/** The files of this bench. */
export const benchFiles = () => [join(import.meta.dirname, '../../bench-connections.ts'), ...filesIn(import.meta.dirname)]

/** The files of a bundle of hactl: what its main file loads on demand lies beside it. */
export function bundleFiles(program: string): readonly string[] {
  const parts = join(dirname(program), 'parts')
  return [program, ...(existsSync(parts) ? filesIn(parts) : [])]
}
