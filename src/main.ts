#!/usr/bin/env node
/** The bin: gives run() the real world, turns signals into an abort and its answer into the exit status. */
import { writeSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname } from 'node:path'
import { isatty } from 'node:tty'
import { fileURLToPath } from 'node:url'
import packageJson from '../package.json' with { type: 'json' }
import { createApp } from './app/app.ts'
import { run, tellFault } from './cli/run.ts'
import { createLedger } from './engine/ledger.ts'
import { commandLogPath, createCommandLog } from './command-log.ts'
import { HactlError } from './errors.ts'
import type { LocalCommand, Ports, Remote, Terminal } from './ports.ts'
import { runLocalCommand, systemClock, systemProber } from './system.ts'
import { systemFiles } from './system/files.ts'
import { systemConnectionKeeper } from './system/long-lived.ts'

const ANOTHER_SIGNAL_MS = 10_000
const LINGER_MS = 2000

const packageRoot = dirname(dirname(fileURLToPath(import.meta.url)))

// Libraries that colour by themselves look here; the flag must reach them too.
if (process.argv.includes('--no-color')) process.env['NO_COLOR'] = '1'

const controller = new AbortController()
const impatience = new AbortController()
/** Streams that take nothing any more. */
const isLost = new Set<string>()
let lastSignalAt = Number.NEGATIVE_INFINITY

/** The first signal stops the run, which then undoes what it started. The second is answered with that. The third, soon after, ends the process. */
function onSignal(name: 'SIGINT' | 'SIGTERM'): void {
  const isSoon = performance.now() - lastSignalAt < ANOTHER_SIGNAL_MS
  lastSignalAt = performance.now()
  if (!controller.signal.aborted) controller.abort(name)
  else if (!impatience.signal.aborted) impatience.abort()
  else if (isSoon) {
    // The progress display may have hidden the cursor.
    if (isatty(2)) writeSync(2, '\u001B[?25h\n')
    process.exit(name === 'SIGTERM' ? 143 : 130)
  }
}

process.on('SIGINT', () => onSignal('SIGINT'))
process.on('SIGTERM', () => onSignal('SIGTERM'))
const argv = process.argv.slice(2)
const terminal: Terminal = {
  // Asked by number: the getters of process would open the streams.
  stdinIsTTY: isatty(0),
  stdoutIsTTY: isatty(1),
  stderrIsTTY: isatty(2),
  get columns() {
    if (isatty(1)) return process.stdout.columns
    return isatty(2) ? process.stderr.columns : 0
  },
  writeOut: text => void process.stdout.write(text),
  writeErr: text => void process.stderr.write(text),
}

const ledger = createLedger()
/** What is needed to report how the run ended where run() could not. */
const ending = { env: process.env, terminal, ledger, signal: controller.signal }

let phase: 'before' | 'running' | 'over' = 'before'
let stray: unknown

/** An error that nothing could catch. During a run it stops the run as a signal does, because it must not skip an undo. */
function onStray(error: unknown): void {
  stray ??= error
  switch (phase) {
    case 'before':
      // No run has started, and the code that would start it is broken.
      return void process.exit(tellFault(error, argv, ending))
    case 'running':
      return controller.abort(error)
    case 'over':
      process.exitCode = statusAtEnd(Number(process.exitCode))
  }
}

/** `ofRun`: what run() gave. A run that succeeded, but whose output could not be written, did not say all that it should have. */
function statusAtEnd(ofRun: number): number {
  return ofRun === 0 && stray !== undefined ? tellFault(stray, argv, ending) : ofRun
}

process.on('uncaughtException', onStray)
for (const [stream, name] of [
  [process.stdout, 'stdout'],
  [process.stderr, 'stderr'],
] as const) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // The reader of a pipe may leave early (hactl plan | head); the work goes on.
    if (error.code === 'EPIPE' || isLost.has(name)) return
    isLost.add(name)
    onStray(
      new HactlError({
        code: 'E_OUTPUT',
        what: `${name} cannot be written: ${error.message}`,
        fix: 'check where this output goes',
        cause: error,
      }),
    )
  })
}

/** Throws E_USAGE where the folder was deleted meanwhile. */
function currentFolder(): string {
  try {
    return process.cwd()
  } catch (cause) {
    throw new HactlError({ code: 'E_USAGE', what: 'the current folder does not exist any more', fix: 'cd to a folder that exists', cause })
  }
}

let remote: Remote | undefined

const localCommand: LocalCommand = (argv, options) => runLocalCommand(argv, { ...options, signal: controller.signal })

const ports: Ports = {
  ledger,
  remote: {
    // ssh2 is most of the start-up time: loaded by the first connection, never by check or --help.
    connect: async (target, signal) => {
      const { createSshRemote } = await import('./engine/ssh/node-ssh.ts')
      remote ??= createSshRemote({
        env: process.env,
        home: homedir(),
        files: systemFiles,
        localCommand,
        log: createCommandLog(commandLogPath(argv, process.env, homedir(), currentFolder(), systemClock.now()), why =>
          process.stderr.write(`${why}\n`),
        ),
        clock: systemClock,
        warn: text => terminal.writeErr(`warning: ${text}\n`),
      })
      return remote.connect(target, signal)
    },
  },
  clock: systemClock,
  files: systemFiles,
  probe: systemProber,
  keepConnection: systemConnectionKeeper,
  localCommand,
  // Its library is large: loaded by the first download.
  download: async (url, options) => (await import('./system/download.ts')).systemDownload(url, options),
  terminal,
  env: process.env,
  get cwd() {
    return currentFolder()
  },
  home: homedir(),
  signal: controller.signal,
}

phase = 'running'
const ofRun = await run(argv, ports, {
  app: createApp(packageRoot),
  prompter: async () => {
    const { createPrompter } = await import('./cli/wizard/inquirer.ts')
    return createPrompter({ input: process.stdin, output: process.stderr, signal: controller.signal })
  },
  createTree: async () => (await import('./cli/view/tree.ts')).createTree(),
  interrupt: () => onSignal('SIGINT'),
  impatience: impatience.signal,
  version: packageJson.version,
  packageRoot,
})
// Files, terminals and pipes are written synchronously (Node's process.stdout): what they refused has been reported after one turn.
await new Promise(resolve => setImmediate(resolve))
phase = 'over'
process.exitCode = statusAtEnd(ofRun)
// A connection or a child process that was not closed must not keep a finished run alive. The timer itself keeps nothing alive.
setTimeout(() => process.exit(), LINGER_MS).unref()
