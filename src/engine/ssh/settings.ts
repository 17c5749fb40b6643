/** How to reach a host: what the inventory says, else what `ssh -G` says, else OpenSSH's defaults (ssh_config(5)). */
import { HactlError } from '../../errors.ts'
import type { ConnectTarget, LocalCommand } from '../../ports.ts'
import { settingName } from './setting-name.ts'

/** One SSH server on the way: the target itself, or a jump host, with every setting decided. */
export interface Hop {
  /** The operator's name for it. */
  readonly alias: string
  /** Name or address to connect to. */
  readonly host: string
  readonly port: number
  readonly user: string
  /** Absolute paths in the order to try; files that do not exist are normal. */
  readonly identityFiles: readonly string[]
  /** The identity file was named in the inventory: it comes before the agent's keys. */
  readonly identityIsExplicit: boolean
  readonly identitiesOnly: boolean
  /** Absolute paths of ssh_config's CertificateFile. */
  readonly certificateFiles: readonly string[]
  /** Socket of the agent. */
  readonly agent: string | undefined
  /** Absolute paths; the first is where new keys are added. */
  readonly userKnownHosts: readonly string[]
  readonly globalKnownHosts: readonly string[]
  readonly hostKeyAlias: string | undefined
  readonly hashKnownHosts: boolean
  /** 0: either. */
  readonly family: 0 | 4 | 6
}

export interface SettingsDeps {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly home: string
  /** Login name on the controller, where neither inventory nor ssh_config names a user. */
  readonly localUser: string
  readonly localCommand: LocalCommand
  /** The ssh_config to read instead of those that ssh finds by itself; undefined: ssh's choice. */
  readonly configFile?: string | undefined
  /** Called once where there is no ssh program to ask, so that ssh_config has no effect. */
  readonly onNoSsh?: (() => Promise<void>) | undefined
}

/** The keywords of ssh_config for one host; a keyword may have several values. */
type SshConfig = ReadonlyMap<string, readonly string[]>

// Chains of ProxyJump in ssh_config may loop.
const MAX_HOPS = 8

/** A function that finds the hops to a target, the target last. It asks `ssh -G` once per host, user and port. */
export function createSettings(deps: SettingsDeps): (target: ConnectTarget) => Promise<readonly Hop[]> {
  const cache = new Map<string, Promise<SshConfig>>()
  let told: Promise<void> | undefined
  const withoutSsh = async (): Promise<SshConfig> => {
    await (told ??= deps.onNoSsh?.())
    return new Map()
  }
  const configFor = (host: string, user: string | undefined, port: number | undefined, target: ConnectTarget) => {
    const key = JSON.stringify([host, user, port])
    const cached = cache.get(key)
    if (cached !== undefined) return cached
    const asked = askSsh(deps, withoutSsh, host, user, port, target)
    cache.set(key, asked)
    return asked
  }

  async function hopsTo(spec: JumpSpec, proxyJump: string | undefined, target: ConnectTarget, depth: number): Promise<readonly Hop[]> {
    if (depth > MAX_HOPS)
      throw invalid(target, `the way to ${target.host} has more than ${MAX_HOPS} jump hosts`, 'look for a loop in ProxyJump')
    const config = await configFor(spec.host, spec.user, spec.port, target)
    const jumps = jumpsOf(proxyJump, config, target)
    const before: Hop[] = []
    for (const [index, jump] of jumps.entries()) {
      // As with ssh -J, only the first jump host may itself be behind others. The rest are reached through those before them.
      const chain = await hopsTo(jump, index === 0 ? undefined : 'none', target, depth + 1)
      before.push(...chain)
    }
    return [...before, hopFor(spec, config, target, deps, depth > 0)]
  }

  return async target =>
    hopsTo(assertSpec({ host: target.host, user: target.user, port: target.port }, target), target.proxyJump, target, 0)
}

interface JumpSpec {
  readonly host: string
  readonly user: string | undefined
  readonly port: number | undefined
}

function jumpsOf(fromInventory: string | undefined, config: SshConfig, target: ConnectTarget): readonly JumpSpec[] {
  const text = fromInventory ?? first(config, 'proxyjump')
  if (text === undefined) {
    const command = first(config, 'proxycommand')
    if (command === undefined || command === 'none') return []
    throw invalid(
      target,
      'ssh_config reaches this host through a ProxyCommand, which hactl does not run',
      target.given === undefined
        ? `set ${settingName(target, 'ssh.proxy_jump')}, or ProxyJump in ssh_config`
        : 'set ProxyJump in ssh_config',
    )
  }
  if (text === 'none') return []
  return text.split(',').map(part => parseJump(part.trim(), target))
}

/** [user@]host[:port] or ssh://[user@]host[:port], IPv6 in brackets where a port follows. */
function parseJump(text: string, target: ConnectTarget): JumpSpec {
  const found = /^(?:ssh:\/\/)?(?:([^@]*)@)?(?:\[([^\]]+)\]|([^:]+)|([0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*))(?::(\d{1,5}))?$/.exec(
    text,
  )
  const host = found?.[2] ?? found?.[3] ?? found?.[4]
  if (host === undefined) throw invalid(target, `"${text}" is not a jump host`, 'write [user@]host[:port]')
  return assertSpec({ host, user: found?.[1], port: found?.[5] === undefined ? undefined : Number(found[5]) }, target)
}

// These words get into the argv of ssh and into messages to copy. OpenSSH refuses nearly the same (ssh.c, valid_hostname, valid_ruser).
function assertSpec(spec: JumpSpec, target: ConnectTarget): JumpSpec {
  if (!/^[A-Za-z0-9_:][A-Za-z0-9_.:%-]{0,252}$/.test(spec.host)) {
    throw invalid(target, `"${spec.host}" is not a host name or an address`, `correct ${settingName(target, 'host')}`)
  }
  if (spec.user !== undefined && !/^[A-Za-z0-9_.][A-Za-z0-9_.@+\\-]{0,127}\$?$/.test(spec.user)) {
    throw invalid(target, `"${spec.user}" is not a user name`, `correct ${settingName(target, 'ssh.user')}`)
  }
  if (spec.port !== undefined && (!Number.isInteger(spec.port) || spec.port < 1 || spec.port > 65_535)) {
    throw invalid(target, `${spec.port} is not a port`, `correct ${settingName(target, 'ssh.port')}`)
  }
  return spec
}

async function askSsh(
  { localCommand, configFile }: SettingsDeps,
  withoutSsh: () => Promise<SshConfig>,
  host: string,
  user: string | undefined,
  port: number | undefined,
  target: ConnectTarget,
): Promise<SshConfig> {
  const options: readonly (readonly [string, string | undefined])[] = [
    ['-F', configFile],
    ['-l', user],
    ['-p', port === undefined ? undefined : String(port)],
  ]
  const argv = ['ssh', '-G', ...options.flatMap(([flag, value]) => (value === undefined ? [] : [flag, value])), '--', host]
  let answer: Awaited<ReturnType<LocalCommand>>
  try {
    answer = await localCommand(argv, { timeoutMs: 10_000 })
  } catch (cause) {
    if (isMissing(cause)) return withoutSsh()
    throw configError(target, [String(cause)], cause)
  }
  // 127: a LocalCommand that reports a missing program as a shell does.
  if (answer.code === 127) return withoutSsh()
  if (answer.code !== 0) throw configError(target, answer.stderr.trim().split('\n').slice(-4))
  return parseSshConfig(answer.stdout)
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && (('code' in cause && cause.code === 'ENOENT') || isMissing(cause.cause))
}

function parseSshConfig(text: string): SshConfig {
  const config = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ')
    if (space < 1) continue
    const key = line.slice(0, space).toLowerCase()
    config.set(key, [...(config.get(key) ?? []), line.slice(space + 1).trim()])
  }
  return config
}

function hopFor(spec: JumpSpec, config: SshConfig, target: ConnectTarget, deps: SettingsDeps, isJump: boolean): Hop {
  const host = first(config, 'hostname') ?? spec.host
  const user = spec.user ?? first(config, 'user') ?? deps.localUser
  const port = spec.port ?? Number(first(config, 'port') ?? 22)
  const path = (text: string) => expandPath(text, deps, { h: host, n: spec.host, p: String(port), r: user })
  const paths = (key: string, fallback: string) =>
    (first(config, key) ?? fallback)
      .split(/\s+/)
      .filter(p => p !== '' && p !== 'none')
      .map(path)
  const defaults = ['~/.ssh/id_ed25519', '~/.ssh/id_ecdsa', '~/.ssh/id_rsa']
  const configured = (config.get('identityfile') ?? defaults).filter(p => p !== 'none').map(path)
  const family = first(config, 'addressfamily')
  return {
    alias: spec.host,
    host,
    port,
    user,
    // A jump host may need the key that ssh_config names for it.
    identityFiles: target.identityFile === undefined ? configured : [target.identityFile, ...(isJump ? configured : [])],
    identityIsExplicit: target.identityFile !== undefined,
    identitiesOnly: first(config, 'identitiesonly') === 'yes',
    certificateFiles: (config.get('certificatefile') ?? []).filter(p => p !== 'none').map(path),
    agent: agentOf(first(config, 'identityagent'), path, deps.env),
    // A file that keeps nothing (/dev/null) cannot be used: every key would be new each time, and no changed key would be noticed.
    userKnownHosts: (target.knownHosts === undefined ? paths('userknownhostsfile', '~/.ssh/known_hosts') : [target.knownHosts]).filter(
      path => path !== '/dev/null',
    ),
    globalKnownHosts: paths('globalknownhostsfile', '/etc/ssh/ssh_known_hosts'),
    hostKeyAlias: first(config, 'hostkeyalias'),
    hashKnownHosts: first(config, 'hashknownhosts') === 'yes',
    family: family === 'inet' ? 4 : family === 'inet6' ? 6 : 0,
  }
}

/** The command by which an operator reaches the same host; `options`: more of ssh's. */
export function sshCommand(hop: Hop, via: readonly Hop[], options: readonly string[] = []): string {
  const jumps = via.map(({ user, host, port }) => `${user}@${host.includes(':') ? `[${host}]` : host}${port === 22 ? '' : `:${port}`}`)
  const words = [
    ...(jumps.length === 0 ? [] : ['-J', jumps.join(',')]),
    ...(hop.port === 22 ? [] : ['-p', String(hop.port)]),
    ...options,
    `${hop.user}@${hop.host}`,
  ]
  return `ssh ${words.join(' ')}`
}

function agentOf(setting: string | undefined, path: (text: string) => string, env: SettingsDeps['env']): string | undefined {
  if (setting === 'none') return undefined
  if (setting === undefined || setting === 'SSH_AUTH_SOCK') return env['SSH_AUTH_SOCK'] || undefined
  return setting.startsWith('$') && !setting.startsWith('${') ? env[setting.slice(1)] || undefined : path(setting)
}

/** ~, ${ENV} and the %-tokens that make sense in a path (ssh_config(5), TOKENS). */
function expandPath(text: string, deps: SettingsDeps, tokens: Readonly<Record<string, string>>): string {
  const known: Readonly<Record<string, string>> = { ...tokens, d: deps.home, u: deps.localUser, '%': '%' }
  return text
    .replace(/^"(.*)"$/, '$1')
    .replace(/^~(?=\/|$)/, () => deps.home)
    .replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_, name: string) => deps.env[name] ?? '')
    .replace(/%([%a-zA-Z])/g, (whole, token: string) => known[token] ?? whole)
}

function first(config: SshConfig, key: string): string | undefined {
  return config.get(key)?.[0]
}

function invalid(target: ConnectTarget, what: string, fix: string): HactlError {
  return new HactlError({ code: 'E_SSH_CONFIG', server: target.server, what, fix })
}

function configError(target: ConnectTarget, why: readonly string[], cause?: unknown): HactlError {
  return new HactlError({
    code: 'E_SSH_CONFIG',
    server: target.server,
    what: `ssh cannot say how to reach ${target.host}`,
    why,
    fix: `run: ssh -G ${target.host}, and correct what it complains about in ssh_config`,
    cause,
  })
}
