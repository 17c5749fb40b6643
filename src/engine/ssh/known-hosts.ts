/**
 * known_hosts as OpenSSH reads it (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). Pure: text in, verdict out.
 */
import { createHash, createHmac } from 'node:crypto'

/** One line of a known_hosts file. */
export interface KnownHost {
  readonly file: string
  /** 1-based. */
  readonly line: number
  readonly marker: 'none' | 'revoked' | 'cert-authority'
  /** The first field as written: patterns separated by commas, or |1|salt|hash. */
  readonly hosts: string
  /** "ssh-ed25519", "ssh-rsa", ... */
  readonly keyType: string
  /** The key in SSH wire format. */
  readonly key: Buffer
}

export type HostKeyVerdict =
  | { readonly kind: 'known'; readonly entry: KnownHost }
  /** The host is known with another key of the same type. */
  | { readonly kind: 'changed'; readonly entry: KnownHost }
  | { readonly kind: 'revoked'; readonly entry: KnownHost }
  /** The host is known, but only with keys of other types. */
  | { readonly kind: 'other-type'; readonly entry: KnownHost }
  /** authority: a @cert-authority line is the only one for this host. */
  | { readonly kind: 'unknown'; readonly authority: KnownHost | undefined }

/** The usable lines of one file, without comments and lines that OpenSSH would skip. */
export function parseKnownHosts(text: string, file: string): readonly KnownHost[] {
  const entries: KnownHost[] = []
  text.split('\n').forEach((line, index) => {
    const fields = line.trim().split(/[ \t]+/)
    const marker = fields[0] === '@revoked' ? 'revoked' : fields[0] === '@cert-authority' ? 'cert-authority' : 'none'
    const [hosts, keyType, base64] = marker === 'none' ? fields : fields.slice(1)
    if (hosts === undefined || keyType === undefined || base64 === undefined || /^[#@]/.test(hosts)) return
    const key = Buffer.from(base64, 'base64')
    if (keyTypeOf(key) !== keyType) return
    entries.push({ file, line: index + 1, marker, hosts, keyType, key })
  })
  return entries
}

/** The name under which a host's key is kept: "host" on port 22, "[host]:port" elsewhere. */
export function knownHostsName(host: string, port: number): string {
  const name = host.toLowerCase()
  return port === 22 ? name : `[${name}]:${port}`
}

/** The entries that speak about this name (as knownHostsName gives it). */
export function entriesFor(entries: readonly KnownHost[], name: string): readonly KnownHost[] {
  return entries.filter(entry => matchesHosts(entry.hosts, name))
}

/**
 * What is known about the key that a host offered. `names`: the host's name, then those to fall back to. A fallback counts only where the
 * first name has no key of this type, and cannot make it "changed" (sshconnect.c, check_host_key: "checking without port identifier").
 */
export function judgeHostKey(entries: readonly KnownHost[], names: readonly string[], offered: Buffer): HostKeyVerdict {
  const perName = names.map(name => entriesFor(entries, name))
  const all = perName.flat()
  const revoked = all.find(e => e.marker === 'revoked' && e.key.equals(offered))
  if (revoked !== undefined) return { kind: 'revoked', entry: revoked }
  const isSame = (e: KnownHost) => e.marker === 'none' && e.key.equals(offered)
  const own = (perName[0] ?? []).filter(e => e.marker === 'none')
  const same = own.find(isSame)
  if (same !== undefined) return { kind: 'known', entry: same }
  const changed = own.find(e => e.keyType === keyTypeOf(offered))
  if (changed !== undefined) return { kind: 'changed', entry: changed }
  const elsewhere = all.find(isSame)
  if (elsewhere !== undefined) return { kind: 'known', entry: elsewhere }
  const other = own[0]
  if (other !== undefined) return { kind: 'other-type', entry: other }
  return { kind: 'unknown', authority: all.find(e => e.marker === 'cert-authority') }
}

/** A line for a new key, hashed as ssh-keygen -H writes it where `salt` (20 random bytes) is given. */
export function renderKnownHost(name: string, key: Buffer, salt?: Buffer): string {
  const host = salt === undefined ? name : `|1|${salt.toString('base64')}|${hashOf(salt, name)}`
  return `${host} ${keyTypeOf(key)} ${key.toString('base64')}\n`
}

/** "SHA256:...", as ssh-keygen -l prints it. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`
}

/** The type that a key in wire format names itself (RFC 4253, 6.6); empty where it is malformed. */
export function keyTypeOf(key: Buffer): string {
  if (key.length < 4) return ''
  const length = key.readUInt32BE(0)
  return length > 64 ? '' : key.toString('latin1', 4, 4 + length)
}

function matchesHosts(hosts: string, name: string): boolean {
  if (hosts.startsWith('|')) {
    const [, version, salt, hash] = hosts.split('|')
    return version === '1' && salt !== undefined && hash !== undefined && hashOf(Buffer.from(salt, 'base64'), name) === hash
  }
  let matches = false
  for (const pattern of hosts.toLowerCase().split(',')) {
    const negated = pattern.startsWith('!')
    if (!matchesPattern(negated ? pattern.slice(1) : pattern, name)) continue
    if (negated) return false
    matches = true
  }
  return matches
}

function hashOf(salt: Buffer, name: string): string {
  return createHmac('sha1', salt).update(name).digest('base64')
}

// Patterns come from a file. No regular expression matches them, so that no pattern takes exponential time.
function matchesPattern(pattern: string, name: string): boolean {
  let p = 0
  let n = 0
  let star = -1
  let resume = 0
  while (n < name.length) {
    if (p < pattern.length && (pattern[p] === '?' || (pattern[p] === name[n] && pattern[p] !== '*'))) {
      p++
      n++
    } else if (pattern[p] === '*') {
      star = p++
      resume = n
    } else if (star >= 0) {
      p = star + 1
      n = ++resume
    } else return false
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}
