/** Whether a host is the known one: reads known_hosts for one hop, judges the key that it offers, and records a new one where allowed. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { ServerHostKeyAlgorithm } from 'ssh2'
import { HactlError } from '../../errors.ts'
import type { ConnectTarget, Files } from '../../ports.ts'
import { tilde } from './auth.ts'
import type { HostKeyVerdict, KnownHost } from './known-hosts.ts'
import { entriesFor, fingerprint, judgeHostKey, keyTypeOf, knownHostsName, parseKnownHosts, renderKnownHost } from './known-hosts.ts'
import { type Hop, sshCommand } from './settings.ts'

/** The check for one connection. */
export interface HostKeyCheck {
  /** The key types to ask the host for. Known types come first, or every known host would look changed. */
  readonly algorithms: ServerHostKeyAlgorithm[]
  /** Whether to go on. `refusal` keeps the reason of a refusal. */
  accepts(key: Buffer): boolean
  /** Why `accepts` said no. */
  refusal(): HactlError | undefined
  /** Appends a key that accept-new let in to known_hosts. Called when the host has proved that it holds the key. */
  record(): Promise<void>
}

// hactl does not ask for SHA-1 signatures (ssh-rsa), and neither does OpenSSH since 8.8.
const ALGORITHMS: readonly { readonly keyType: string; readonly algorithm: ServerHostKeyAlgorithm }[] = [
  { keyType: 'ssh-ed25519', algorithm: 'ssh-ed25519' },
  { keyType: 'ecdsa-sha2-nistp256', algorithm: 'ecdsa-sha2-nistp256' },
  { keyType: 'ecdsa-sha2-nistp384', algorithm: 'ecdsa-sha2-nistp384' },
  { keyType: 'ecdsa-sha2-nistp521', algorithm: 'ecdsa-sha2-nistp521' },
  { keyType: 'ssh-rsa', algorithm: 'rsa-sha2-512' },
  { keyType: 'ssh-rsa', algorithm: 'rsa-sha2-256' },
]

// Two connections to the same new host must not append its key twice.
const appending = new Map<string, Promise<void>>()

/** Reads the hop's known_hosts files; `via`: the hops before it. Throws E_SSH_HOST_KEY where one cannot be read. */
export async function loadHostKeyCheck(
  hop: Hop,
  via: readonly Hop[],
  target: ConnectTarget,
  files: Files,
  home: string,
): Promise<HostKeyCheck> {
  const paths = [...hop.userKnownHosts, ...hop.globalKnownHosts]
  const entries = (await Promise.all(paths.map(path => readEntries(path, target, files)))).flat()
  const names = hop.hostKeyAlias === undefined ? namesOf(hop) : [hop.hostKeyAlias.toLowerCase()]
  const known = new Set(names.flatMap(name => entriesFor(entries, name)).map(e => (e.marker === 'none' ? e.keyType : '')))
  const algorithms = [...ALGORITHMS].sort((a, b) => Number(known.has(b.keyType)) - Number(known.has(a.keyType))).map(a => a.algorithm)
  let refused: HactlError | undefined
  let fresh: Buffer | undefined
  let accepted: Buffer | undefined

  return {
    algorithms,
    accepts(key) {
      // A key that is exchanged again within a connection must stay the same one.
      if (accepted !== undefined) return accepted.equals(key)
      const verdict = judgeHostKey(entries, names, key)
      const isNew = verdict.kind === 'unknown' && target.hostKeyChecking === 'accept-new' && hop.userKnownHosts.length > 0
      if (verdict.kind !== 'known' && !isNew) {
        refused = refusalOf(verdict, key, names[0] ?? hop.host, hop, via, target, home)
        return false
      }
      if (isNew) fresh = key
      accepted = key
      return true
    },
    refusal: () => refused,
    async record() {
      const path = hop.userKnownHosts[0]
      const key = fresh
      if (key === undefined || path === undefined) return
      fresh = undefined
      const turn = (appending.get(path) ?? Promise.resolve()).then(() => append(path, names, key, hop.hashKnownHosts, target, files))
      // The next in line waits until this one has ended, whether it succeeds or not.
      appending.set(
        path,
        turn.catch(() => undefined),
      )
      await turn
    },
  }
}

function namesOf(hop: Hop): readonly string[] {
  const name = knownHostsName(hop.host, hop.port)
  return hop.port === 22 ? [name] : [name, hop.host.toLowerCase()]
}

async function readEntries(path: string, target: ConnectTarget, files: Files): Promise<readonly KnownHost[]> {
  try {
    const bytes = await files.read(path)
    return bytes === undefined ? [] : parseKnownHosts(bytes.toString('utf8'), path)
  } catch (cause) {
    throw new HactlError({
      code: 'E_SSH_HOST_KEY',
      server: target.server,
      what: `${path} cannot be read, so no host key can be checked`,
      why: [cause instanceof Error ? cause.message : String(cause)],
      fix: `make ${path} readable for your user`,
      cause,
    })
  }
}

async function append(
  path: string,
  names: readonly string[],
  key: Buffer,
  hash: boolean,
  target: ConnectTarget,
  files: Files,
): Promise<void> {
  const before = await readEntries(path, target, files)
  if (judgeHostKey(before, names, key).kind === 'known') return
  try {
    await makeFolders(dirname(path))
    const last = (await files.read(path))?.at(-1)
    const line = renderKnownHost(names[0] ?? '', key, hash ? randomBytes(20) : undefined)
    const file = await open(path, 'a', 0o600)
    try {
      // One write, so that another program that appends at the same time cannot cut it in two.
      await file.appendFile(last === undefined || last === 0x0a ? line : `\n${line}`)
    } finally {
      await file.close()
    }
  } catch (cause) {
    throw new HactlError({
      code: 'E_SSH_HOST_KEY',
      server: target.server,
      what: `the new host key of ${names[0]} cannot be written to ${path}`,
      why: [String(cause)],
      fix: `make ${path} writable, or add the key by hand: ssh-keyscan`,
      cause,
    })
  }
}

// mkdir's own recursion never ends in a folder where no other can be made (/proc, the root of an automounter).
async function makeFolders(path: string): Promise<void> {
  if (existsSync(path)) return
  await makeFolders(dirname(path))
  await mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
    if (!existsSync(path)) throw error
  })
}

function refusalOf(
  verdict: Exclude<HostKeyVerdict, { kind: 'known' }>,
  key: Buffer,
  name: string,
  hop: Hop,
  via: readonly Hop[],
  target: ConnectTarget,
  home: string,
): HactlError {
  const offered = `${keyTypeOf(key)} ${fingerprint(key)}`
  const file = tilde(hop.userKnownHosts[0] ?? '~/.ssh/known_hosts', home)
  const place = (entry: KnownHost) => `${tilde(entry.file, home)}:${entry.line}`
  const make = (what: string, why: readonly string[], fix: string) =>
    new HactlError({ code: 'E_SSH_HOST_KEY', server: target.server, what, why, fix })
  const renamed = hop.hostKeyAlias === undefined ? '' : `| sed 's/^[^ ]*/${name}/' `
  const scan = `ssh-keyscan ${hop.port === 22 ? '' : `-p ${hop.port} `}${hop.host} ${renamed}>> ${file}`
  // ssh-keyscan goes through no jump host.
  const options = ['-o', `UserKnownHostsFile=${file}`, ...(hop.hostKeyAlias === undefined ? [] : ['-o', `HostKeyAlias=${name}`])]
  const ask = sshCommand(hop, via, options)
  const forget = (entry: KnownHost) => `ssh-keygen -R '${name}' -f ${tilde(entry.file, home)}`
  switch (verdict.kind) {
    case 'changed':
      return make(
        `the host key of ${name} has changed`,
        [
          `known    ${verdict.entry.keyType} ${fingerprint(verdict.entry.key)} (${place(verdict.entry)})`,
          `offered  ${offered}`,
          'either the server was reinstalled, or somebody intercepts the connection',
        ],
        `compare the offered fingerprint with the server's console; if it is right: ${forget(verdict.entry)}, then ${via.length === 0 ? scan : ask}`,
      )
    case 'other-type':
      return make(
        `the host key of ${name} is of a type that is not known for it`,
        [`known    ${verdict.entry.keyType} ${fingerprint(verdict.entry.key)} (${place(verdict.entry)})`, `offered  ${offered}`],
        `compare the offered fingerprint with the server's console; if it is right: ${via.length === 0 ? scan : `${ask} -o HostKeyAlgorithms=${keyTypeOf(key)}`}`,
      )
    case 'revoked':
      return make(
        `the host key of ${name} is marked as revoked`,
        [`revoked at ${place(verdict.entry)}`, `offered  ${offered}`],
        'do not connect: give the server a new host key, or find out who answers at this address',
      )
    case 'unknown':
      return make(
        `the host key of ${name} is not known`,
        [
          `offered  ${offered}`,
          `looked in ${[...hop.userKnownHosts, ...hop.globalKnownHosts].map(p => tilde(p, home)).join(', ')}`,
          ...(verdict.authority === undefined
            ? []
            : [`${place(verdict.authority)} names a certificate authority for it, but hactl cannot check host certificates`]),
        ],
        hop.userKnownHosts.length === 0
          ? `no file keeps keys of your own here (UserKnownHostsFile in ssh_config): ${target.given === undefined ? `set ${target.inventoryPath}.ssh.known_hosts to one` : 'name one that has it: --known-hosts'}`
          : `${via.length === 0 ? `${scan}, and compare its fingerprint` : `${ask}, and compare the fingerprint that it asks about`} with the server's console; or ${target.given === undefined ? `set ${target.inventoryPath}.ssh.host_key_checking: accept-new` : 'name a file that has it: --known-hosts'}`,
      )
  }
}
