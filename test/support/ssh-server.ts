/** An SSH server in this process, as a stand-in for sshd, and everything a client needs to reach it: keys, known_hosts, an agent. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { readFile, rename, writeFile } from 'node:fs/promises'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Connection, ParsedKey, ServerChannel } from 'ssh2'
import ssh2 from 'ssh2'
import type { SshRemoteDeps } from '../../src/engine/ssh/node-ssh.ts'
import type { ConnectTarget, Files } from '../../src/ports.ts'

const { utils } = ssh2

export interface KeyPair {
  readonly private: string
  readonly public: string
  readonly parsed: ParsedKey
}

export type KeyKind = 'ed25519' | 'rsa' | 'ecdsa'

/** ssh2 1.17 writes about one in a hundred Ed25519 keys without a leading zero, and nothing can read that: then another key is made. */
export function makeKey(kind: KeyKind = 'ed25519', passphrase?: string, tries = 5): KeyPair {
  const lock = passphrase === undefined ? {} : { passphrase, cipher: 'aes256-ctr', rounds: 1 }
  const pair = makePair(kind, lock)
  const parsed = utils.parseKey(pair.private, passphrase)
  if (!(parsed instanceof Error)) return { private: pair.private, public: pair.public, parsed }
  if (tries <= 1) throw parsed
  return makeKey(kind, passphrase, tries - 1)
}

function makePair(kind: KeyKind, lock: { passphrase: string; cipher: string; rounds: number } | Record<string, never>) {
  switch (kind) {
    case 'ed25519':
      return utils.generateKeyPairSync('ed25519', lock)
    case 'rsa':
      return utils.generateKeyPairSync('rsa', { bits: 2048, ...lock })
    case 'ecdsa':
      return utils.generateKeyPairSync('ecdsa', { bits: 256, ...lock })
  }
}

interface ExecContext {
  readonly command: string
  readonly channel: ServerChannel
  readonly connection: Connection
  /** The TCP socket under the connection. */
  readonly socket: Socket
  /** Runs the command as sshd would, in /bin/sh. */
  readonly runShell: (command?: string) => void
}

export interface SshServerOptions {
  readonly hostKeys?: readonly KeyPair[]
  /** Keys that may log in. */
  readonly authorized?: readonly KeyPair[]
  /** Ways to log in that a refusal names. */
  readonly methods?: readonly ('publickey' | 'password')[]
  /** Environment of commands; PATH is this machine's unless given. */
  readonly env?: Readonly<Record<string, string>>
  /** Called instead of running the command. */
  readonly onExec?: (context: ExecContext) => void
  /** Output goes out in pieces of so many bytes. */
  readonly chunkBytes?: number
  /** How many requests for a session are refused before one is granted. */
  readonly refusedSessions?: number
  /** How many TCP connections are cut before anything is sent. */
  readonly droppedConnections?: number
  /** Login methods that it requires after a key. */
  readonly wantsMore?: readonly 'password'[]
  /** Sends this and closes the connection of a client that has shown the right key. */
  readonly closesAtLogin?: string
}

export interface SshServer {
  readonly port: number
  /** Public halves of the host keys. */
  readonly hostKeys: readonly KeyPair[]
  /** Users and keys that asked to be let in, in order: "ops SHA...". */
  readonly offered: readonly string[]
  readonly commands: readonly string[]
  /** Most commands that ran at the same time. */
  readonly maxRunning: () => number
  readonly connections: () => number
  /** Stops reading and writing on every connection, without closing it. */
  readonly fallSilent: () => void
  readonly close: () => Promise<void>
}

export async function startSshServer(options: SshServerOptions = {}): Promise<SshServer> {
  const hostKeys = options.hostKeys ?? [makeKey()]
  const offered: string[] = []
  const commands: string[] = []
  const sockets = new Set<Socket>()
  const inner = new Set<Socket>()
  const children = new Set<ReturnType<typeof spawn>>()
  let running = 0
  let maxRunning = 0
  let connections = 0
  let refusals = options.refusedSessions ?? 0
  let drops = options.droppedConnections ?? 0

  const ssh = new ssh2.Server(
    { hostKeys: hostKeys.map(k => k.private), ...(options.closesAtLogin === undefined ? {} : { banner: options.closesAtLogin }) },
    connection => {
      connection.on('error', () => undefined)
      connection.on('authentication', context => {
        const methods = [...(options.methods ?? ['publickey' as const])]
        if (context.method !== 'publickey') return context.reject(methods)
        const known = (options.authorized ?? []).find(k => k.parsed.getPublicSSH().equals(context.key.data))
        if (context.signature === undefined) offered.push(`${context.username} ${context.key.data.toString('base64')}`)
        if (known === undefined) return context.reject(methods)
        if (context.signature === undefined) return context.accept()
        const verified = known.parsed.verify(context.blob ?? Buffer.alloc(0), context.signature, context.hashAlgo)
        if (verified !== true) return context.reject(methods)
        if (options.wantsMore !== undefined) return context.reject([...options.wantsMore], true)
        if (options.closesAtLogin !== undefined) return connection.end()
        return context.accept()
      })
      connection.on('ready', () => {
        connection.on('session', (accept, reject) => {
          if (refusals > 0) {
            refusals--
            return reject()
          }
          const session = accept()
          let child: ReturnType<typeof spawn> | undefined
          session.on('signal', (_accept, _reject, info) => {
            if (child?.pid !== undefined) tryKill(-child.pid, `SIG${info.name}` as NodeJS.Signals)
          })
          session.on('exec', (acceptExec, _reject, info) => {
            const channel = acceptExec()
            commands.push(info.command)
            channel.on('error', () => undefined)
            const runShell = (command = info.command) => {
              child = spawn('/bin/sh', ['-c', command], { env: { PATH: process.env['PATH'], HOME: '/', ...options.env }, detached: true })
              children.add(child)
              maxRunning = Math.max(maxRunning, ++running)
              child.once('exit', () => running--)
              bridge(child, channel, options.chunkBytes)
            }
            const socket = [...sockets].at(-1)
            if (options.onExec === undefined || socket === undefined) runShell()
            else options.onExec({ command: info.command, channel, connection, socket, runShell })
          })
        })
        connection.on('tcpip', (accept, reject, info) => {
          const onward = connect({ port: info.destPort, host: info.destIP, noDelay: true })
          onward.once('error', () => reject())
          onward.once('connect', () => {
            const channel = accept()
            inner.add(onward)
            onward.on('error', () => undefined)
            channel.on('error', () => undefined)
            onward.pipe(channel).pipe(onward)
          })
        })
      })
    },
  )

  // The TCP side is ours, so that tests can cut, reset and silence it.
  const tcp = createServer({ noDelay: true }, socket => {
    connections++
    socket.on('error', () => undefined)
    if (drops > 0) {
      drops--
      socket.destroy()
      return
    }
    sockets.add(socket)
    ssh.injectSocket(socket)
  })
  tcp.listen(0, '127.0.0.1')
  await once(tcp, 'listening')
  return {
    port: (tcp.address() as AddressInfo).port,
    hostKeys,
    offered,
    commands,
    maxRunning: () => maxRunning,
    connections: () => connections,
    fallSilent: () => {
      for (const socket of sockets) {
        socket.pause()
        socket.removeAllListeners('data')
      }
    },
    close: async () => {
      for (const socket of [...sockets, ...inner]) socket.destroy()
      tcp.close()
      await once(tcp, 'close')
      for (const child of children) {
        if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) tryKill(-child.pid, 'SIGKILL')
      }
    },
  }
}

function bridge(child: ReturnType<typeof spawn>, channel: ServerChannel, chunkBytes: number | undefined): void {
  const { stdin, stdout, stderr } = child
  if (stdin === null || stdout === null || stderr === null) throw new TypeError('the child has no pipes')
  const forward = (to: { write: (chunk: Buffer) => unknown }) => (chunk: Buffer) => {
    const size = chunkBytes ?? chunk.length
    for (let at = 0; at < chunk.length; at += size) to.write(chunk.subarray(at, at + size))
  }
  stdin.on('error', () => undefined)
  stdout.on('data', forward(channel))
  stderr.on('data', forward(channel.stderr))
  channel.pipe(stdin)
  // A channel that nobody reads from never closes.
  stdin.on('close', () => channel.resume())
  // sshd closes its ends of the pipes with the channel, and does not stop the process.
  channel.on('close', () => {
    stdin.destroy()
    stdout.destroy()
    stderr.destroy()
  })
  child.on('close', (code, signal) => {
    if (code === null) channel.exit((signal ?? 'SIGKILL').replace('SIG', ''), false, '')
    else channel.exit(code)
    channel.end()
  })
}

function tryKill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It is gone already.
  }
}

/** Real files, as the Files port. */
const realFiles: Files = {
  read: path =>
    readFile(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    }),
  write: async (path, text, mode) => {
    await writeFile(`${path}.new`, text, { mode })
    await rename(`${path}.new`, path)
  },
  exists: path =>
    readFile(path).then(
      () => true,
      () => false,
    ),
  list: async () => undefined,
  whyNotWritable: async () => undefined,
}

/** An operator's machine: a home directory in a temporary folder. */
export interface Controller {
  readonly home: string
  readonly knownHosts: string
  readonly deps: SshRemoteDeps
  /** Writes a file under ~/.ssh; returns its path. */
  readonly sshFile: (name: string, text: string) => string
  readonly target: (server: { readonly port: number }, more?: Partial<ConnectTarget>) => ConnectTarget
  readonly remove: () => void
}

/** `sshConfig` is what `ssh -G` answers; without it there is no ssh on the machine. */
export function makeController(more: Partial<SshRemoteDeps> = {}, sshConfig?: (argv: readonly string[]) => string): Controller {
  const home = mkdtempSync(join(tmpdir(), 'hactl-ssh-'))
  mkdirSync(join(home, '.ssh'), { mode: 0o700 })
  return {
    home,
    knownHosts: join(home, '.ssh/known_hosts'),
    deps: {
      env: {},
      home,
      files: realFiles,
      localUser: 'operator',
      localCommand: argv =>
        sshConfig === undefined
          ? Promise.reject(Object.assign(new Error('spawn ssh ENOENT'), { code: 'ENOENT' }))
          : Promise.resolve({ code: 0, stdout: sshConfig(argv), stderr: '' }),
      ...more,
    },
    sshFile: (name, text) => {
      const path = join(home, '.ssh', name)
      writeFileSync(path, text, { mode: 0o600 })
      return path
    },
    target: (server, over) => ({
      server: 'srv-1',
      host: '127.0.0.1',
      port: server.port,
      user: 'root',
      hostKeyChecking: 'strict',
      become: true,
      inventoryPath: 'servers[0]',
      connectTimeoutMs: 5_000,
      ...over,
    }),
    remove: () => rmSync(home, { recursive: true, force: true }),
  }
}

export function knownHostsLine(port: number, key: KeyPair): string {
  return `[127.0.0.1]:${port} ${key.parsed.type} ${key.parsed.getPublicSSH().toString('base64')}\n`
}

/** An agent that lists these keys (in wire format), whatever they are, and signs with none. */
export async function startListingAgent(dir: string, keys: readonly Buffer[]): Promise<{ socket: string; close: () => void }> {
  const socket = join(dir, 'listing-agent.sock')
  const string = (bytes: Buffer) => Buffer.concat([uint32(bytes.length), bytes])
  const answer = Buffer.concat([
    Buffer.from([12]),
    uint32(keys.length),
    ...keys.flatMap(key => [string(key), string(Buffer.from('a comment'))]),
  ])
  const server = createServer(stream => {
    stream.on('error', () => undefined)
    stream.on('data', () => stream.write(string(answer)))
  })
  server.listen(socket)
  await once(server, 'listening')
  return { socket, close: () => server.close() }
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** An agent on a unix socket. `refuses`: keys that it lists but does not sign with. */
export async function startAgent(
  dir: string,
  keys: readonly KeyPair[],
  refuses: readonly KeyPair[] = [],
): Promise<{ socket: string; close: () => void }> {
  const socket = join(dir, `agent-${Math.abs(keys.length * 31 + refuses.length)}.sock`)
  const server = createServer(stream => {
    const protocol = new ssh2.AgentProtocol(false)
    stream.on('error', () => undefined)
    protocol.on('error', () => undefined)
    protocol.on('identities', request =>
      protocol.getIdentitiesReply(
        request,
        keys.map(k => k.parsed),
      ),
    )
    protocol.on('sign', (request, publicKey, data, flags) => {
      const wanted = (publicKey as ParsedKey).getPublicSSH()
      const same = (k: KeyPair) => k.parsed.getPublicSSH().equals(wanted)
      const key = refuses.some(same) ? undefined : keys.find(same)
      if (key === undefined) return protocol.failureReply(request)
      const signature = key.parsed.sign(data, flags.hash)
      return signature instanceof Error ? protocol.failureReply(request) : protocol.signReply(request, signature)
    })
    stream.pipe(protocol).pipe(stream)
  })
  server.listen(socket)
  await once(server, 'listening')
  return { socket, close: () => server.close() }
}

export type SudoKind = 'nopasswd' | 'password' | 'not-installed' | 'not-allowed' | 'needs-terminal'

/**
 * A PATH on which the login user is not root and sudo is a stand-in; `log` gets every argv of it and every password it reads.
 */
export function makeSudoPath(dir: string, kind: SudoKind, password: string): { path: string; log: string } {
  const bin = mkdtempSync(join(dir, 'bin-'))
  const log = join(bin, 'sudo.log')
  writeFileSync(log, '')
  const script = (name: string, text: string) => {
    writeFileSync(join(bin, name), text)
    chmodSync(join(bin, name), 0o755)
  }
  script('id', '#!/bin/sh\necho 1000\n')
  symlinkSync('/usr/bin/timeout', join(bin, 'timeout'))
  if (kind === 'not-installed') return { path: bin, log }
  script(
    'sudo',
    `#!/bin/sh
echo "argv $*" >> ${log}
can_ask=1 prompt='[sudo] password: '
while [ $# -gt 0 ]; do
  case $1 in
    -n) can_ask= ;;
    -S | -k) ;;
    -p) prompt=$2; shift ;;
    *) break ;;
  esac
  shift
done
case ${kind} in
  nopasswd) exec "$@" ;;
  not-allowed) [ -z "$can_ask" ] || { printf %s "$prompt" >&2; IFS= read -r line; }
    echo 'operator is not in the sudoers file.' >&2; exit 1 ;;
  needs-terminal) echo 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1 ;;
esac
[ -n "$can_ask" ] || { echo 'sudo: a password is required' >&2; exit 1; }
for try in 1 2 3; do
  printf %s "$prompt" >&2
  IFS= read -r line || { echo 'sudo: no password was provided' >&2; exit 1; }
  echo "read $line" >> ${log}
  [ "$line" = '${password}' ] && exec "$@"
  echo 'Sorry, try again.' >&2
done
echo 'sudo: 3 incorrect password attempts' >&2
exit 1
`,
  )
  return { path: bin, log }
}
