/** keepalived.conf as earlier versions of hactl rendered it, with init_file: a rollback must not bring that back. */
import type { FileThen } from '../file-then.ts'
import { KEEPALIVED_CONF, TRACK_DIR } from '../paths.ts'

/** In a block of a track file of hactl's, which names the file first. */
const INIT_FILE = new RegExp(`(^[ \\t]+file[ \\t]+"?${TRACK_DIR}/[^\\n]*\\n(?:[ \\t]+weight[^\\n]*\\n)?)[ \\t]+init_file[^\\n]*\\n`, 'gm')

/**
 * The files without the init_file lines of hactl's own track files, and whether there were any. keepalived 2.2.8 to 2.3.2 write init_file's
 * value over an existing track file at every start (see src/on-server/trackers.sh).
 */
export function withoutInitFile(files: readonly FileThen[]): { readonly files: readonly FileThen[]; readonly hadInitFile: boolean } {
  const without = files.map(file => (file.path === KEEPALIVED_CONF ? { ...file, content: file.content.replace(INIT_FILE, '$1') } : file))
  return { files: without, hadInitFile: without.some((file, at) => file.content !== files[at]?.content) }
}
