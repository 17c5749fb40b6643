import { createHash } from 'node:crypto'

/**
 * What the copy of a file is called, wherever hactl keeps one: a checksum of its path, so that no two paths share a copy, and the file's own
 * name for whoever looks. copy_name of src/on-server/state.sh makes the same name.
 */
export function copyName(path: string): string {
  return `${createHash('sha256').update(path).digest('hex')}-${path.slice(path.lastIndexOf('/') + 1)}`
}
