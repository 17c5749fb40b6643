/** The interfaces to the outside, as types. Real ones: engine/ssh (Remote) and system.ts; fakes: test/support. */
import type { Secret } from './secret.ts'

/** Shell text in which every value was quoted when it was put in; made by sh`...` only. `masked` is what logs may show. */
export interface Script {
  readonly raw: string
  readonly masked: string
}

/**
 * Asks the operator for the passphrase of a private key. undefined: none was given, and that key is passed over.
 * `isAgain`: the answer before was wrong.
 */
export type AskPassphrase = (path: string, isAgain: boolean) => Promise<Secret | undefined>

/** What of a server's settings an operator may have to correct, as the inventory calls it below the server. */
export type TargetSetting = 'host' | 'ssh.user' | 'ssh.port' | 'ssh.identity_file' | 'ssh.proxy_jump'

/** How to reach one server. What is undefined is taken from ssh_config, then OpenSSH's defaults. */
export interface ConnectTarget {
  /** The inventory's name of the server: used in every message. */
  readonly server: string
  readonly host: string
  readonly user?: string | undefined
  readonly port?: number | undefined
  /** Absolute path. */
  readonly identityFile?: string | undefined
  /** [user@]host[:port], several separated by commas, first hop first. */
  readonly proxyJump?: string | undefined
  /** Absolute path. */
  readonly knownHosts?: string | undefined
  readonly hostKeyChecking: 'strict' | 'accept-new'
  /** Become root with sudo where the login user is not root. */
  readonly become: boolean
  readonly becomePassword?: Secret | undefined
  /** Asked where no other login method works; undefined: nobody can be asked, and encrypted keys need an agent. */
  readonly askPassphrase?: AskPassphrase | undefined
  /** The place of this server in the inventory, for messages: "servers[1]". */
  readonly inventoryPath: string
  /** Where there is no inventory yet (import): how the operator gave each setting. */
  readonly given?: Readonly<Record<TargetSetting, string>> | undefined
  /** Bound for TCP connect, handshake and authentication together, in ms. The time that the operator takes to answer does not count. */
  readonly connectTimeoutMs: number
}

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  readonly durationMs: number
}

/**
 * What a script does to the state of its server, as an operator sees it.
 * - none: it only reads, or what it writes does not count: the lock, a run's own folder and marks, packages and lists that wait for an
 *   installation, keepalived's dump.
 * - undo: it only takes back what an earlier script of the same run did.
 * - change: it may have changed something from the moment it is sent.
 * - all-or-nothing: the same, but where it ends with another status than 0 nothing was changed.
 * A script that a guard ends before it does anything (the lock is lost, a file has changed) needs no word of its own.
 */
export type Effect = 'none' | 'undo' | 'change' | 'all-or-nothing'

/** A script that changes its server, or takes such a change back. */
export interface LedgerEntry {
  readonly server: string
  /** The label of the script. */
  readonly label: string
  readonly effect: Exclude<Effect, 'none'>
  /**
   * unanswered: it was sent, and may have run to its end, in part, or not at all. not made: no part of it ran. put back: a later undo
   * succeeded.
   */
  readonly state: 'unanswered' | 'made' | 'not made' | 'put back'
}

/** What a run has changed on which server, or may have changed. */
export interface Ledger {
  /** In the order in which they were sent. */
  readonly entries: readonly LedgerEntry[]
  /** Whether any server was changed, or may have been. True also where that was put back. */
  readonly hasChanged: boolean
  /** Notes a script before it is sent. The caller reports once how it ended, if that is known. */
  note(entry: Omit<LedgerEntry, 'state'>): (state: 'made' | 'not made') => void
}

export interface RunOptions {
  /** Required, so that no caller forgets it: the exit status of a failed run depends on it. */
  readonly effect: Effect
  /**
   * The command is stopped (and killed on the server as far as SSH allows) after this many ms, times the session's patience: what it may
   * take on a server that is neither slow nor far away.
   */
  readonly deadlineMs: number
  /** What the limit belongs to (an undo that is armed, the lock's expiry) does not wait longer either: no patience is added. */
  readonly hasFixedLimit?: boolean
  /** What is being done, in the operator's words: "install packages". Used in errors and the log. */
  readonly label: string
  readonly signal?: AbortSignal | undefined
  /** Called for every whole line of stdout as it arrives. */
  readonly onLine?: ((line: string) => void) | undefined
  /** The output may carry secrets (contents of files): the log keeps only its size. */
  readonly hasSecretOutput?: boolean | undefined
  /** Upper bound on collected stdout, in bytes; the default is 16 MiB. Lines given to onLine are not collected. */
  readonly maxBytes?: number
}

/** An open, host-key-checked connection to one server. */
export interface Session {
  readonly server: string
  /** The address and port really connected to, for messages. */
  readonly peer: string
  /** How many times its own limit everything gets that waits for this server; at least 1. See patienceFor. */
  readonly patience: number
  /** The controller's own address on this connection, as the server sees it, when known. */
  readonly localAddress?: string
  /**
   * Runs a script in /bin/sh as root (sudo where needed), stdin closed, LC_ALL=C, in ONE ssh exec.
   * Nothing of it runs unless all of it arrived. Any exit code resolves. A lost connection rejects with E_CONNECTION_LOST, a passed
   * deadline with E_COMMAND_TIMEOUT, a sudo that refuses with E_SUDO, an abort with E_INTERRUPTED.
   */
  run(script: Script, options: RunOptions): Promise<CommandResult>
  close(): Promise<void>
}

export interface Remote {
  /** Throws E_SSH_UNREACHABLE, E_SSH_AUTH, E_SSH_HOST_KEY or E_SSH_CONFIG. */
  connect(target: ConnectTarget, signal?: AbortSignal): Promise<Session>
}

export interface Clock {
  /** ms since the epoch. */
  now(): number
  /** ms on a clock that never jumps; only differences mean anything. */
  monotonic(): number
  /** Rejects with E_INTERRUPTED when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export interface Files {
  /**
   * undefined where there is no such file. Throws UnusableFile for a folder, a device, a file that is larger than `maxBytes` (the default is
   * 16 MiB) or that may not be read. A pipe or a terminal is read to its end, once. Throws E_INTERRUPTED when `signal` aborts meanwhile.
   */
  read(path: string, options?: { readonly maxBytes?: number; readonly signal?: AbortSignal }): Promise<Buffer | undefined>
  /** Atomic: temp file in the same folder, fsync, rename. mode as in 0o600. */
  write(path: string, text: string, mode: number): Promise<void>
  exists(path: string): Promise<boolean>
  /** Permission bits as in 0o640; undefined where there is no such file. Without this method there is no warning about files that all may read. */
  mode?(path: string): Promise<number | undefined>
  /** The names in a folder, sorted; undefined where there is no such folder. */
  list(path: string): Promise<readonly string[] | undefined>
  /** Why write(path) would fail, as far as can be seen without writing: "there is no folder /var/reports"; undefined where it should succeed. */
  whyNotWritable(path: string): Promise<string | undefined>
}

/** What to ask through a virtual address. A probe is one new connection. */
export interface ProbeTarget {
  readonly address: string
  readonly port: number
  readonly kind: 'tcp' | 'http' | 'https'
  readonly path: string
  /** Host header and SNI name; the address where undefined. */
  readonly host?: string | undefined
  /** Expected HTTP status; any below 500 where undefined. */
  readonly status?: number | undefined
  /** Limit for one probe, in ms. */
  readonly timeoutMs: number
}

/** How the error of a probe begins that got a part of an answer. Programs on servers say the same. */
export type CutAnswer = 'the answer was cut'

export interface ProbeAnswer {
  readonly ok: boolean
  /** ms from sending to the verdict, which needs the whole answer or as much of it as is read. */
  readonly tookMs: number
  /** HTTP status, where one came. */
  readonly status?: number | undefined
  /** Why it failed: "ECONNREFUSED", "no answer in 1000 ms", "HTTP 503", "the answer was cut: closed before its end". */
  readonly error?: string | undefined
}

export type Prober = (target: ProbeTarget, signal?: AbortSignal) => Promise<ProbeAnswer>

/** What a long-lived connection is used for: one request after the other, nothing at all, or one answer that is read slowly. */
export type LongLivedUse = 'kept-alive' | 'idle' | 'transfer'

/** What ended a connection: a reset, the other side's end (FIN), or no answer in time. */
export type CutBy = 'RST' | 'FIN' | 'silence'

/** How a long-lived connection ended. */
export type ConnectionEnd =
  | { readonly kind: 'stopped' }
  /** The service closes after each answer, or its answer is too short to be read slowly. */
  | { readonly kind: 'not-kept' }
  /** In order, between two requests. */
  | { readonly kind: 'closed'; readonly why: string }
  | { readonly kind: 'cut'; readonly by: CutBy; readonly why: string }

/**
 * Opens one connection and uses it so until `stop` aborts. `everyMs`: from one request to the next. Rejects where none could be opened, or
 * where the probe's kind has no such use.
 */
export type ConnectionKeeper = (
  target: ProbeTarget,
  options: { readonly use: LongLivedUse; readonly stop: AbortSignal; readonly everyMs: number; readonly onOpen: () => void },
) => Promise<ConnectionEnd>

/** Runs a local command (secret sources, ssh -G): argv, never a shell string unless the caller asks for sh -c. */
export interface LocalCommand {
  (argv: readonly string[], options: { timeoutMs: number; stdin?: string }): Promise<{ code: number; stdout: string; stderr: string }>
}

export type Downloaded =
  | { readonly kind: 'whole'; readonly content: Buffer }
  /** HTTP 3xx; an absolute URL. */
  | { readonly kind: 'moved'; readonly to: string }
  /** HTTP 404 or 410. */
  | { readonly kind: 'missing' }
  | { readonly kind: 'failed'; readonly why: string }

/**
 * One file by GET over http or https, through the proxy that http_proxy, https_proxy and no_proxy name. Follows no redirect. `timeoutMs`
 * bounds each wait for the other side, not the whole. Rejects with E_INTERRUPTED when `signal` aborts.
 */
export type Download = (
  url: string,
  options: { readonly maxBytes: number; readonly timeoutMs: number; readonly signal?: AbortSignal },
) => Promise<Downloaded>

export interface Terminal {
  readonly stdinIsTTY: boolean
  readonly stdoutIsTTY: boolean
  readonly stderrIsTTY: boolean
  readonly columns: number
  writeOut(text: string): void
  writeErr(text: string): void
}

export interface Ports {
  readonly remote: Remote
  /** The ledger of this run: every session to a server notes in it what it changes there. */
  readonly ledger: Ledger
  readonly clock: Clock
  readonly files: Files
  readonly probe: Prober
  /** undefined: no long-lived connections are watched. */
  readonly keepConnection?: ConnectionKeeper
  readonly localCommand: LocalCommand
  readonly download: Download
  readonly terminal: Terminal
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly home: string
  /** Aborted by SIGINT or SIGTERM; reason is 'SIGINT' or 'SIGTERM'. */
  readonly signal: AbortSignal
}
