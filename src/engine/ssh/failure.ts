/** What ssh2, the network and sudo say, as errors in the operator's words. They are classified here and nowhere else. */
import type { ErrorCode } from '../../errors.ts'
import { HactlError } from '../../errors.ts'
import { LONGEST_TIMEOUT_MS, TIMEOUT_MS } from '../../patience.ts'
import type { ConnectTarget } from '../../ports.ts'
import type { AuthPlan } from './auth.ts'
import { judgeSudo, noiseOf } from './become.ts'
import type { ExecOutcome } from './exec.ts'
import { type Hop, sshCommand } from './settings.ts'
import { settingName } from './setting-name.ts'

/** Why a connection attempt ended before ssh2 had an opinion. */
export class ConnectTimeout extends Error {
  constructor(stage: string) {
    super(`no answer while ${stage}`)
    this.name = 'ConnectTimeout'
  }
}

/** The server accepted the key, or was about to, and closed the connection: this is how sshd acts where PAM refuses the user. */
export class LoginClosed extends Error {
  /** What it said before, for users to read. */
  readonly banner: string

  constructor(banner: string, cause: unknown) {
    super('the connection was closed during the login', { cause })
    this.name = 'LoginClosed'
    this.banner = banner
  }
}

export interface ConnectFailure {
  readonly target: ConnectTarget
  /** Where it failed: the target or a jump host. */
  readonly hop: Hop
  /** The jump hosts before it, first hop first. */
  readonly before: readonly Hop[]
  readonly isJump: boolean
  /** Address and port as far as known. */
  readonly peer: string
  readonly plan: AuthPlan | undefined
  readonly cause: unknown
}

/** The error for a connection that failed. host-key.ts explains what is wrong with a host key. */
export function connectError(failure: ConnectFailure): HactlError {
  const { cause } = failure
  if (cause instanceof HactlError) return cause
  if (cause instanceof LoginClosed) return loginClosed(failure, cause)
  const level = levelOf(cause)
  // 2: SSH_DISCONNECT_PROTOCOL_ERROR, with which sshd ends a connection that has offered MaxAuthTries keys.
  if (level === 'client-authentication' || level === 'agent' || codeOf(cause) === 2) return authError(failure)
  return unreachable(failure)
}

function loginClosed({ target, hop, isJump, peer, plan }: ConnectFailure, cause: LoginClosed): HactlError {
  return new HactlError({
    code: 'E_SSH_AUTH',
    server: target.server,
    what: `${isJump ? `jump host ${hop.alias}` : 'the server'} closed the connection when user "${hop.user}" logged in`,
    why: [`tried ${listed(plan?.tried() ?? [])} (${peer})`, ...tailLines(cause.banner).map(line => `the server said: ${line.trim()}`)],
    fix: 'look at the log of its sshd (journalctl -u ssh): the account may be locked or expired, or /run/nologin exists because the server is booting',
    cause,
  })
}

function authError({ target, hop, isJump, peer, plan, cause }: ConnectFailure): HactlError {
  const tried = plan?.tried() ?? []
  const skipped = plan?.skipped ?? []
  const wanted = plan?.wanted()
  const who = `user "${hop.user}"${isJump ? ` on jump host ${hop.alias}` : ''}`
  const why = [
    tried.length > 0 ? `tried ${listed(tried)} (${peer})` : `there is no usable key (${peer})`,
    ...skipped.map(s => `not tried: ${s}`),
  ]
  if (wanted !== undefined && !wanted.includes('publickey') && plan?.wantsMore() !== true)
    why.push(`the server lets users in by ${listed(wanted)} only; hactl uses keys`)
  if (codeOf(cause) === 2) why.push(`the server stopped listening: ${textOf(cause)}`)
  const port = hop.port === 22 ? '' : `-p ${hop.port} `
  if (plan?.wantsMore() === true) {
    return new HactlError({
      code: 'E_SSH_AUTH',
      server: target.server,
      what: `a key alone does not let ${who} in: the server wants ${listed(wanted ?? [])} as well`,
      why,
      fix: `let this user in by key alone: AuthenticationMethods publickey in sshd_config, under Match User ${hop.user}`,
      cause,
    })
  }
  const [locked] = plan?.encrypted ?? []
  const unlock = locked === undefined ? [] : [`ssh-add ${locked} (without an agent: eval "$(ssh-agent)" first)`]
  const install = [
    `ssh-copy-id ${port}${hop.user}@${hop.host}`,
    `set ${settingName(target, 'ssh.identity_file')}${target.given === undefined ? ' in inventory.yml' : ''}`,
  ]
  return new HactlError({
    code: 'E_SSH_AUTH',
    server: target.server,
    what: tried.length > 0 ? `the server refused every key offered for ${who}` : `there is no key to offer for ${who}`,
    why,
    // A key that only waits for its passphrase is the more likely cause.
    fix: [...unlock, ...install].join(', or '),
    cause,
  })
}

/** What an OpenSSH jump host says where it could not connect onwards, as the error of the system call (sshd's channels.c: strerror). */
const ONWARD: Readonly<Record<string, string>> = {
  'Connection refused': 'ECONNREFUSED',
  'No route to host': 'EHOSTUNREACH',
  'Network is unreachable': 'ENETUNREACH',
  'Connection timed out': 'ETIMEDOUT',
  'Name or service not known': 'ENOTFOUND',
  'Temporary failure in name resolution': 'EAI_AGAIN',
}
/** What ssh2 knows of each kind, the newest of each. */
const OLDER_ALGORITHMS = 'curve25519-sha256 in KexAlgorithms, aes256-gcm@openssh.com in Ciphers, hmac-sha2-256-etm@openssh.com in MACs'
/** RFC 4254, 5.1: SSH_OPEN_ADMINISTRATIVELY_PROHIBITED. */
const PROHIBITED = 1

function unreachable({ target, hop, before, isJump, peer, cause }: ConnectFailure): HactlError {
  const onward = before.length > 0 && cause instanceof Error ? /Channel open failure: (.*)/.exec(cause.message)?.[1] : undefined
  const code = (onward === undefined ? undefined : ONWARD[onward]) ?? codeOf(cause)
  const last = before.at(-1)
  const checks: Readonly<Record<string, readonly [what: string, fix: string]>> = {
    ECONNREFUSED: [
      'nothing listens there',
      `check that sshd runs and listens on port ${hop.port}${isJump ? ' there' : ` (${settingName(target, 'ssh.port')})`}, and the firewall`,
    ],
    ENOTFOUND: [`the name ${hop.host} does not resolve`, `check ${isJump ? 'the jump host' : settingName(target, 'host')} and your DNS`],
    EAI_AGAIN: [`the name ${hop.host} does not resolve just now`, 'check your DNS'],
    EHOSTUNREACH: ['there is no route to that host', 'check that the server is up, and the routes in between'],
    ENETUNREACH: ['there is no route to that network', 'check the routes and the VPN of this machine'],
    ECONNRESET: ['the connection was cut before a login', 'check sshd on the server: MaxStartups, and its log'],
  }
  const timedOut = cause instanceof ConnectTimeout || code === 'ETIMEDOUT' || levelOf(cause) === 'client-timeout'
  const algorithms = /no matching (.+)/.exec(textOf(cause))?.[1]
  const [reason, fix] =
    onward !== undefined && cause instanceof Error && 'reason' in cause && cause.reason === PROHIBITED
      ? [
          'it does not forward this connection',
          'allow it: AllowTcpForwarding, and PermitOpen if it is set, in sshd_config of the jump host',
        ]
      : algorithms !== undefined
        ? [`the server and hactl have no ${algorithms} in common`, `let its sshd_config allow an older one as well: ${OLDER_ALGORITHMS}`]
        : typeof code === 'string' && checks[code] !== undefined
          ? checks[code]
          : timedOut
            ? [textOf(cause), `check that the server is up and that no firewall drops port ${hop.port}; --timeout allows more time`]
            : [textOf(cause), `run: ${sshCommand(hop, before)}, and see what it says`]
  return new HactlError({
    code: 'E_SSH_UNREACHABLE',
    server: target.server,
    what: `${isJump ? `jump host ${peer}` : peer} cannot be reached`,
    why: [onward === undefined || last === undefined ? reason : `jump host ${last.alias}: ${reason}`],
    fix,
    cause,
  })
}

/** The time for connecting was over before hactl knew where to connect. */
export function settingsTimeout(target: ConnectTarget, cause: ConnectTimeout): HactlError {
  return new HactlError({
    code: 'E_SSH_CONFIG',
    server: target.server,
    what: `ssh -G ${target.host} did not answer in time`,
    why: [cause.message],
    fix: 'look for a slow "Match exec" in ssh_config; --timeout allows more time',
    cause,
  })
}

/** Everything but a result, as an error. `limitMs`: when the server itself ends the command. */
export function runError(
  outcome: Exclude<ExecOutcome, { kind: 'done' }>,
  run: {
    readonly target: ConnectTarget
    readonly user: string
    readonly label: string
    readonly deadlineMs: number
    readonly limitMs: number
    readonly hasFixedLimit: boolean
  },
): HactlError {
  const { target, user, label } = run
  const didNotRun = noShellReadIt(outcome)
  const make = (code: ErrorCode, what: string, why: readonly string[], fix: string, cause?: unknown) =>
    new HactlError({ code, server: target.server, what, why, fix, cause, didNotRun })
  const isGone = (isStopped: boolean) =>
    isStopped
      ? 'the command was stopped on the server'
      : `the command may still be running on the server, which ends it ${seconds(run.limitMs)} after its start`
  switch (outcome.kind) {
    case 'timeout':
      return make(
        'E_COMMAND_TIMEOUT',
        `${label}: not done after ${seconds(run.deadlineMs)}`,
        [isGone(outcome.isStopped), ...tailLines(outcome.stderr)],
        `see what keeps the server busy, then run again${run.hasFixedLimit ? '' : moreTime(target.connectTimeoutMs)}`,
      )
    case 'aborted':
      return make(
        'E_INTERRUPTED',
        `${label}: interrupted`,
        [isGone(outcome.isStopped)],
        'run again: hactl looks at what is there before it changes anything',
      )
    case 'lost':
      return make(
        'E_CONNECTION_LOST',
        `${label}: the connection was lost`,
        [
          ...(outcome.cause === undefined ? [] : [textOf(outcome.cause)]),
          outcome.hasStarted
            ? `the command may have run to its end, or the server ends it ${seconds(run.limitMs)} after its start`
            : 'no part of the command has run',
        ],
        'check the network and the server, then run again: hactl looks at what is there before it changes anything',
        outcome.cause,
      )
    case 'too-much':
      return make(
        'E_COMMAND_FAILED',
        `${label}: the server printed more than hactl reads`,
        ['the command was stopped', ...tailLines(outcome.stderr)],
        'see what the server prints there; report it if nothing is wrong with the server',
      )
    case 'channel-refused':
      return make(
        'E_COMMAND_FAILED',
        `${label}: the server opens no further session on this connection`,
        [textOf(outcome.cause)],
        'raise MaxSessions in sshd_config on the server (hactl uses up to 4)',
        outcome.cause,
      )
    case 'failed':
      return outcome.cause instanceof HactlError
        ? outcome.cause
        : make(
            'E_INTERNAL',
            `${label}: ${textOf(outcome.cause)}`,
            [],
            'this is a fault in hactl: run again with --verbose and report what it prints',
            outcome.cause,
          )
    case 'wrong-password':
      return sudoError('wrong-password', '', target, user)
    case 'no-shell':
      if (/(?:password|account) (?:has|is) expired|Password change required/i.test(outcome.stderr)) {
        return make(
          'E_SSH_AUTH',
          `the password of "${user}" has expired: the server runs no command until it is changed`,
          tailLines(noiseOf(outcome.stderr)),
          `log in as "${user}" by hand and set a new one; or, for a user who logs in by key only, on the server: chage -M -1 -d "$(date +%F)" ${user}`,
        )
      }
      if (outcome.isSudo) return sudoError(outcome.isStuck ? 'other' : judgeSudo(outcome.stderr), outcome.stderr, target, user)
      return make(
        'E_SSH_CONFIG',
        `the login of "${user}" runs no commands`,
        [...(outcome.isStuck ? ['no shell started in time'] : []), ...tailLines(noiseOf(outcome.stderr))],
        `give "${user}" a login shell on the server (chsh), without a forced command in authorized_keys or sshd_config`,
      )
  }
}

/** What commands without a fixed limit may take grows with --timeout above its default (patienceFor). Empty where no --timeout allows more. */
function moreTime(timeoutMs: number): string {
  const now = Math.max(timeoutMs, TIMEOUT_MS)
  if (now >= LONGEST_TIMEOUT_MS) return ''
  const next = Math.min(2 * now, LONGEST_TIMEOUT_MS)
  return `; --timeout ${next / 1000} allows it ${next === 2 * now ? 'twice the' : 'more'} time`
}

function noShellReadIt(outcome: Exclude<ExecOutcome, { kind: 'done' }>): boolean {
  switch (outcome.kind) {
    case 'lost':
      return !outcome.hasStarted
    case 'no-shell':
    case 'wrong-password':
    case 'channel-refused':
      return true
    case 'timeout':
    case 'aborted':
    case 'too-much':
    case 'failed':
      return false
  }
}

function sudoError(kind: ReturnType<typeof judgeSudo>, stderr: string, target: ConnectTarget, user: string): HactlError {
  const make = (what: string, fix: string) =>
    new HactlError({ code: 'E_SUDO', server: target.server, what, why: tailLines(noiseOf(stderr)), fix, didNotRun: true })
  const orKey = target.given === undefined ? `, or set ${target.inventoryPath}.become_password` : ''
  const ask = `run again with --ask-become-pass (-K)${orKey}`
  switch (kind) {
    case 'not-installed':
      return make(
        `"${user}" is not root, and sudo is not installed`,
        `install sudo on the server, or set ${settingName(target, 'ssh.user')} to root`,
      )
    case 'needs-password':
      return make(`sudo wants a password for "${user}"`, ask)
    case 'wrong-password':
      return make(`sudo refused the password for "${user}"`, ask)
    case 'not-allowed':
      return make(
        `sudo does not let "${user}" become root`,
        `on the server: usermod -aG sudo ${user}; or set ${settingName(target, 'ssh.user')} to a user who may`,
      )
    case 'needs-terminal':
      return make(`sudo wants a terminal for "${user}"`, `in sudoers on the server: Defaults:${user} !requiretty`)
    case 'other':
      return make(`sudo gave "${user}" no root shell`, `on the server, as ${user}: sudo -k; sudo /bin/sh -c true`)
  }
}

/** The last lines of a command usually say why it failed. */
function tailLines(stderr: string): readonly string[] {
  return stderr
    .trim()
    .split('\n')
    .filter(line => line.trim() !== '')
    .slice(-4)
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`
}

function levelOf(cause: unknown): string | undefined {
  return cause instanceof Error && 'level' in cause && typeof cause.level === 'string' ? cause.level : undefined
}

/** errno name, or the number of an SSH disconnect. Where several addresses were tried, that of the first. */
export function codeOf(cause: unknown): string | number | undefined {
  if (cause instanceof AggregateError) return codeOf(cause.errors[0])
  if (!(cause instanceof Error) || !('code' in cause)) return undefined
  return typeof cause.code === 'string' || typeof cause.code === 'number' ? cause.code : undefined
}

function textOf(cause: unknown): string {
  if (cause instanceof AggregateError) return textOf(cause.errors[0])
  return cause instanceof Error ? cause.message : String(cause)
}
