/** The real files. A path that an operator names by mistake (a folder, a device, a pipe without a writer) never makes hactl hang or fill the memory. */
import { randomUUID } from 'node:crypto'
import { access, constants, type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isatty } from 'node:tty'
import { HactlError, UnusableFile } from '../errors.ts'
import type { Files } from '../ports.ts'
import { interrupted, systemClock } from '../system.ts'

export const systemFiles: Files = {
  read: async (path, options) => {
    try {
      return await readWhole(path, options)
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error instanceof HactlError || error instanceof UnusableFile ? error : new UnusableFile(path, reasonInWords(error), error)
    }
  },
  write: async (path, text, mode) => {
    const staged = join(dirname(path), `.${basename(path)}.${randomUUID()}`)
    try {
      const file = await open(staged, 'wx', mode)
      try {
        await file.writeFile(text)
        // open() applies the umask, but the caller asked for exactly this mode.
        await file.chmod(mode)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(staged, path)
    } catch (error) {
      await rm(staged, { force: true })
      throw error
    }
  },
  exists: async path => {
    try {
      await access(path)
      return true
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
  },
  mode: async path => {
    try {
      return (await stat(path)).mode & 0o7777
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  },
  list: async path => {
    try {
      return (await readdir(path)).toSorted()
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  },
  whyNotWritable: async path => {
    const folder = dirname(path)
    try {
      if (!(await stat(folder)).isDirectory()) return `${folder} is not a folder`
      await access(folder, constants.W_OK | constants.X_OK)
      return (await stat(path)).isDirectory() ? 'it is a folder' : undefined
    } catch (error) {
      const code = codeOf(error)
      if (code === 'ENOENT') return (await systemFiles.exists(folder)) ? undefined : `there is no folder ${folder}`
      if (code === 'ENOTDIR') return `${folder} is not a folder`
      if (code === 'EACCES' || code === 'EPERM') return `you may not write into ${folder}`
      if (code === 'EROFS') return `${folder} is on a file system that is read-only`
      return reasonInWords(error)
    }
  },
}

const MAX_FILE_BYTES = 16 * 1024 * 1024
const CHUNK_BYTES = 64 * 1024
/** The pause before a pipe that had nothing to read is tried again. */
const PIPE_PAUSE_MS = 20

/** A pipe can be read only once, and an inventory may be read twice (check --servers). */
const piped = new Map<string, Buffer>()

async function readWhole(path: string, { maxBytes = MAX_FILE_BYTES, signal }: Parameters<Files['read']>[1] = {}): Promise<Buffer> {
  const known = piped.get(path)
  if (known !== undefined) return known
  const tooLarge = () => new UnusableFile(path, `it is larger than ${sizeText(maxBytes)}`)
  const { isPipe } = await assertReadable(path, maxBytes, tooLarge)
  // Without O_NONBLOCK, opening and reading a pipe blocks a thread that no signal can free, and exit() waits for that thread.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  try {
    const info = await file.stat()
    const isTerminal = info.isCharacterDevice() && isatty(file.fd)
    if (info.isCharacterDevice() && !isTerminal && info.rdev !== (await stat('/dev/null')).rdev)
      throw new UnusableFile(path, 'it is a device')
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    const chunks: Buffer[] = []
    let size = 0
    for (;;) {
      const bytesRead = await readSome(file, chunk, signal)
      if (bytesRead === 0) break
      size += bytesRead
      if (size > maxBytes) throw tooLarge()
      chunks.push(Buffer.from(chunk.subarray(0, bytesRead)))
    }
    const whole = Buffer.concat(chunks, size)
    if (isPipe || isTerminal) piped.set(path, whole)
    return whole
  } finally {
    await file.close()
  }
}

/** Looks at the path before it opens it: opening a device can already have effects. */
async function assertReadable(path: string, maxBytes: number, tooLarge: () => UnusableFile): Promise<{ readonly isPipe: boolean }> {
  const info = await stat(path)
  if (info.isDirectory()) throw new UnusableFile(path, 'it is a folder')
  if (info.isSocket()) throw new UnusableFile(path, 'it is a socket')
  if (info.isBlockDevice()) throw new UnusableFile(path, 'it is a device')
  if (info.isFile() && info.size > maxBytes) throw tooLarge()
  return { isPipe: info.isFIFO() }
}

/** Bytes read into `chunk`; 0 at the end. */
async function readSome(file: FileHandle, chunk: Buffer, signal: AbortSignal | undefined): Promise<number> {
  for (;;) {
    if (signal?.aborted === true) throw interrupted(signal)
    try {
      return (await file.read(chunk, 0, chunk.length, null)).bytesRead
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN') throw error
      await systemClock.sleep(PIPE_PAUSE_MS, signal)
    }
  }
}

function sizeText(bytes: number): string {
  return bytes >= 1024 * 1024 ? `${bytes / 1024 / 1024} MiB` : `${bytes} bytes`
}

/** errno(3) in an operator's words. */
function reasonInWords(error: unknown): string {
  switch (codeOf(error)) {
    case 'EISDIR':
      return 'it is a folder'
    case 'EACCES':
    case 'EPERM':
      return 'your user may not read it'
    case 'ENAMETOOLONG':
      return 'its name is too long'
    case 'ELOOP':
      return 'its symbolic links form a loop'
    case 'ENXIO':
      return 'it is a socket, or a device that is not there'
    case undefined:
      return String(error)
    default:
      return error instanceof Error ? error.message : String(error)
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR'
}
