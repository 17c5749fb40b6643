/** A Terminal that remembers what was written, and the ports around it for tests of the command line. */
import { HactlError } from '../../src/errors.ts'
import { createLedger } from '../../src/engine/ledger.ts'
import type { Files, Ports, Terminal } from '../../src/ports.ts'
import { manualClock } from './clock.ts'

export interface FakeTerminal extends Terminal {
  readonly out: () => string
  readonly err: () => string
}

export interface TerminalSettings {
  readonly stdin?: boolean
  readonly stdout?: boolean
  readonly stderr?: boolean
  readonly columns?: number
}

/** A stream is no terminal unless the test says so. */
export function fakeTerminal({ stdin = false, stdout = false, stderr = false, columns = 80 }: TerminalSettings = {}): FakeTerminal {
  let out = ''
  let err = ''
  return {
    stdinIsTTY: stdin,
    stdoutIsTTY: stdout,
    stderrIsTTY: stderr,
    columns,
    writeOut: text => void (out += text),
    writeErr: text => void (err += text),
    out: () => out,
    err: () => err,
  }
}

export interface FakeFiles extends Files {
  readonly written: ReadonlyMap<string, string>
}

/** Files in memory, by absolute path. */
export function fakeFiles(contents: Readonly<Record<string, string>> = {}): FakeFiles {
  const files = new Map(Object.entries(contents))
  const written = new Map<string, string>()
  return {
    written,
    read: async path => {
      const text = files.get(path)
      return text === undefined ? undefined : Buffer.from(text)
    },
    write: async (path, text) => {
      files.set(path, text)
      written.set(path, text)
    },
    exists: async path => files.has(path),
    list: async () => undefined,
    whyNotWritable: async () => undefined,
  }
}

/** Ports without a network: a call of a server or a command fails the test. */
export function fakePorts(
  over: Partial<Omit<Ports, 'terminal' | 'files'>> & { terminal?: FakeTerminal; files?: FakeFiles } = {},
): Ports & { readonly terminal: FakeTerminal; readonly files: FakeFiles } {
  const unexpected = (what: string) => async () => {
    throw new HactlError({ code: 'E_INTERNAL', what: `the test did not expect ${what}` })
  }
  return {
    remote: { connect: unexpected('a connection') },
    ledger: createLedger(),
    clock: manualClock(),
    probe: unexpected('a probe'),
    localCommand: unexpected('a local command'),
    download: unexpected('a download'),
    env: {},
    cwd: '/home/ops/edge',
    home: '/home/ops',
    signal: new AbortController().signal,
    ...over,
    terminal: over.terminal ?? fakeTerminal(),
    files: over.files ?? fakeFiles(),
  }
}
