/**
 * A server that is a folder: hactl's real scripts run in a real /bin/sh, with their absolute paths redirected into the folder, and with
 * stand-ins (test/support/stand-ins, and stand-ins.sh beside it) for systemd, dpkg and the daemons. So the shell itself is tested, without root
 * and without a container.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { copyName } from '../../src/engine/server-state/copy-name.ts'
import { HactlError } from '../../src/errors.ts'
import type { CommandResult, RunOptions, Script, Session } from '../../src/ports.ts'
import { isLook, rememberedLook } from './remembered-looks.ts'
import { connectionLost } from './remote.ts'
import { startSmall } from './starter.ts'

const STAND_INS = join(import.meta.dirname, 'stand-ins')
const STAND_IN_FUNCTIONS = readFileSync(join(import.meta.dirname, 'stand-ins.sh'), 'utf8')
/**
 * The stand-ins that are called most: a shell that reads one into a fork of itself needs an eighth of the CPU that the start of a program does. A
 * prelude may trap each command of its own shell, and a stand-in's are none of them: there they are programs. An alias may have a hyphen in its
 * name, a function may not.
 */
const READ_STAND_INS = [
  // These neither exit nor set a variable: they need no fork.
  ...['ss', 'sync'].map(name => `${name}() { . "$STAND_INS/${name}"; }`),
  ...['dpkg-query', 'flock', 'ip', 'keepalived-data', 'keepalived-dump', 'systemctl', 'systemd-detect-virt'].map(name => {
    const readIn = name.replaceAll('-', '_')
    return `${readIn}() ( . "$STAND_INS/${name}" )${readIn === name ? '' : `; alias ${name}=${readIn}`}`
  }),
].join('\n')
const NEEDED = ['flock', 'setsid', 'sha256sum', 'md5sum', 'base64', 'awk', 'stat', 'bash']
const LACKS = `for tool in ${NEEDED.join(' ')}; do command -v $tool >/dev/null || echo "$tool"; done; stat -c %a / >/dev/null || echo 'GNU stat'`

let lacks: string | undefined

/** Why these tests cannot run here; undefined where they can. */
export function shellServerLacks(): string | undefined {
  lacks ??= spawnSync('sh', ['-c', LACKS], { encoding: 'utf8' }).stdout.trim().replaceAll('\n', ', ')
  return lacks === '' ? undefined : `this machine lacks ${lacks}`
}

export interface ShellServer {
  readonly name: string
  readonly root: string
  /** Labels of the scripts that ran, in order. */
  readonly ran: string[]
  readonly session: Session
  /** Called before each script; may throw, or answer in its place. The return value undefined lets the script run. */
  before: (options: RunOptions, script: Script) => Promise<Partial<CommandResult> | undefined> | Partial<CommandResult> | undefined
  /** Called after each script that ran; may throw in place of its result. */
  after: (options: RunOptions) => void
  /** Text put before each script and run by bash: how crashes are made. Empty: plain sh. */
  prelude: string
  /** Whether a look may be answered from memory: see remembered-looks.ts. */
  remembersLooks: boolean
  read(path: string): string | undefined
  write(path: string, text: string): void
  remove(path: string): void
}

/** A bare server of three in `folder`, as after its installation: no haproxy, no keepalived. */
export function bareServer(folder: string, name: string, number: number): ShellServer {
  const root = join(folder, name)
  const server = serverAt(root, name)
  const files: Record<string, string> = {
    '/etc/machine-id': `${number}000\n`,
    '/etc/os-release': 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n',
    '/proc/sys/kernel/random/boot_id': `${number}\n`,
    '/proc/sys/kernel/hostname': `${name}\n`,
    '/proc/sys/net/ipv4/ip_nonlocal_bind': '0\n',
    '/world/address': `192.0.2.${10 + number}/24`,
    '/world/mac': `02:00:00:00:00:0${number}`,
    '/world/conffile.md5': '-',
  }
  for (const [path, text] of Object.entries(files)) server.write(path, text)
  for (const path of ['var/lib/apt/lists', 'var/lib/dpkg/updates', 'run/systemd/system', 'run/systemd/transient', 'tmp', 'usr/local/bin'])
    mkdirSync(join(root, path), { recursive: true })
  for (const path of ['etc/sysctl.d', 'etc/tmpfiles.d', 'world/packages', 'world/units']) mkdirSync(join(root, path), { recursive: true })
  return server
}

/** The server whose folder this is already. */
export function serverAt(root: string, name: string): ShellServer {
  const place = (path: string) => join(root, path)
  const server: ShellServer = {
    name,
    root,
    ran: [],
    session: {
      server: name,
      peer: `${name}.example.com:22`,
      patience: 1,
      async run(script, options) {
        const answer = await server.before(options, script)
        if (answer !== undefined) return { code: 0, stdout: '', stderr: '', durationMs: 1, ...answer }
        server.ran.push(options.label)
        const real = () => runScript(server, script, options)
        const mayRemember = server.remembersLooks && isLook(options) && server.prelude === '' && options.signal?.aborted !== true
        const result = await (mayRemember ? rememberedLook(root, script, real) : real())
        server.after(options)
        return result
      },
      async close() {},
    },
    before: () => undefined,
    after: () => {},
    prelude: '',
    remembersLooks: false,
    read: path => (existsSync(place(path)) ? readFileSync(place(path), 'utf8') : undefined),
    write(path, text) {
      mkdirSync(dirname(place(path)), { recursive: true })
      writeFileSync(place(path), text)
    },
    remove: path => rmSync(place(path), { recursive: true, force: true }),
  }
  return server
}

/** The same server in another folder, to be changed by itself. */
export function copyOf(server: ShellServer, folder: string): ShellServer {
  const root = join(folder, server.name)
  cpSync(server.root, root, { recursive: true, preserveTimestamps: true })
  const copy = movedFrom(server.root, serverAt(root, server.name))
  copy.remembersLooks = server.remembersLooks
  return copy
}

/** A server whose folder was copied from another: its records name paths, and its copies are named after them, all in the new folder now. */
export function movedFrom(oldRoot: string, server: ShellServer): ShellServer {
  const state = join(server.root, 'var/lib/hactl')
  const flat = (root: string) => root.replaceAll('/', '_')
  const renamed = new Map<string, string>()
  for (const entry of existsSync(state) ? readdirSync(state, { recursive: true, withFileTypes: true }) : []) {
    const path = join(entry.parentPath, entry.name)
    if (!entry.isFile()) continue
    const text = readFileSync(path, 'utf8')
    for (const [old = ''] of text.matchAll(new RegExp(`${oldRoot}/\\S+`, 'g')))
      renamed.set(copyName(old), copyName(old.replace(oldRoot, server.root)))
    const moved = text.replaceAll(oldRoot, server.root).replaceAll(flat(oldRoot), flat(server.root))
    if (moved !== text) writeFileSync(path, moved)
    if (entry.name.startsWith(flat(oldRoot))) renameSync(path, join(entry.parentPath, entry.name.replace(flat(oldRoot), flat(server.root))))
  }
  // The history has the names of its copies.
  const originals = join(state, 'original')
  for (const name of existsSync(originals) ? readdirSync(originals) : []) {
    const to = renamed.get(name.replace(/[.]link$/, ''))
    if (to !== undefined) renameSync(join(originals, name), join(originals, `${to}${name.endsWith('.link') ? '.link' : ''}`))
  }
  return server
}

/** All that matters of a server, as one text: files, ownership, stamps, units and what they have loaded; not what a run keeps for itself. `without`: paths to leave out. */
export function fingerprint(root: string, without?: RegExp): string {
  const lines: string[] = []
  const walk = (path: string) => {
    for (const entry of readdirSync(join(root, path), { withFileTypes: true }).toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const below = `${path}/${entry.name}`
      if (without?.test(below) === true) continue
      if (/hactl\/(lock|format|runs|switch|\.)|owned\.new|\.hactl-new$|\.log$|worker$|children$|script/.test(below)) continue
      if (entry.isDirectory()) walk(below)
      else {
        const text = readFileSync(join(root, below), 'utf8').replaceAll(root, '')
        const shown = /\/(?:owned|manifest)$/.test(below) ? text.split('\n').toSorted().join('\n') : text
        const mode = (statSync(join(root, below)).mode & 0o777).toString(8)
        // The names of copies are made from whole paths, the root's among them.
        lines.push(`${below} ${mode}\n${shown}`.replaceAll(/\b[0-9a-f]{64}-/g, '').replaceAll(root.replaceAll('/', '_'), ''))
      }
    }
  }
  for (const top of ['etc', 'usr', 'var', 'run', 'world', 'proc/sys']) walk(top)
  return lines.toSorted().join('\n')
}

// An absolute path as the scripts write it: at the start of a word, never in the middle of base64.
const PATHS = /(?<![A-Za-z0-9._+/-])\/(?=(?:etc|var|run|proc|tmp|usr\/local)\/)/g

let scripts = 0

async function runScript(server: ShellServer, script: Script, options: RunOptions): Promise<CommandResult> {
  const { root } = server
  // A file of its own for each: a shell goes on reading its script while it runs.
  const file = join(root, `world/script-${scripts++}`)
  const body = script.raw
    .replaceAll(PATHS, `${root}/`)
    .replaceAll('kill -36', 'keepalived-dump')
    .replaceAll('kill -USR1', 'keepalived-data')
  const standIns = server.prelude === '' ? `${STAND_IN_FUNCTIONS}\n${READ_STAND_INS}` : `${STAND_IN_FUNCTIONS}\n${server.prelude}`
  writeFileSync(file, `echo $$ >${root}/world/script.pid\n${standIns}\n${body}`)
  const [shell, ...args] = server.prelude === '' ? ['/bin/sh', file] : ['bash', '--posix', file]
  let stdout = ''
  let stderr = ''
  let unfinished = ''
  const env = { PATH: `${STAND_INS}:${process.env['PATH']}`, STAND_INS, ROOT: root, LC_ALL: 'C' }
  const { ended, kill } = startSmall(shell ?? '/bin/sh', args, env, (stream, text) => {
    if (stream === 'stderr') return void (stderr += text)
    stdout += text
    const lines = `${unfinished}${text}`.split('\n')
    unfinished = lines.pop() ?? ''
    for (const line of lines) options.onLine?.(line.replaceAll(root, ''))
  })
  options.signal?.addEventListener('abort', kill, { once: true })
  const code = await ended
  options.signal?.removeEventListener('abort', kill)
  if (options.signal?.aborted === true) throw new HactlError({ code: 'E_INTERRUPTED', server: server.name, what: options.label })
  if (code === null) throw connectionLost(server.name)
  return { code, stdout: stdout.replaceAll(root, ''), stderr: stderr.replaceAll(root, ''), durationMs: 1 }
}
