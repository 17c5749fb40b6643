/** Source of a secret -> its value. No error shows a value, the output of a command, or the command, whose words may contain a secret. */
import { isAbsolute, join } from 'node:path'
import { asHactlError, HactlError, UnusableFile } from '../errors.ts'
import { Secret } from '../secret.ts'
import type { SecretSource } from './inventory.ts'

const COMMAND_TIMEOUT_MS = 30_000
/** Status of a command that was stopped at its limit, as timeout(1) has it. */
const TIMED_OUT = 124
/** A password is short: a file with more than this is the wrong file. */
const MAX_BYTES = 4096
/** Bits of a file's mode that let users outside its owner and group read it. */
const WORLD_READABLE = 0o004

export interface SecretDeps {
  /** Which key of the inventory the secret is for; named in every error. */
  readonly key: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** The operator's home folder, for paths that begin with ~/. */
  readonly home: string
  /** The inventory's folder: where relative paths begin. */
  readonly baseDir: string
  /** undefined where there is no such file. */
  readonly readFile: (path: string) => Promise<Uint8Array | undefined>
  readonly localCommand: (
    argv: readonly string[],
    options: { timeoutMs: number },
  ) => Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>
  /** Permission bits of a file. Without this function there is no warning about a secret that all users may read. */
  readonly fileMode?: (path: string) => Promise<number | undefined>
  readonly warn?: (message: string) => void
}

/** The secret at a source. Throws E_SECRET where it cannot be read, is empty or has more than one line. */
export async function resolveSecret(source: SecretSource, deps: SecretDeps): Promise<Secret> {
  if ('env' in source) return checked(fromEnvironment(source.env, deps), deps)
  if ('file' in source) return checked(await fromFile(source.file, deps), deps)
  if ('command' in source) return checked(await fromCommand(source.command, deps), deps)
  return checked(source.literal, deps)
}

function refuse(deps: SecretDeps, what: string, fix: string, cause?: unknown): HactlError {
  return new HactlError({ code: 'E_SECRET', what: `${deps.key}: ${what}`, fix, ...(cause === undefined ? {} : { cause }) })
}

function fromEnvironment(name: string, deps: SecretDeps): string {
  const value = Object.hasOwn(deps.env, name) ? deps.env[name] : undefined
  if (value === undefined) throw refuse(deps, `the environment variable ${name} is not set`, `set it: read -rs ${name}; export ${name}`)
  return value
}

async function fromFile(file: string, deps: SecretDeps): Promise<string> {
  const path = absolutePath(file, deps)
  const bytes = await deps.readFile(path).catch((thrown: unknown) => {
    const error = asHactlError(thrown)
    if (error.code === 'E_INTERRUPTED') throw error
    const why = thrown instanceof UnusableFile ? `: ${thrown.reason}` : ''
    throw refuse(deps, `the file ${path} cannot be read${why}`, 'name a file that your user may read', thrown)
  })
  if (bytes === undefined)
    throw refuse(deps, `there is no file ${path}`, "write the secret into it; paths are relative to the inventory's folder")
  const mode = (await deps.fileMode?.(path)) ?? 0
  if ((mode & WORLD_READABLE) !== 0) deps.warn?.(`${deps.key}: everybody on this machine can read ${path}; run chmod 600 ${path}`)
  if (bytes.byteLength > MAX_BYTES)
    throw refuse(deps, `the file ${path} is larger than ${MAX_BYTES} bytes`, 'name the file that holds the secret alone')
  try {
    return withoutNewline(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw refuse(deps, `the file ${path} is not UTF-8 text`, 'write the secret into it as text')
  }
}

async function fromCommand(command: string, deps: SecretDeps): Promise<string> {
  const runByHand = 'run the command by hand: it must print the secret, and nothing else, and end with status 0'
  const result = await deps.localCommand(['sh', '-c', command], { timeoutMs: COMMAND_TIMEOUT_MS }).catch((thrown: unknown) => {
    const error = asHactlError(thrown)
    if (error.code === 'E_INTERRUPTED') throw error
    // No cause: the error of a failed command may quote its input or its output.
    throw refuse(deps, 'the command could not be run', runByHand)
  })
  if (result.code === TIMED_OUT) throw refuse(deps, `the command did not end within ${COMMAND_TIMEOUT_MS / 1000} s`, runByHand)
  if (result.code !== 0) throw refuse(deps, `the command ended with status ${result.code}`, runByHand)
  return withoutNewline(result.stdout)
}

function absolutePath(path: string, { home, baseDir }: SecretDeps): string {
  if (path.startsWith('~/')) return join(home, path.slice(2))
  return isAbsolute(path) ? path : join(baseDir, path)
}

function withoutNewline(text: string): string {
  return text.replace(/\r?\n$/, '')
}

function checked(value: string, deps: SecretDeps): Secret {
  if (value === '') throw refuse(deps, 'the secret is empty', 'put a value where the inventory looks for it')
  if (value.length > MAX_BYTES) throw refuse(deps, `the secret is longer than ${MAX_BYTES} characters`, 'give the password alone')
  if (/[\r\n]/.test(value)) throw refuse(deps, 'the secret has more than one line', 'give its first line alone: "pass show x | head -n 1"')
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001F\u007F]/.test(value)) throw refuse(deps, 'the secret holds a control character', 'give it as plain text')
  return new Secret(value)
}
