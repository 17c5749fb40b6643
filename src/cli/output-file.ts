import type { CommandContext } from './command.ts'
import { usageError } from './flags.ts'

/** Throws E_USAGE where a file cannot be written. It is called before anything is asked or done. `elsewhere`: how to name another file. */
export async function assertWritable(path: string, { ports }: CommandContext, elsewhere: string): Promise<void> {
  const whyNot = await ports.files.whyNotWritable(path)
  if (whyNot !== undefined) throw usageError(`${path} cannot be written: ${whyNot}`, elsewhere)
}

/** Throws E_USAGE for a file that exists already, unless --force was given. */
export async function assertNew(path: string, { flags, ports }: CommandContext, elsewhere: string): Promise<void> {
  if (flags.on('force') || !(await ports.files.exists(path))) return
  throw usageError(`${path} exists already`, `${elsewhere}, or --force to overwrite it`)
}
