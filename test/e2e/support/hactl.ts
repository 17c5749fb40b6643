/** Runs the bundle (dist/hactl.mjs) as an operator would: a child process with a folder and a home of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Lab, root } from './lab.ts'

const BUNDLE = join(root, 'dist/hactl.mjs')
// Nothing here takes minutes; a run that does is ended so that the file fails instead of the whole suite.
const RUN_LIMIT_MS = 180_000

export type Json = Readonly<Record<string, unknown>>

/** One line of --json: its event and the fields that tests read. */
export interface Line {
  readonly event: string
  readonly server?: string
  readonly drill?: string
  readonly expects?: string
  readonly servers?: readonly string[]
  readonly id?: string
  readonly stage?: string
  readonly gate?: string
  readonly title?: string
  readonly text?: string
  readonly detail?: string
  readonly wave?: number
  readonly diff?: string
  readonly action?: string
  readonly outage_ms?: number
}

interface Changed {
  readonly name: string
  readonly changed: readonly string[]
  readonly unchanged: number
}

export interface DrillLine {
  readonly drill: string
  readonly vip: string
  readonly verdict: string
  readonly from: string | null
  readonly predicted: string | null
  readonly to: string | null
  readonly outage_ms: number | null
  readonly failed_probes: number
  readonly probes: number
  readonly holders_max: number
  readonly failback: string | null
  readonly failback_outage_ms: number | null
  readonly restored: boolean
  readonly reasons?: readonly string[]
  readonly notes?: readonly string[]
  readonly connections?: number | null
  readonly connections_cut?: number | null
  readonly connections_promised?: boolean | null
  readonly origins?: readonly { readonly from: string; readonly probes: number; readonly failed_probes: number }[]
}

interface ServerStatusLine {
  readonly name: string
  readonly reachable: boolean
  readonly state: string
  readonly holds: readonly string[]
  readonly haproxy: string
  readonly keepalived: string
  readonly drift: readonly string[]
  readonly problems: readonly string[]
  readonly effective_priority: number | null
}

/** The last line of --json. Which fields are there depends on the command. */
export interface Result {
  readonly event: 'result'
  readonly command: string
  readonly exit: number
  readonly code?: string
  readonly what?: string
  readonly why?: readonly string[]
  readonly fix?: string
  readonly server?: string
  readonly servers?: readonly (Changed & ServerStatusLine & { readonly code?: string })[]
  readonly holder?: Readonly<Record<string, string>>
  readonly drills?: readonly DrillLine[]
  readonly changes?: number
  readonly outage_ms?: number
  readonly problems?: readonly string[]
}

export interface Run {
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
  /** The lines of --json; empty without it. */
  readonly lines: readonly Line[]
}

interface RunOptions {
  /** For what takes longer than other runs, in ms. */
  readonly limitMs?: number
  readonly env?: Readonly<Record<string, string>>
  /** Run in a terminal (script(1)); stdout and stderr both come from it. Each answer is typed once its question is shown. */
  readonly answers?: readonly { readonly question: string; readonly answer: string }[]
}

export interface Workspace {
  readonly dir: string
  readonly home: string
  readonly inventory: string
  write(name: string, text: string): string
  /** Writes inventory.yml; JSON is YAML. */
  writeInventory(inventory: Json): string
  hactl(argv: readonly string[], options?: RunOptions): Promise<Run>
  /** Starts a run that goes on while the test looks at it or ends it. */
  start(argv: readonly string[], options?: RunOptions): Running
  remove(): void
}

export interface Running {
  readonly pid: number
  /** The lines of --json so far. */
  lines(): readonly Line[]
  /** Resolves with the first line that fits, also one that came already; rejects where the run ends without it. */
  line(what: string, fits: (line: Line) => boolean): Promise<Line>
  signal(name: NodeJS.Signals): void
  readonly ended: Promise<Run>
}

/** A folder with an inventory of the lab in it and an empty home. Remove it when done. */
export function openWorkspace(inventory: Json): Workspace {
  const dir = mkdtempSync(join(tmpdir(), 'hactl-e2e-'))
  const home = join(dir, 'home')
  mkdirSync(join(home, '.ssh'), { recursive: true, mode: 0o700 })
  const write = (name: string, text: string) => {
    const path = join(dir, name)
    writeFileSync(path, text)
    return path
  }
  const writeInventory = (value: Json) => write('inventory.yml', `${JSON.stringify(value, undefined, 2)}\n`)
  const start = (argv: readonly string[], options: RunOptions = {}) => startRun(dir, home, argv, options)
  return {
    dir,
    home,
    inventory: writeInventory(inventory),
    write,
    writeInventory,
    start,
    hactl: (argv, options) => start(argv, options).ended,
    remove: () => rmSync(dir, { recursive: true, force: true }),
  }
}

function startRun(dir: string, home: string, argv: readonly string[], options: RunOptions): Running {
  const words = [process.execPath, BUNDLE, ...argv]
  const { answers } = options
  const [file = '', ...rest] = answers === undefined ? words : ['script', '-qefc', words.map(quoted).join(' '), '/dev/null']
  const child = spawn(file, rest, {
    cwd: dir,
    // The machine that runs the tests must have no influence: no agent, no ssh_config, no inventory.
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: home,
      XDG_STATE_HOME: join(home, '.local/state'),
      USER: 'tester',
      TERM: 'xterm',
      ...options.env,
    },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: options.limitMs ?? RUN_LIMIT_MS,
    killSignal: 'SIGKILL',
  })
  if (answers === undefined) child.stdin.end()
  else typeAnswers(child, answers)
  return watch(child, argv)
}

function typeAnswers(child: ChildProcess, answers: NonNullable<RunOptions['answers']>): void {
  const left = [...answers]
  let shown = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    shown += chunk.toString('utf8')
    const next = left[0]
    if (next === undefined || !shown.includes(next.question)) return
    left.shift()
    shown = ''
    child.stdin?.write(`${next.answer}\r`)
  })
}

function watch(child: ChildProcess, argv: readonly string[]): Running {
  let [stdout, stderr] = ['', '']
  const lines: Line[] = []
  let wake: (() => void)[] = []
  let isOver = false
  const news = () => {
    const waiting = wake
    wake = []
    for (const tell of waiting) tell()
  }
  let rest = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    const text = chunk.toString('utf8')
    stdout += text
    const complete = (rest + text).split('\n')
    rest = complete.pop() ?? ''
    for (const line of complete) if (line.startsWith('{')) lines.push(JSON.parse(line) as Line)
    news()
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8')
  })
  const ended = new Promise<Run>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      isOver = true
      news()
      resolve({ exit: code ?? (signal === 'SIGKILL' ? 137 : 255), stdout, stderr, lines })
    })
  })
  return {
    pid: child.pid ?? -1,
    lines: () => lines,
    line: async (what, fits) => {
      for (;;) {
        const found = lines.find(fits)
        if (found !== undefined) return found
        if (isOver) throw new Error(`hactl ${argv.join(' ')} ended without "${what}":\n${stdout}\n${stderr}`)
        await new Promise<void>(resolve => wake.push(resolve))
      }
    },
    signal: name => void child.kill(name),
    ended,
  }
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}

/** Throws with the end of what the run said unless it ended with this status. */
export function expectExit(run: Run, exit: number): void {
  if (run.exit !== exit)
    throw new Error(`hactl ended with ${run.exit}, not with ${exit}:\n${run.stdout.slice(-1500)}\n${run.stderr.slice(-1500)}`)
}

/** The last line of --json; throws where it is no result. */
export function resultOf(run: Run): Result {
  const last = run.stdout.trimEnd().split('\n').at(-1) ?? ''
  const value = last.startsWith('{') ? (JSON.parse(last) as Result) : undefined
  if (value?.event !== 'result') throw new Error(`the last line is no result: ${last}\n${run.stdout}\n${run.stderr}`)
  return value
}

/** An inventory for the lab; values that a test gives override its own. */
export function labInventory(lab: Lab, over: Json = {}): Json {
  return {
    cluster: 'lab',
    ssh: { user: 'root', identity_file: lab.key, known_hosts: lab.known_hosts, host_key_checking: 'strict' },
    servers: lab.servers.map(({ name, host }) => ({ name, host })),
    vrrp_instances: [vrrpInstance(lab)],
    haproxy: labHaproxy(lab),
    ...over,
  }
}

export function vrrpInstance(lab: Lab, over: Json = {}): Json {
  return { name: 'VRRP1', virtual_router_id: 66, virtual_ipaddress: [`${lab.vip}/24`], ...over }
}

export function labHaproxy(lab: Lab, over: Json = {}): Json {
  return {
    frontends: [{ name: 'web', bind: [':80'], mode: 'http', default_backend: 'app' }],
    backends: [
      {
        name: 'app',
        balance: 'roundrobin',
        option: ['httpchk GET /health'],
        servers: lab.backends.map(({ name, host }) => ({ name, address: `${host}:80`, check: true })),
      },
    ],
    ...over,
  }
}

/** The article's cluster on the lab: what an operator who follows it would have written. */
export function classicInventory(lab: Lab, over: Json = {}): Json {
  return labInventory(lab, {
    profile: 'classic',
    global_defs: {
      notification_email: ['name@example.com', 'second@example.com'],
      notification_email_from: 'sender@example.com',
      smtp_server: lab.mail.host,
      smtp_connect_timeout: 30,
    },
    vrrp_script: { interval: 2, fall: 2, rise: 2, timeout: 2, weight: 5 },
    vrrp_instances: [
      vrrpInstance(lab, {
        interface: 'eth0',
        priority: { 'srv-1': 100, 'srv-2': 99, 'srv-3': 98 },
        advert_int: 1,
        authentication: { auth_type: 'PASS', auth_pass: { env: 'VRRP_AUTH_PASS' } },
        virtual_ipaddress: [lab.vip],
      }),
    ],
    ...over,
  })
}

/** The source of classicInventory's auth_pass. */
export const CLASSIC_ENV = { VRRP_AUTH_PASS: 'k33pal1v' }

/** Asserts how a run was refused: its status, the code, and that what, why and fix say these words. */
export function expectRefusal(
  run: Run,
  exit: number,
  code: string,
  words: { readonly what?: RegExp; readonly why?: RegExp; readonly fix?: RegExp },
): Result {
  expectExit(run, exit)
  const result = resultOf(run)
  const said = { code: result.code, what: result.what ?? '', why: (result.why ?? []).join('\n'), fix: result.fix ?? '' }
  for (const part of ['what', 'why', 'fix'] as const) {
    const wanted = words[part]
    if (wanted !== undefined && !wanted.test(said[part]))
      throw new Error(`"${part}" does not say ${wanted}:\n${JSON.stringify(said, undefined, 2)}`)
  }
  if (said.code !== code || said.what === '' || said.fix === '')
    throw new Error(`not ${code} with what and fix:\n${JSON.stringify(said, undefined, 2)}`)
  // The same in words, for people: the code behind what, then why and fix.
  if (!run.stderr.includes(`[${code}]`)) throw new Error(`stderr does not name ${code}:\n${run.stderr}`)
  return result
}
