/** Reads every file that the operator names: the inventory, and the files that it names in turn. */
import { UnusableFile } from '../errors.ts'
import type { Ports } from '../ports.ts'

export type InputFile =
  | { readonly kind: 'read'; readonly bytes: Buffer }
  | { readonly kind: 'absent' }
  /** `why` in an operator's words, without the path: "it is a folder". */
  | { readonly kind: 'unusable'; readonly why: string }

/** A file with more text than this was not written by hand; haproxy itself takes larger ones. */
export const MAX_TEXT_BYTES = 4 * 1024 * 1024

/** Reads a file, or says why it cannot be used. Throws E_INTERRUPTED: a pipe may wait for its writer. */
export async function readInput(path: string, { files, signal }: Pick<Ports, 'files' | 'signal'>, maxBytes?: number): Promise<InputFile> {
  try {
    const bytes = await files.read(path, { signal, ...(maxBytes === undefined ? {} : { maxBytes }) })
    return bytes === undefined ? { kind: 'absent' } : { kind: 'read', bytes }
  } catch (error) {
    if (error instanceof UnusableFile) return { kind: 'unusable', why: error.reason }
    throw error
  }
}

/** Why there are no bytes, in one sentence. */
export function whyUnread(path: string, file: Exclude<InputFile, { kind: 'read' }>): string {
  return file.kind === 'absent' ? `there is no file ${path}` : `${path} cannot be read: ${file.why}`
}
