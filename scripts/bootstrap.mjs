// Runs one of the scripts beside it on any Node that hactl itself runs on:  node scripts/bootstrap.mjs NAME [ARGUMENT...]
// It installs what package-lock.json names, unless it is there already; the script then runs on the Node 24 that this brings.
// The only plain JavaScript here: it runs before node_modules exists, so it imports node: built-ins only and keeps to what Node 20 has.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const node = join(root, 'node_modules/.bin/node')
const OLDEST_NODE = [20, 17]
const NPM_LIMIT_MS = 600_000
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']

/** Ends this process with a plain message. */
function stop(what, why, fix, status = 1) {
  console.error(`\n${what}\n  why  ${why}\n  fix  ${fix}`)
  process.exit(status)
}

/**
 * Runs a command to its end, in a process group of its own: what a terminal sends to all at once comes to it once, from here.
 * Resolves its exit status, as a shell counts it.
 */
function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, detached: true, stdio: ['ignore', 'inherit', 'inherit'], ...options })
    const pass = signal => child.kill(signal)
    for (const signal of SIGNALS) process.on(signal, pass)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      for (const name of SIGNALS) process.off(name, pass)
      resolve(code ?? 128 + (constants.signals[signal] ?? 0))
    })
  })
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
  if (!existsSync(node) || statSync(node).size === 0) return 'node_modules/.bin/node is missing'
  return undefined
}

async function install() {
  const missing = whyNotInstalled()
  if (missing === undefined) return
  console.log(`\n== npm ci (${missing})`)
  // Not with the Node of the folder that npm is about to remove. Warnings are about tools that run on the Node it brings.
  const PATH = (process.env.PATH ?? '').split(delimiter).filter(folder => folder !== dirname(node))
  const status = await run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    env: { ...process.env, PATH: PATH.join(delimiter) },
    timeout: NPM_LIMIT_MS,
  })
  if (status !== 0) stop('npm ci failed', `exit ${status}, see above`, 'run it by hand: npm ci', status > 128 ? status : 1)
  const still = whyNotInstalled()
  if (still !== undefined) stop('npm ci left node_modules incomplete', still, 'rm -r node_modules && npm ci')
}

const [name = '', ...args] = process.argv.slice(2)
const script = join(root, 'scripts', `${name}.ts`)
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (!/^[a-z-]+$/.test(name) || !existsSync(script)) {
  stop(`there is no script "${name}"`, `${script} does not exist`, 'node scripts/bootstrap.mjs NAME', 3)
}
if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
  stop(`Node ${process.versions.node} is too old`, `hactl needs ${OLDEST_NODE.join('.')} or newer`, 'install Node 20 or newer', 3)
}
await install()
process.exitCode = await run(node, [script, ...args])
