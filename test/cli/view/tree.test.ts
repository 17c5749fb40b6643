import { expect, test } from 'vitest'
import { createTree } from '../../../src/cli/view/tree.ts'
import type { EngineEvent } from '../../../src/engine/events.ts'

interface DrawnTask {
  readonly title?: string
  readonly output?: string
  readonly subtasks: readonly DrawnTask[]
  readonly message: { readonly skip?: string; readonly error?: string }
  isCompleted(): boolean
  isSkipped(): boolean
  hasFailed(): boolean
  isStarted(): boolean
}

/** A renderer that draws nothing, but gives at any time what would be drawn. */
function recorder() {
  let tasks: readonly DrawnTask[] = []
  class Recorder {
    static readonly nonTTY = true
    static readonly rendererOptions = {}
    static readonly rendererTaskOptions = {}
    constructor(given: readonly DrawnTask[]) {
      tasks = given
    }
    render() {}
    end() {}
  }
  const draw = (list: readonly DrawnTask[], indent: string): string[] =>
    list.flatMap(task => {
      const own = task.title === undefined ? [] : [`${indent}${mark(task)} ${task.message.skip ?? task.title}${below(task)}`]
      return [...own, ...draw(task.subtasks ?? [], task.title === undefined ? indent : `${indent}  `)]
    })
  return { renderer: Recorder as unknown as Parameters<typeof createTree>[0], drawn: () => draw(tasks, '') }
}

const mark = (task: DrawnTask) => (task.hasFailed() ? 'x' : task.isSkipped() ? '-' : task.isCompleted() ? 'v' : '.')
const below = (task: DrawnTask) =>
  task.hasFailed() ? ` > ${task.message.error}` : task.isStarted() && task.output ? ` > ${task.output}` : ''

/** The drawing library works off its queue in turns of the event loop. */
async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise(resolve => setImmediate(resolve))
}

const LOOK: readonly EngineEvent[] = [
  { kind: 'observe-started', server: 'srv-1' },
  { kind: 'observe-started', server: 'srv-2' },
  { kind: 'observed', server: 'srv-1', durationMs: 812, detail: 'Debian GNU/Linux 12' },
]
const STAGE: EngineEvent = { kind: 'stage-started', stage: 'configure', title: 'configure', servers: ['srv-1', 'srv-2', 'srv-3'] }

async function play(events: readonly EngineEvent[]): Promise<{ during: string[]; after: string[] }> {
  const { renderer, drawn } = recorder()
  const tree = createTree(renderer)
  for (const event of events) {
    tree.event(event)
    await turns()
  }
  const during = drawn()
  await tree.end()
  return { during, after: drawn() }
}

test('a server that has answered is ticked off while others are still asked', async () => {
  const { during } = await play(LOOK)
  expect(during).toEqual(['. look at the servers', '  v srv-1: Debian GNU/Linux 12 (812 ms)', '  . srv-2 > connect and look'])
})

test('a stage shows what each server is doing, and counts what it has done', async () => {
  const { during, after } = await play([
    STAGE,
    { kind: 'action-started', server: 'srv-1', id: 'package/haproxy', title: 'install haproxy' },
    { kind: 'action-done', server: 'srv-1', id: 'package/haproxy', title: 'install haproxy', durationMs: 1200 },
    { kind: 'action-started', server: 'srv-1', id: 'file/haproxy.cfg', title: 'write haproxy.cfg' },
  ])
  expect(during).toEqual(['. configure', '  . srv-1: 1 step done (1.2 s) > write haproxy.cfg', '  . srv-2', '  . srv-3'])
  expect(after).toEqual([
    'v configure',
    '  - srv-1: 1 step done (1.2 s): stopped: write haproxy.cfg',
    '  - srv-2: nothing was done',
    '  - srv-3: nothing was done',
  ])
})

test('the time of steps that ran at the same time is counted once', async () => {
  const step = (kind: 'action-started' | 'action-done', name: string, durationMs = 0): EngineEvent => {
    const about = { server: 'srv-1', id: `package/${name}`, title: `install ${name}` }
    return kind === 'action-started' ? { kind, ...about } : { kind, ...about, durationMs }
  }
  const { after } = await play([
    { ...STAGE, servers: ['srv-1'] },
    step('action-started', 'haproxy'),
    step('action-started', 'keepalived'),
    step('action-done', 'haproxy', 9000),
    step('action-done', 'keepalived', 9100),
    step('action-started', 'check'),
    step('action-done', 'check', 900),
  ])
  expect(after).toEqual(['v configure', '  v srv-1: 3 steps done (10 s)'])
})

test('a failure is shown beneath its server, and the other servers go on', async () => {
  const { after } = await play([
    STAGE,
    { kind: 'action-failed', server: 'srv-2', id: 'x', title: 'write haproxy.cfg', durationMs: 90, detail: 'line 3: \u001B[2Junknown' },
    { kind: 'action-done', server: 'srv-1', id: 'x', title: 'write haproxy.cfg', durationMs: 300 },
  ])
  expect(after).toEqual([
    'v configure',
    '  v srv-1: 1 step done (300 ms)',
    '  x srv-2: write haproxy.cfg > line 3: \\x1b[2Junknown',
    '  - srv-3: nothing was done',
  ])
})

test('a drill shows what was done, who holds the address now, and the verdict', async () => {
  const about = { drill: 'haproxy-stop', server: 'srv-1' }
  const sample: EngineEvent = {
    kind: 'drill-sample',
    drill: 'haproxy-stop',
    vip: '192.0.2.200',
    atMs: 310,
    holds: { 'srv-1': false, 'srv-2': true },
    units: { 'srv-2': { haproxy: 'active' } },
    probesOk: 600,
    probesFailed: 0,
    probesPerSecond: 55,
    outageMs: 20,
  }
  const { after } = await play([
    { kind: 'drill-announced', ...about, vip: '192.0.2.200', title: 'stop haproxy on srv-1', expects: 'srv-2 takes over' },
    { kind: 'drill-armed', ...about, title: 'arm the undo on srv-1', undoAfterMs: 60_000 },
    { kind: 'drill-disturbed', ...about, title: 'stop haproxy on srv-1' },
    sample,
    { kind: 'drill-undone', ...about, title: 'start haproxy on srv-1' },
    { kind: 'drill-verdict', drill: 'haproxy-stop', vip: '192.0.2.200', verdict: 'passed', title: 'srv-2 took over' },
  ])
  expect(after).toEqual([
    'v drill haproxy-stop on 192.0.2.200',
    '  v will stop haproxy on srv-1; expected: srv-2 takes over',
    '  v arm the undo on srv-1',
    '  v stop haproxy on srv-1',
    '  v srv-1',
    '  v srv-2  holds 192.0.2.200  haproxy active',
    '  v 55 probes/s, 0 of 600 lost, longest outage so far 20 ms, 310 ms after the disturbance',
    '  v undone: start haproxy on srv-1',
    '  v 192.0.2.200: passed: srv-2 took over',
  ])
})

test('a message from before the first section has a line of its own', async () => {
  const { after } = await play([{ kind: 'note', text: 'playbook of your own' }, ...LOOK])
  expect(after).toEqual([
    'v playbook of your own',
    'v look at the servers',
    '  v srv-1: Debian GNU/Linux 12 (812 ms)',
    '  - srv-2: stopped: connect and look',
  ])
})

test('a warning is shown without a tick', async () => {
  const { after } = await play([...LOOK, { kind: 'warning', text: 'SIGINT: stopping' }])
  expect(after.at(-1)).toBe('  - warning: SIGINT: stopping')
})
