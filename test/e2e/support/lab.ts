/**
 * The lab of this checkout, read with docker exec or through its second network and with files, and never with hactl's code. It is the lab of
 * containers, or with HACTL_LAB=kernel that of real kernels.
 */
import { execFile, spawn } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { LabFile } from '../../lab/lab-file.ts'

export const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))))
const isKernelLab = process.env['HACTL_LAB'] === 'kernel'
const LAB = isKernelLab ? 'test/kernel-lab/lab' : 'test/lab/lab'
const labState = process.env[isKernelLab ? 'HACTL_KERNEL_LAB_STATE' : 'HACTL_LAB_STATE']
export const labFolder = labState === undefined ? join(root, isKernelLab ? '.kernel-lab' : '.lab') : resolve(labState)

export type ServerName = 'srv-1' | 'srv-2' | 'srv-3'
export const SERVERS: readonly ServerName[] = ['srv-1', 'srv-2', 'srv-3']

export interface ShellResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a local command to its end; a signal counts as 255. */
export function local(file: string, argv: readonly string[], options: { readonly timeoutMs?: number } = {}): Promise<ShellResult> {
  return new Promise(resolve => {
    execFile(file, argv, { timeout: options.timeoutMs ?? 60_000, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 255
      resolve({ code, stdout, stderr })
    })
  })
}

/** One command of the lab's own program; throws with what it said where it fails. */
export async function labCommand(...argv: string[]): Promise<void> {
  const done = await local(join(root, LAB), argv, { timeoutMs: 600_000 })
  if (done.code !== 0) throw new Error(`${LAB} ${argv.join(' ')} ended with ${done.code}:\n${done.stderr}`)
}

function labFile(): LabFile {
  return JSON.parse(readFileSync(join(labFolder, 'lab.json'), 'utf8')) as LabFile
}

/** Starts the lab where it is not up, and servers that a test left stopped. */
export async function labUp(): Promise<void> {
  await labCommand('up')
}

export interface Lab extends LabFile {
  /** Three servers on which nothing was ever installed. */
  reset(): Promise<void>
  host(server: string): string
  container(server: string): string
  /** A shell line as root in a server; throws when it fails. */
  sh(server: string, script: string): Promise<string>
  /** The same, whatever its status. */
  trySh(server: string, script: string): Promise<ShellResult>
  /** The same line on all three servers. */
  everywhere(script: string): Promise<readonly string[]>
  /** The words of a local command that runs a shell line as root in a server, with stdin. */
  shell(server: string, script: string): Command
  docker(...argv: string[]): Promise<ShellResult>
  cut(server: string): Promise<void>
  mend(server: string): Promise<void>
  /** The mails that came in, oldest first. */
  mails(): readonly string[]
  clearMails(): Promise<void>
  /** Which servers carry the virtual address on an interface, by what ip(8) says in each of them. */
  holders(address?: string): Promise<readonly string[]>
  /** Starts what is stopped, plugs in what is unplugged. */
  heal(): Promise<void>
}

type Command = readonly [file: string, argv: readonly string[]]
type Machine = LabFile['servers'][number]

function shellIn(file: LabFile, { name, container, console: address }: Machine, script: string, hasInput = false): Command {
  if (address === undefined) return ['docker', ['exec', ...(hasInput ? ['-i'] : []), container, 'bash', '-c', script]]
  // The lab keeps a connection open to each server: a new one takes a second there. Where it has ended, ssh makes one of its own.
  const options = [`ControlPath=${file.run}/ssh-${name.replace('srv-', '')}`, 'BatchMode=yes', 'ConnectTimeout=5', 'LogLevel=ERROR']
  const known = ['IdentitiesOnly=yes', 'StrictHostKeyChecking=yes', `UserKnownHostsFile=${file.known_hosts}`]
  const alive = ['ServerAliveInterval=5', 'ServerAliveCountMax=3']
  const settings = [...options, ...known, ...alive].flatMap(option => ['-o', option])
  return ['ssh', ['-F', 'none', '-i', file.key, ...(hasInput ? [] : ['-n']), ...settings, `root@${address}`, script]]
}

export function openLab(): Lab {
  if (!existsSync(join(labFolder, 'lab.json'))) throw new Error(`there is no lab: run ${LAB} up`)
  const file = labFile()
  const machines = [...file.servers, ...file.backends, file.mail]
  const machine = (name: string) => {
    const found = machines.find(one => one.name === name)
    if (found === undefined) throw new Error(`the lab has no ${name}`)
    return found
  }
  const trySh = (server: string, script: string) => local(...shellIn(file, machine(server), script))
  const sh = async (server: string, script: string) => {
    const done = await trySh(server, script)
    if (done.code !== 0) throw new Error(`${server}: ${script}\nended with ${done.code}: ${done.stderr || done.stdout}`)
    return done.stdout
  }
  const docker = (...argv: string[]) => local('docker', argv)
  const holders = async (address = file.vip) => {
    // An address that a server has on lo is one whose connections it keeps, or may have to keep: it is not held.
    const answers = await Promise.all(SERVERS.map(server => trySh(server, `ip -o addr show scope global to ${address}`)))
    return SERVERS.filter((_, index) => answers[index]?.stdout.includes(` ${address}/`))
  }
  return {
    ...file,
    reset: () => labCommand('reset'),
    host: name => machine(name).host,
    container: name => machine(name).container,
    sh,
    trySh,
    everywhere: script => Promise.all(SERVERS.map(server => sh(server, script))),
    shell: (server, script) => shellIn(file, machine(server), script, true),
    docker,
    cut: server => labCommand('cut', server),
    mend: server => labCommand('mend', server),
    mails: () =>
      readdirSync(file.mail.dir)
        .filter(name => name.endsWith('.eml'))
        .toSorted()
        .map(name => readFileSync(join(file.mail.dir, name), 'utf8')),
    clearMails: () => labCommand('mails', 'clear'),
    holders,
    heal: async () => {
      if (isKernelLab) return await labUp()
      for (const { name, container } of file.servers) {
        const state = (await docker('inspect', '-f', '{{.State.Status}}', container)).stdout.trim()
        if (state === 'paused') await docker('unpause', container)
        else if (state !== 'running') await docker('start', container)
        await labCommand('mend', name)
      }
    },
  }
}

/** Polls until `isTrue`, or throws with `what` after `limitMs`. */
export async function until(what: string, limitMs: number, isTrue: () => Promise<boolean> | boolean): Promise<void> {
  const endMs = performance.now() + limitMs
  while (!(await isTrue())) {
    if (performance.now() > endMs) throw new Error(`not so after ${limitMs / 1000} s: ${what}`)
    await pause(100)
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}

/** How long the watchers of a holder log may take to end. */
const WATCHERS_END_MS = 5000

/** When each server had the address, from the kernel's own messages; times are ms since the epoch. */
export interface HolderLog {
  /** Ends the watch. The longest time in ms that two or more servers had the address at once, and that nobody had it. */
  stop(): Promise<{ readonly twoHoldersMs: number; readonly nobodyMs: number; readonly moves: readonly string[] }>
}

/** Watches a virtual address on all servers with `ip monitor`: exact to the message, not to a polling interval. */
export async function watchHolders(lab: Lab, address = lab.vip): Promise<HolderLog> {
  const held = new Set(await lab.holders(address))
  const changes: { readonly atMs: number; readonly server: string; readonly has: boolean }[] = []
  const startMs = Date.now()
  const watchers = SERVERS.map(server => {
    const script = 'ip -o -ts monitor address & watch=$!; timeout 900 cat >/dev/null; kill $watch'
    const child = spawn(...lab.shell(server, script), { stdio: ['pipe', 'pipe', 'ignore'] })
    // Its server may be down by the time it is stopped.
    child.stdin.on('error', () => undefined)
    let rest = ''
    child.stdout.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString('utf8')).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const at = /^\[([^\]]+)\] /.exec(line)?.[1]
        if (at === undefined || !line.includes(` ${address}/`) || / scope host lo\b/.test(line)) continue
        changes.push({ atMs: Date.parse(`${at}Z`), server, has: !/\] ?Deleted/.test(line) })
      }
    })
    // A server that reboots ends it early.
    const ended = new Promise(resolve => child.once('close', resolve))
    child.stdin.on('error', () => undefined)
    return { child, ended }
  })
  return {
    stop: async () => {
      await pause(200)
      for (const { child } of watchers) child.stdin.end()
      // docker exec into a server that booted meanwhile may never end by itself.
      await Promise.race([Promise.all(watchers.map(({ ended }) => ended)), pause(WATCHERS_END_MS)])
      for (const { child } of watchers) child.kill('SIGKILL')
      const now = new Set(held)
      let [twoHoldersMs, nobodyMs] = [0, 0]
      let sinceMs = startMs
      const moves: string[] = []
      const count = (untilMs: number) => {
        if (now.size > 1) twoHoldersMs = Math.max(twoHoldersMs, untilMs - sinceMs)
        if (now.size === 0) nobodyMs = Math.max(nobodyMs, untilMs - sinceMs)
      }
      for (const change of changes.toSorted((a, b) => a.atMs - b.atMs)) {
        if (now.has(change.server) === change.has) continue
        count(change.atMs)
        if (change.has) now.add(change.server)
        else now.delete(change.server)
        moves.push(`${change.atMs - startMs} ${change.server} ${change.has ? 'has it' : 'has it no more'}`)
        sinceMs = change.atMs
      }
      count(Date.now())
      return { twoHoldersMs, nobodyMs, moves }
    },
  }
}
