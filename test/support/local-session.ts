/** A session whose scripts run on this machine, as this user. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Session } from '../../src/ports.ts'

export const localSession: Session = {
  server: 'srv-2',
  peer: 'srv-2.example.com:22',
  patience: 1,
  async run(script, { onLine }) {
    const child = spawn('sh', ['-c', script.raw], { stdio: ['ignore', 'pipe', 'inherit'] })
    const lines: string[] = []
    createInterface(child.stdout).on('line', line => {
      lines.push(line)
      onLine?.(line)
    })
    const [code] = (await once(child, 'close')) as [number]
    return { code, stdout: lines.map(line => `${line}\n`).join(''), stderr: '', durationMs: 1 }
  },
  async close() {},
}
