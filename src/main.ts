#!/usr/bin/env node
/** The bin: gives run() the real world, turns signals into an abort and its answer into the exit status. */
import { writeSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname } from 'node:path'
import { isatty } from 'node:tty'
import { fileURLToPath } from 'node:url'
import packageJson from '../package.json' with { type: 'json' }
import { createApp } from './app/app.ts'
import { run } from './cli/run.ts'
import { commandLogPath, createCommandLog } from './command-log.ts'
import type { LocalCommand, Ports, Remote } from './ports.ts'
import { runLocalCommand, systemClock, systemConnectionKeeper, systemFiles, systemProber } from './system.ts'

const ANOTHER_SIGNAL_MS = 10_000
const LINGER_MS = 2000

const packageRoot = dirname(dirname(fileURLToPath(import.meta.url)))

// Libraries that colour by themselves look here; the flag must reach them too.
if (process.argv.includes('--no-color')) process.env['NO_COLOR'] = '1'

const controller = new AbortController()
const impatience = new AbortController()
let lastSignalAt = Number.NEGATIVE_INFINITY

/** The first signal stops the run, which then undoes what it has begun; the second is told so; the third, soon after, ends the process. */
function onSignal(name: 'SIGINT' | 'SIGTERM'): void {
  const isSoon = performance.now() - lastSignalAt < ANOTHER_SIGNAL_MS
  lastSignalAt = performance.now()
  if (!controller.signal.aborted) controller.abort(name)
  else if (!impatience.signal.aborted) impatience.abort()
  else if (isSoon) {
    // Whoever was drawing may have hidden the cursor.
    if (isatty(2)) writeSync(2, '\u001B[?25h\n')
    process.exit(name === 'SIGTERM' ? 143 : 130)
  }
}

process.on('SIGINT', () => onSignal('SIGINT'))
process.on('SIGTERM', () => onSignal('SIGTERM'))
// Something thrown where nobody could catch it must not skip an undo: it stops the run like a signal does.
process.on('uncaughtException', error => controller.abort(error))
// The reader of a pipe may leave early (hactl plan | head); the work goes on.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
}

let remote: Remote | undefined

const localCommand: LocalCommand = (argv, options) => runLocalCommand(argv, { ...options, signal: controller.signal })

const ports: Ports = {
  remote: {
    // ssh2 is most of the start-up time: loaded by the first connection, never by check or --help.
    connect: async (target, signal) => {
      const { createSshRemote } = await import('./engine/ssh/node-ssh.ts')
      remote ??= createSshRemote({
        env: process.env,
        home: homedir(),
        files: systemFiles,
        localCommand,
        log: createCommandLog(commandLogPath(process.argv.slice(2), process.env, homedir(), process.cwd(), systemClock.now()), why =>
          process.stderr.write(`${why}\n`),
        ),
        clock: systemClock,
      })
      return remote.connect(target, signal)
    },
  },
  clock: systemClock,
  files: systemFiles,
  probe: systemProber,
  keepConnection: systemConnectionKeeper,
  localCommand,
  terminal: {
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
  },
  env: process.env,
  cwd: process.cwd(),
  home: homedir(),
  signal: controller.signal,
}

process.exitCode = await run(process.argv.slice(2), ports, {
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
// A connection or a child that somebody forgot must not keep a finished run alive; the timer itself keeps nothing alive.
setTimeout(() => process.exit(), LINGER_MS).unref()
