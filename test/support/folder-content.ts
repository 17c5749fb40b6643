/** All that is in the folder of a server, as a value. */
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

interface Entry {
  readonly kind: 'link' | 'folder' | 'file'
  readonly mode: number
  /** The target, for a link. */
  readonly text: string
}

/** The content of a folder, by the path in it; each folder comes before its own content. */
export type Content = ReadonlyMap<string, Entry>

// The script itself is no part of the state that it leaves.
const IS_SCRIPT = /^world\/script-\d+$/

/** Throws ENOENT where a file goes away meanwhile. */
export function contentOf(root: string): Content {
  const content = new Map<string, Entry>()
  // With their types: Node asks for the type of each entry where it is not wanted, too.
  const paths = readdirSync(root, { recursive: true, withFileTypes: true }).map(entry => join(entry.parentPath, entry.name))
  for (const path of paths.toSorted()) {
    const name = path.slice(root.length + 1)
    if (IS_SCRIPT.test(name)) continue
    const stat = lstatSync(path)
    const kind = stat.isSymbolicLink() ? 'link' : stat.isDirectory() ? 'folder' : 'file'
    const text = kind === 'link' ? readlinkSync(path) : kind === 'file' ? readFileSync(path, 'latin1') : ''
    content.set(name, { kind, mode: stat.mode & 0o7777, text })
  }
  return content
}

/** Gives a folder with the content `before` the content `after`. */
export function replaceContent(root: string, before: Content, after: Content): void {
  for (const [name, { kind }] of before) {
    if (after.get(name)?.kind !== kind || kind === 'link') rmSync(join(root, name), { recursive: true, force: true })
  }
  for (const [name, { kind, mode, text }] of after) {
    const path = join(root, name)
    const old = before.get(name)
    if (old?.kind === kind && old.mode === mode && old.text === text && kind !== 'link') continue
    if (kind === 'link') symlinkSync(text, path)
    else if (kind === 'file') writeFileSync(path, text, 'latin1')
    else mkdirSync(path, { recursive: true })
    if (kind !== 'link') chmodSync(path, mode)
  }
}
