/** The process behind starter.ts. It ends when the one that asked for it does. */
import { spawn, type ChildProcess } from 'node:child_process'
import type { Order, Report } from './starter.ts'

const running = new Map<number, ChildProcess>()
const report = (what: Report) => process.send?.(what)

process.on('message', (order: Order) => {
  const { id } = order
  if ('kill' in order) return void running.get(id)?.kill()
  const child = spawn(order.file, order.args, { stdio: ['ignore', 'pipe', 'pipe'], env: order.env })
  running.set(id, child)
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text: string) => report({ id, stream, text }))
  child.on('error', ({ message }) => report({ id, error: message }))
  child.on('close', code => {
    running.delete(id)
    report({ id, code })
  })
})
process.on('disconnect', () => process.exit())
