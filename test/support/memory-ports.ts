/** Ports of an operator whose files are in a map and who never leaves this process. A test overrides what it needs. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLedger } from '../../src/engine/ledger.ts'
import type { Ports } from '../../src/ports.ts'
import { manualClock } from './clock.ts'

export const PACKAGE_ROOT = join(import.meta.dirname, '../..')
const FOLDER = '/inventory/'
export const INVENTORY_PATH = `${FOLDER}inventory.yml`

/** `files` by name, in the folder of the inventory; hactl's own playbooks are read where they are. */
export function memoryPorts(files: ReadonlyMap<string, string>, more: Partial<Ports> = {}): Ports {
  const unexpected = (what: string) => () => Promise.reject(new Error(`${what} is not expected in this test`))
  return {
    remote: { connect: unexpected('a connection') },
    ledger: createLedger(),
    clock: manualClock(),
    files: {
      async read(path) {
        if (path.startsWith(PACKAGE_ROOT)) return existsSync(path) ? readFileSync(path) : undefined
        const text = path.startsWith(FOLDER) ? files.get(path.slice(FOLDER.length)) : undefined
        return text === undefined ? undefined : Buffer.from(text)
      },
      write: unexpected('writing a file'),
      exists: async path => path.startsWith(FOLDER) && files.has(path.slice(FOLDER.length)),
      list: async path => (path.startsWith(PACKAGE_ROOT) && existsSync(path) ? readdirSync(path) : undefined),
      whyNotWritable: unexpected('a question about a file'),
    },
    probe: unexpected('a probe'),
    localCommand: unexpected('a local command'),
    download: unexpected('a download'),
    terminal: { stdinIsTTY: false, stdoutIsTTY: false, stderrIsTTY: false, columns: 80, writeOut: () => {}, writeErr: () => {} },
    env: { USER: 'ops' },
    cwd: '/inventory',
    home: '/home/ops',
    signal: new AbortController().signal,
    ...more,
  }
}
