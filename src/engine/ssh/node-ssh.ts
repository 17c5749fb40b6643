/** The Remote port over node-ssh and ssh2: connecting, and sessions. The only importer of node-ssh. */
import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { NodeSSH } from 'node-ssh'
import type { Client } from 'ssh2'
import { HactlError } from '../../errors.ts'
import { patienceFor } from '../../patience.ts'
import type { AskPassphrase, Clock, ConnectTarget, Files, LocalCommand, Remote, Session } from '../../ports.ts'
import type { AuthPlan, KeyRing } from './auth.ts'
import { createKeyRing } from './auth.ts'
import { ConnectTimeout, LoginClosed, codeOf, connectError, settingsTimeout } from './failure.ts'
import { loadHostKeyCheck } from './host-key.ts'
import type { SshLogEntry } from './session.ts'
import { createSession } from './session.ts'
import type { QuestionTimer } from './question-timer.ts'
import { createQuestionTimer } from './question-timer.ts'
import type { Hop } from './settings.ts'
import { createSettings } from './settings.ts'
import { forwardTo, openTcp } from './transport.ts'

export interface SshRemoteDeps {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The operator's home directory. */
  readonly home: string
  readonly files: Files
  readonly localCommand: LocalCommand
  readonly clock?: Pick<Clock, 'now' | 'monotonic'>
  /** Called with each warning, once. */
  readonly warn?: (text: string) => void
  /** Called once per command that ran or failed. */
  readonly log?: (entry: SshLogEntry) => void
  /** Login name on this machine. */
  readonly localUser?: string
  /** See KEEPALIVE_MS. */
  readonly keepaliveMs?: number
}

/** ssh2 gives up one interval after KEEPALIVE_COUNT unanswered ones: a silent network is noticed within 14 s. */
const KEEPALIVE_MS = 3_500
const KEEPALIVE_COUNT = 3
/** A busy sshd (MaxStartups) drops connections at random before it says anything, so hactl tries again. */
const RETRY_MS = [100, 400]

/** ssh2's own words for it. */
const DROPPED = 'Connection lost before handshake'
const CLOSED = 'No response from server'

const systemClock: Pick<Clock, 'now' | 'monotonic'> = { now: () => Date.now(), monotonic: () => performance.now() }

/** One attempt to connect. The caller's signal and the end of its time abort it. */
interface Attempt {
  readonly signal: AbortSignal
  readonly remainingMs: () => number
}

interface OpenHop {
  readonly client: Client
  readonly peer: string
  readonly localAddress: string | undefined
}

/**
 * ssh takes the home directory from passwd(5), and hactl takes it from $HOME. Where the two differ (containers, sudo -H, tests) hactl reads the
 * ssh_config beside the keys and the known_hosts that it uses, or none.
 */
function configFileIn(home: string): string | undefined {
  const file = join(home, '.ssh/config')
  return home !== userInfo().homedir && existsSync(file) ? file : undefined
}

/** Sessions over SSH. Reads ssh_config by `ssh -G`, checks every host key, and offers keys from files and the agent. */
export function createSshRemote(deps: SshRemoteDeps): Remote {
  const clock = deps.clock ?? systemClock
  const hopsFor = createSettings({
    ...deps,
    localUser: deps.localUser ?? userInfo().username,
    configFile: configFileIn(deps.home),
    onNoSsh: () => tellOfConfig(deps),
  })
  const keyRing = createKeyRing({ files: deps.files, home: deps.home })
  const questions = createQuestionTimer(clock)

  return {
    async connect(target, signal): Promise<Session> {
      const { attempt, end } = startAttempt(target, signal, clock, questions)
      const open: OpenHop[] = []
      try {
        const hops = await unlessAborted(hopsFor(target), attempt.signal)
        for (const hop of hops) {
          const way: Way = { hop, before: hops.slice(0, open.length), isJump: hop !== hops.at(-1) }
          open.push(await openHop(way, open.at(-1)?.client, target, attempt, deps, keyRing, questions.timed(target.askPassphrase)))
        }
        const last = open.at(-1)
        const hop = hops.at(-1)
        if (last === undefined || hop === undefined) throw new TypeError('settings name no host')
        return createSession({ ...last, target, user: hop.user, jumps: open.slice(0, -1).map(o => o.client), clock, log: deps.log })
      } catch (cause) {
        for (const { client } of open.reverse()) client.destroy()
        throw cause instanceof ConnectTimeout ? settingsTimeout(target, cause) : cause
      } finally {
        end()
      }
    },
  }
}

async function tellOfConfig({ files, home, warn }: SshRemoteDeps): Promise<void> {
  const path = join(home, '.ssh', 'config')
  if (warn === undefined || !(await files.exists(path).catch(() => false))) return
  warn(`${path} is not used: there is no ssh on PATH that reads it; install OpenSSH's client, or set everything in the inventory`)
}

function startAttempt(
  target: ConnectTarget,
  signal: AbortSignal | undefined,
  clock: Pick<Clock, 'monotonic'>,
  questions: QuestionTimer,
): { attempt: Attempt; end: () => void } {
  const controller = new AbortController()
  const startedAt = clock.monotonic() - questions.askedMs()
  const remainingMs = () => target.connectTimeoutMs - (clock.monotonic() - questions.askedMs() - startedAt)
  const interrupt = () =>
    controller.abort(
      new HactlError({ code: 'E_INTERRUPTED', server: target.server, what: 'interrupted while connecting', cause: signal?.reason }),
    )
  let timer: NodeJS.Timeout | undefined
  const watch = () => {
    const leftMs = remainingMs()
    if (leftMs <= 0) controller.abort(new ConnectTimeout(`connecting for ${target.connectTimeoutMs / 1000} s`))
    else timer = setTimeout(watch, leftMs)
  }
  watch()
  if (signal?.aborted) interrupt()
  signal?.addEventListener('abort', interrupt)
  return {
    attempt: { signal: controller.signal, remainingMs: () => Math.max(1, remainingMs()) },
    end: () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', interrupt)
    },
  }
}

interface Way {
  readonly hop: Hop
  /** The jump hosts on the way to it, first hop first. */
  readonly before: readonly Hop[]
  readonly isJump: boolean
}

async function openHop(
  way: Way,
  via: Client | undefined,
  target: ConnectTarget,
  attempt: Attempt,
  deps: SshRemoteDeps,
  keyRing: KeyRing,
  ask: AskPassphrase | undefined,
): Promise<OpenHop> {
  const { hop, before } = way
  // The sshd of a starved server is silent, too.
  const keepaliveMs = (deps.keepaliveMs ?? KEEPALIVE_MS) * patienceFor(target.connectTimeoutMs)
  const refusedByAgent = new Set<string>()
  let unlockedKeys = 0
  const waits = [...RETRY_MS]
  for (;;) {
    let plan: AuthPlan | undefined
    let peer = `${hop.host}:${hop.port}`
    const stream = via === undefined ? openTcp(hop, attempt.signal) : forwardTo(via, hop)
    // It may fail while the keys are still being read.
    stream.catch(() => undefined)
    try {
      // While the network answers, the keys are read.
      const [check, offered] = await unlessAborted(
        Promise.all([
          loadHostKeyCheck(hop, before, target, deps.files, deps.home),
          keyRing(hop, refusedByAgent, { ask, keys: unlockedKeys }),
        ]),
        attempt.signal,
      )
      plan = offered
      const { socket, remote, localAddress } = await unlessAborted(stream, attempt.signal)
      peer = remote
      const client = await handshake(socket, hop, check, offered, attempt, keepaliveMs)
      return { client, peer, localAddress }
    } catch (cause) {
      stream.then(
        s => s.socket.destroy(),
        () => undefined,
      )
      const wouldNotSign = plan?.unsigned ?? new Set()
      if (!attempt.signal.aborted && wouldNotSign.size > 0) {
        // ssh2 gives up at an agent's first refusal (a key that needs a touch); OpenSSH goes on with the next key.
        for (const id of wouldNotSign) refusedByAgent.add(id)
        continue
      }
      const waitMs = isDropped(cause) && !attempt.signal.aborted ? waits.shift() : undefined
      if (waitMs === undefined) {
        const error = connectError({ target, ...way, peer, plan, cause })
        if (error.code !== 'E_SSH_AUTH' || plan?.canUnlockMore !== true || attempt.signal.aborted) throw error
        // hactl asks for nothing while a connection waits: sshd closes it after its LoginGraceTime.
        unlockedKeys += 1
        continue
      }
      await unlessAborted(new Promise(resolve => setTimeout(resolve, waitMs)), attempt.signal)
    }
  }
}

async function handshake(
  socket: Duplex,
  hop: Hop,
  check: Awaited<ReturnType<typeof loadHostKeyCheck>>,
  plan: AuthPlan,
  attempt: Attempt,
  keepaliveMs: number,
): Promise<Client> {
  // ssh2 would wait for ever for the end of a stream that has ended already.
  if (socket.destroyed) throw socket.errored ?? new Error(DROPPED)
  const ssh = new NodeSSH()
  const connecting = ssh.connect({
    sock: socket,
    username: hop.user,
    hostVerifier: (key: Buffer) => check.accepts(key),
    algorithms: { serverHostKey: check.algorithms },
    authHandler: plan.handler,
    readyTimeout: attempt.remainingMs(),
    keepaliveInterval: keepaliveMs,
    keepaliveCountMax: KEEPALIVE_COUNT,
  })
  const client = ssh.connection
  let isProven = false
  // node-ssh removes its own listener once it is connected. Without one, a reset would end the whole process.
  client?.on('error', () => undefined)
  client?.once('handshake', () => {
    isProven = true
  })
  let banner = ''
  client?.on('banner', text => {
    banner = text
  })
  const record = async () => {
    if (isProven) await check.record()
  }
  try {
    await unlessAborted(connecting, attempt.signal)
    if (client === null) throw new TypeError('node-ssh connected without a client')
    await record()
    return client
  } catch (cause) {
    client?.destroy()
    // The key stays accepted even where the login fails, as with ssh. A key that could not be written matters less than the login.
    await record().catch(() => undefined)
    // node-ssh's words for a connection that was closed during the login.
    const isClosed = isProven && cause instanceof Error && cause.message === CLOSED && plan.tried().length > 0
    throw check.refusal() ?? (isClosed ? new LoginClosed(banner, cause) : cause)
  }
}

/** Settles as the promise does, or with the reason of the abort, whichever comes first. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop: (() => void) | undefined
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop)
  })
  // The one that loses must not count as an unhandled rejection.
  promise.catch(() => undefined)
  try {
    return await Promise.race([promise, aborted])
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop)
  }
}

function isDropped(cause: unknown): boolean {
  if (cause instanceof HactlError) return false
  return codeOf(cause) === 'ECONNRESET' || (cause instanceof Error && cause.message === DROPPED)
}
