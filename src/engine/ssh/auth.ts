/** Which keys to offer to a host, in which order, and what became of each. Keys come from files and from an agent. */
import ssh2 from 'ssh2'
import type { AnyAuthMethod, AuthHandlerMiddleware, OpenSSHAgent, ParsedKey } from 'ssh2'
import { UnusableFile } from '../../errors.ts'
import type { AskPassphrase, Files } from '../../ports.ts'
import { listAgentKeys, unusableKind } from './agent-list.ts'
import { keyTypeOf } from './known-hosts.ts'
import type { Hop } from './settings.ts'

const { utils } = ssh2

export interface AuthDeps {
  readonly files: Files
  /** Shown as ~ in messages. */
  readonly home: string
}

/** How many passphrases a connection attempt may ask for. */
interface Unlocking {
  /** undefined: there is no operator to ask. */
  readonly ask: AskPassphrase | undefined
  /** How many encrypted keys may be asked for, in the order of their files, where no other key let hactl in. */
  readonly keys: number
}

/** The offers for one connection attempt, and their record for messages. */
export interface AuthPlan {
  readonly handler: AuthHandlerMiddleware
  /** What was offered so far: "~/.ssh/id_ed25519", "2 keys from the agent". */
  tried(): readonly string[]
  /** Keys that could not be offered, each with its reason. */
  readonly skipped: readonly string[]
  /** Ways to log in that the server named in its last answer; undefined while it named none. */
  wanted(): readonly string[] | undefined
  /** Whether the server accepted a key, and then asked for something more. */
  wantsMore(): boolean
  /** Agent keys (base64 of the wire format) that the agent would not sign with. */
  readonly unsigned: ReadonlySet<string>
  /** Encrypted keys that were not offered, as in messages. */
  readonly encrypted: readonly string[]
  /** Whether one of those could still be asked for. */
  readonly canUnlockMore: boolean
}

export type KeyRing = (hop: Hop, refusedByAgent: ReadonlySet<string>, unlocking: Unlocking) => Promise<AuthPlan>

/** A key file, as far as it can be used. */
type KeyFile =
  | { readonly kind: 'usable'; readonly path: string; readonly key: ParsedKey }
  /** Only an agent can sign with it: encrypted, or only its public half is here. */
  | { readonly kind: 'locked'; readonly path: string; readonly publicKey: Buffer | undefined; readonly text: string | undefined }
  | { readonly kind: 'unusable'; readonly path: string; readonly reason: string }
  | { readonly kind: 'absent'; readonly path: string }

type Unlocked =
  | { readonly kind: 'key'; readonly key: ParsedKey }
  /** The operator typed nothing, which ssh also takes for "not this key". */
  | { readonly kind: 'declined' }
  | { readonly kind: 'wrong' }

/** OpenSSH's default (ssh_config(5), NumberOfPasswordPrompts). */
const PASSPHRASE_TRIES = 3

type Offer =
  | { readonly kind: 'file'; readonly label: string; readonly key: ParsedKey }
  | { readonly kind: 'agent'; readonly agent: OpenSSHAgent; readonly count: number }

/** Reads each key file once for all servers: parsing is cheap, unlocking one is not (bcrypt in JavaScript, 0.4 s). */
export function createKeyRing(deps: AuthDeps): KeyRing {
  const cache = new Map<string, Promise<KeyFile>>()
  const unlocked = new Map<string, Promise<Unlocked>>()
  const remembered = <T>(map: Map<string, Promise<T>>, path: string, make: () => Promise<T>): Promise<T> => {
    const known = map.get(path) ?? make()
    map.set(path, known)
    return known
  }

  return async (hop, refusedByAgent, unlocking) => {
    const [agentKeys, files, certificates] = await Promise.all([
      listAgentKeys(hop.agent),
      Promise.all(hop.identityFiles.map(path => remembered(cache, path, () => readKeyFile(path, deps.files)))),
      certificatesOf(hop, deps.files),
    ])
    const skipped: string[] = []
    if (typeof agentKeys === 'string') skipped.push(agentKeys)
    else for (const type of agentKeys.others) skipped.push(`${type} from the agent, ${unusableKind(type) ?? 'which hactl cannot use'}`)
    for (const path of certificates) skipped.push(`${tilde(path, deps.home)}, ${unusableKind('-cert-')}`)
    const inAgent = (typeof agentKeys === 'string' ? [] : agentKeys.usable).filter(key => !refusedByAgent.has(idOf(key.getPublicSSH())))
    for (const id of refusedByAgent) skipped.push(`the agent would not sign with its key ${shortId(id)}`)
    const unsigned = new Set<string>()
    const offers: Offer[] = []
    const left = new Map(inAgent.map(key => [idOf(key.getPublicSSH()), key]))
    const take = (publicKey: Buffer | undefined): ParsedKey[] => {
      const key = publicKey === undefined ? undefined : left.get(idOf(publicKey))
      if (key !== undefined) left.delete(idOf(key.getPublicSSH()))
      return key === undefined ? [] : [key]
    }
    const offerFromAgent = (keys: readonly ParsedKey[]) => {
      if (hop.agent !== undefined && keys.length > 0)
        offers.push({ kind: 'agent', agent: agentWith(hop.agent, keys, unsigned), count: keys.length })
    }

    const explicit = hop.identityIsExplicit ? files[0] : undefined
    if (explicit?.kind === 'usable') {
      take(explicit.key.getPublicSSH())
      offers.push({ kind: 'file', label: tilde(explicit.path, deps.home), key: explicit.key })
    }
    const matching = files.flatMap(file => {
      if (file.kind === 'locked') return take(file.publicKey)
      return file.kind === 'usable' ? take(file.key.getPublicSSH()) : []
    })
    const encrypted: string[] = []
    let asksLeft = unlocking.keys
    let canUnlockMore = false
    const unlock = (file: KeyFile & { kind: 'locked' }): Promise<Unlocked> | undefined => {
      const { ask } = unlocking
      const { text } = file
      if (ask === undefined || text === undefined) return undefined
      if (asksLeft > 0) {
        asksLeft -= 1
        return remembered(unlocked, file.path, () => askFor(file.path, text, ask))
      }
      if (!unlocked.has(file.path)) canUnlockMore = true
      return unlocked.get(file.path)
    }
    const held = new Set(matching.map(key => idOf(key.getPublicSSH())))
    offerFromAgent([...matching, ...(hop.identitiesOnly ? [] : left.values())])
    for (const file of files) {
      const name = tilde(file.path, deps.home)
      switch (file.kind) {
        case 'usable':
          if (file !== explicit && !held.has(idOf(file.key.getPublicSSH()))) offers.push({ kind: 'file', label: name, key: file.key })
          break
        case 'locked': {
          if (file.publicKey !== undefined && held.has(idOf(file.publicKey))) break
          const answer = await unlock(file)
          if (answer?.kind === 'key') {
            offers.push({ kind: 'file', label: name, key: answer.key })
            break
          }
          if (file.text !== undefined) encrypted.push(name)
          skipped.push(answer?.kind === 'wrong' ? `${name}: its passphrase was wrong ${PASSPHRASE_TRIES} times` : lockedReason(name, file))
          break
        }
        case 'unusable':
          skipped.push(`${name} ${file.reason}`)
          break
        case 'absent':
          if (file === explicit) skipped.push(`${name} does not exist`)
          break
      }
    }
    return { ...planOf(offers, hop.user), skipped, unsigned, encrypted, canUnlockMore }
  }
}

function planOf(offers: readonly Offer[], username: string): Pick<AuthPlan, 'handler' | 'tried' | 'wanted' | 'wantsMore'> {
  const tried: string[] = []
  let at = 0
  let wanted: readonly string[] | undefined
  let wantsMore = false
  const handler: AuthHandlerMiddleware = (methodsLeft: readonly string[] | null, partial: boolean | null, answer) => {
    // ssh2 takes false for "no more", whatever its types say.
    const next = answer as (method: AnyAuthMethod | false) => void
    if (methodsLeft !== null) wanted = methodsLeft
    if (partial === true) wantsMore = true
    const offer = offers[at++]
    // A server may let the user in without any key: some authenticate by the network alone.
    if (offer === undefined) return next(offers.length === 0 && at === 1 ? { type: 'none', username } : false)
    if (methodsLeft !== null && !methodsLeft.includes('publickey')) return next(false)
    switch (offer.kind) {
      case 'file':
        tried.push(offer.label)
        return next({ type: 'publickey', username, key: offer.key })
      case 'agent':
        tried.push(`${offer.count} ${offer.count === 1 ? 'key' : 'keys'} from the agent`)
        return next({ type: 'agent', username, agent: offer.agent })
    }
  }
  return { handler, tried: () => tried, wanted: () => wanted, wantsMore: () => wantsMore }
}

/** The agent with only these keys, in this order. It notes the keys that it refuses to sign with. */
function agentWith(socket: string, keys: readonly ParsedKey[], unsigned: Set<string>): OpenSSHAgent {
  const real = new ssh2.OpenSSHAgent(socket)
  const agent = new ssh2.OpenSSHAgent(socket)
  agent.getIdentities = callback => callback(undefined, [...keys])
  agent.sign = ((
    publicKey: ParsedKey,
    data: Buffer,
    options: { hash?: 'sha256' | 'sha512' },
    callback: (e?: Error, s?: Buffer) => void,
  ) => {
    real.sign(publicKey, data, options, (error?: Error | null, signature?: Buffer) => {
      if (error) unsigned.add(idOf(publicKey.getPublicSSH()))
      callback(error ?? undefined, signature)
    })
  }) as OpenSSHAgent['sign']
  return agent
}

async function readKeyFile(path: string, files: Files): Promise<KeyFile> {
  let bytes: Buffer | undefined
  try {
    bytes = await files.read(path)
  } catch (cause) {
    return { kind: 'unusable', path, reason: `cannot be read (${cause instanceof UnusableFile ? cause.reason : String(cause)})` }
  }
  if (bytes === undefined) {
    // The private half may be in an agent or a token only. Then <path>.pub names the key.
    const publicKey = await readPublic(`${path}.pub`, files)
    return publicKey === undefined ? { kind: 'absent', path } : { kind: 'locked', path, publicKey, text: undefined }
  }
  const text = bytes.toString('utf8')
  const key = utils.parseKey(text)
  if (!(key instanceof Error)) {
    return key.isPrivateKey() ? { kind: 'usable', path, key } : { kind: 'locked', path, publicKey: key.getPublicSSH(), text: undefined }
  }
  if (/no passphrase given/.test(key.message)) {
    return { kind: 'locked', path, publicKey: publicPartOf(text) ?? (await readPublic(`${path}.pub`, files)), text }
  }
  const kind = unusableKind(keyTypeOf(publicPartOf(text) ?? Buffer.alloc(0)))
  return {
    kind: 'unusable',
    path,
    reason:
      kind !== undefined ? `is ${kind}` : /key type/.test(key.message) ? 'is of a type that hactl cannot use' : 'is not a private key',
  }
}

/** Certificates beside the keys or named in ssh_config. With them ssh may log in where hactl cannot. */
async function certificatesOf(hop: Hop, files: Files): Promise<readonly string[]> {
  const paths = [...new Set([...hop.certificateFiles, ...hop.identityFiles.map(path => `${path}-cert.pub`)])]
  const there = await Promise.all(paths.map(path => files.exists(path).catch(() => false)))
  return paths.filter((_, index) => there[index])
}

async function readPublic(path: string, files: Files): Promise<Buffer | undefined> {
  const bytes = await files.read(path).catch(() => undefined)
  const key = bytes === undefined ? undefined : utils.parseKey(bytes.toString('utf8'))
  return key === undefined || key instanceof Error ? undefined : key.getPublicSSH()
}

/** OpenSSH's own key format keeps the public half in clear text (PROTOCOL.key in its sources). */
function publicPartOf(text: string): Buffer | undefined {
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END/.exec(text)?.[1]
  if (body === undefined) return undefined
  const blob = Buffer.from(body, 'base64')
  let at = 'openssh-key-v1\0'.length
  const string = (): Buffer => {
    const length = blob.readUInt32BE(at)
    const value = blob.subarray(at + 4, at + 4 + length)
    at += 4 + length
    return value
  }
  try {
    // Cipher name, key derivation and its options, then the number of keys.
    for (let i = 0; i < 3; i++) string()
    at += 4
    return string()
  } catch {
    return undefined
  }
}

async function askFor(path: string, text: string, ask: AskPassphrase): Promise<Unlocked> {
  for (let attempt = 0; attempt < PASSPHRASE_TRIES; attempt++) {
    const passphrase = await ask(path, attempt > 0)
    if (passphrase === undefined) return { kind: 'declined' }
    const key = utils.parseKey(text, passphrase.reveal())
    if (!(key instanceof Error)) return { kind: 'key', key }
  }
  return { kind: 'wrong' }
}

function lockedReason(name: string, { text }: KeyFile & { kind: 'locked' }): string {
  return text === undefined
    ? `${name}: only its public half is here, and no agent holds it`
    : `${name} is encrypted, and no agent holds it: ssh-add ${name}`
}

export function tilde(path: string, home: string): string {
  return path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path
}

function idOf(publicKey: Buffer): string {
  return publicKey.toString('base64')
}

function shortId(id: string): string {
  return `...${id.slice(-12)}`
}
