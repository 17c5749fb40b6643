// What `npm test`, `npm run demo` and `npm run bench` share: node_modules, the build, the lab.
// Runs before node_modules exists, so it imports node: built-ins only and keeps to what Node 20 has.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))
export const labScript = join(root, 'test/lab/lab')
export const hactlBin = join(root, 'dist/hactl.mjs')

const bin = join(root, 'node_modules/.bin')
const MINUTE_MS = 60_000
const KILL_AFTER_MS = 15_000

/** What stops a script with a plain message: what, why, fix. */
export class Stop extends Error {
  constructor(what, why, fix, status = 1) {
    super([what, `  why  ${why}`, `  fix  ${fix}`].join('\n'))
    this.status = status
  }
}

// ---------------------------------------------------------------- signals and children

const children = new Set()
let interruptedBy

/** The signal that asked this script to end; undefined while none did. */
export const interruption = () => interruptedBy

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    interruptedBy ??= signal
    for (const child of children) signalGroup(child, signal)
  })
}

function signalGroup(child, signal) {
  try {
    process.kill(-child.pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}

// Some tools colour their output wherever CI is set: a log is for reading and for grep.
const PLAIN = { NO_COLOR: '1', FORCE_COLOR: undefined }

const searchPath = first => [...first, ...(process.env.PATH ?? '').split(delimiter).filter(folder => folder !== bin)].join(delimiter)

/**
 * Runs a command in a process group of its own, bounded in time, with no stdin.
 * `onText` gets what it prints (stdout and stderr); without it the command prints for itself.
 * Resolves { code, signal, timedOut, stdout, ms }; never rejects for an exit status.
 */
export function run(
  command,
  args,
  { env = {}, timeoutMs = 10 * MINUTE_MS, onText, capture = false, path = [bin], cwd = root, input } = {},
) {
  return new Promise((resolve, reject) => {
    const began = performance.now()
    const piped = capture || onText !== undefined
    const child = spawn(command, args, {
      cwd,
      // What hactl does to a lab does not belong into its user's own log.
      env: { ...process.env, ...(process.stdout.isTTY ? {} : PLAIN), XDG_STATE_HOME: labState, PATH: searchPath(path), ...env },
      detached: true,
      stdio: [input === undefined ? 'ignore' : 'pipe', piped ? 'pipe' : 'inherit', piped ? 'pipe' : 'inherit'],
    })
    children.add(child)
    const out = { stdout: '', stderr: '' }
    for (const name of piped ? ['stdout', 'stderr'] : []) {
      child[name].setEncoding('utf8').on('data', text => {
        out[name] += text
        onText?.(text, name)
      })
    }
    if (input !== undefined) child.stdin.on('error', () => {}).end(input)
    let timedOut = false
    let killer
    const timer = setTimeout(() => {
      timedOut = true
      signalGroup(child, 'SIGTERM')
      killer = setTimeout(() => signalGroup(child, 'SIGKILL'), KILL_AFTER_MS)
    }, timeoutMs)
    const settle = settled => {
      clearTimeout(timer)
      clearTimeout(killer)
      children.delete(child)
      settled()
    }
    child.on('error', error => settle(() => reject(error)))
    child.on('close', (code, signal) => settle(() => resolve({ code, signal, timedOut, ms: performance.now() - began, ...out })))
  })
}

/** Like run(), but anything other than exit 0 stops the script. */
export async function must(what, command, args, options) {
  const result = await run(command, args, options)
  if (result.code === 0) return result
  const { signal } = result
  if (interruptedBy !== undefined) throw new Stop(`${what}: interrupted`, interruptedBy, 'start it again', exitStatusOf(interruptedBy))
  throw new Stop(
    what,
    result.timedOut
      ? `not done after ${Math.round((options?.timeoutMs ?? 10 * MINUTE_MS) / 1000)} s`
      : `exit ${result.code ?? signal}, see above`,
    `run it by hand: ${[command, ...args].join(' ')}`,
  )
}

/** As a shell counts: 128 + the number of the signal. */
export function exitStatusOf(signal) {
  return 128 + (constants.signals[signal] ?? 0)
}

// ---------------------------------------------------------------- output

const colour = process.stdout.isTTY && !process.env.NO_COLOR
const paint = code => text => (colour ? `\u001B[${code}m${text}\u001B[0m` : text)
export const bold = paint(1)
export const dim = paint(2)

export function heading(text) {
  console.log(`\n${bold(`== ${text}`)}`)
}

export const seconds = ms => `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`

// ---------------------------------------------------------------- node_modules and the build

const OLDEST_NODE = [20, 17]

/** Installs what package-lock.json names, unless it is there already; then bundles dist/hactl.mjs. */
export async function bootstrap() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    throw new Stop(
      `Node ${process.versions.node} is too old`,
      `hactl needs ${OLDEST_NODE.join('.')} or newer`,
      'install Node 20 or newer',
      3,
    )
  }
  const missing = whyNotInstalled()
  if (missing !== undefined) {
    heading(`npm ci (${missing})`)
    // Not with the Node of the folder that npm is about to remove. Warnings are about tools that run on the Node it brings.
    await must('npm ci failed', 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { path: [], timeoutMs: 10 * MINUTE_MS })
    const still = whyNotInstalled()
    if (still !== undefined) throw new Stop('npm ci left node_modules incomplete', still, 'rm -r node_modules && npm ci')
  }
  await must('the build failed', 'node', ['scripts/build.mjs'], { timeoutMs: 2 * MINUTE_MS })
}

/** Compares what npm says it installed with what package-lock.json asks for; undefined where they agree. */
function whyNotInstalled() {
  const installedLock = join(root, 'node_modules/.package-lock.json')
  if (!existsSync(installedLock)) return 'there is no node_modules yet'
  const installed = JSON.parse(readFileSync(installedLock, 'utf8')).packages
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  for (const [path, { version, optional, link }] of Object.entries(wanted)) {
    if (path === '' || link) continue
    const found = installed[path]?.version
    // A package for another platform is in the lock file and rightly not here.
    if (found === undefined && optional) continue
    if (found !== version) return `${path} is ${found ?? 'missing'}, package-lock.json has ${version}`
  }
  // The package `node` brings the Node that the development tools need; its install script may have been switched off.
  if (!existsSync(join(bin, 'node')) || statSync(join(bin, 'node')).size === 0) return 'node_modules/.bin/node is missing'
  return undefined
}

/** Installs Debian's shellcheck where it is missing: the package of that name on npm downloads it whenever it runs. */
export async function checkers() {
  const quiet = { capture: true, timeoutMs: MINUTE_MS }
  const has = async program => (await run('sh', ['-c', `command -v ${program}`], quiet)).code === 0
  if (await has('shellcheck')) return
  const stop = why => new Stop('shellcheck is not installed', why, 'apt-get install shellcheck')
  if (process.getuid?.() !== 0) throw stop('it checks the programs that run on servers, and installing it needs root')
  if (!(await has('apt-get'))) throw stop('this machine has no apt-get to install it with')
  heading('apt-get install shellcheck')
  const apt = args => run('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=120', ...args], { env: { DEBIAN_FRONTEND: 'noninteractive' } })
  const install = () => apt(['install', '-y', '--no-install-recommends', 'shellcheck'])
  if ((await install()).code === 0) return
  await apt(['update'])
  if ((await install()).code !== 0) throw stop('apt-get could not install it, see above')
}

// ---------------------------------------------------------------- the lab

export const labState = process.env.HACTL_LAB_STATE ?? join(root, '.lab')

const suite = (release, tools = 'gnu') => ({ HACTL_LAB_RELEASE: release, HACTL_LAB_TOOLS: tools })

/** What the servers of the lab can be, as settings of test/lab/lab. */
export const SUITES = {
  bullseye: suite('bullseye'),
  bookworm: suite('bookworm'),
  trixie: suite('trixie'),
  'trixie-rust': suite('trixie', 'rust'),
}

const labFile = () => JSON.parse(readFileSync(join(labState, 'lab.json'), 'utf8'))

/** Whether this checkout's lab is up already: then it is somebody's, and stays up. */
export async function labIsUp() {
  if (!existsSync(join(labState, 'lab.json'))) return false
  const { code, stdout } = await run(labScript, ['status'], { capture: true, timeoutMs: MINUTE_MS })
  return code === 0 && stdout.split('\n').filter(line => /^srv-\d/.test(line) && line.includes('running')).length === 3
}

/**
 * Brings the lab up, runs `work` with what .lab/lab.json says, and takes the lab down again if it was down before.
 * `fresh`: servers of a lab that was up are made anew. `keep`: the lab stays up in any case. `suite`: one of SUITES; a lab that was up with
 * another one gets fresh servers of its own at the end.
 */
export async function withLab(work, { keep = false, fresh = false, suite: wanted } = {}) {
  const wasUp = await labIsUp()
  const before = wasUp ? labFile() : undefined
  const replaced =
    wanted !== undefined && before !== undefined && !isSuite(before, wanted) ? suite(before.release, before.tools) : undefined
  const meanwhile = replaced === undefined ? '' : '; its servers are replaced meanwhile'
  heading(
    wasUp
      ? `the lab is up already, and stays up${fresh ? '; its servers are made anew' : meanwhile}`
      : 'the lab: three Debian servers in containers',
  )
  try {
    await must('the lab does not come up', labScript, ['up'], { timeoutMs: 10 * MINUTE_MS, env: wanted })
    if (wasUp && fresh) await resetLab()
    return await work(labFile())
  } finally {
    // Whatever ended the work, this has to be done: it is not part of what was interrupted.
    if (!wasUp && !keep) {
      heading('taking the lab down')
      const { code } = await run(labScript, ['down'], { timeoutMs: 5 * MINUTE_MS })
      if (code !== 0) console.error('the lab is not down: run test/lab/lab down')
    } else if (replaced !== undefined) {
      heading('the lab gets servers of its own release again')
      const { code } = await run(labScript, ['up'], { timeoutMs: 10 * MINUTE_MS, env: replaced })
      if (code !== 0)
        console.error(`the lab is not what it was: run HACTL_LAB_RELEASE=${before.release} HACTL_LAB_TOOLS=${before.tools} test/lab/lab up`)
    }
  }
}

const isSuite = ({ release, tools = 'gnu' }, { HACTL_LAB_RELEASE, HACTL_LAB_TOOLS }) =>
  release === HACTL_LAB_RELEASE && tools === HACTL_LAB_TOOLS

/** Three servers on which nothing is installed. */
export async function resetLab() {
  await must('the lab cannot be reset', labScript, ['reset'], { timeoutMs: 3 * MINUTE_MS })
}

/** Runs a script's main function: a Stop is printed without a stack, and decides the exit status. */
export async function main(work) {
  try {
    process.exitCode = (await work()) ?? 0
  } catch (error) {
    console.error(error instanceof Stop ? `\n${error.message}` : error)
    process.exitCode = error instanceof Stop ? error.status : 1
  }
  if (interruptedBy !== undefined) process.exitCode = exitStatusOf(interruptedBy)
}
