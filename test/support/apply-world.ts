/** Three servers on which a plan is applied: what reaches them is logged by purpose, and any step can be made to fail. */
import { sh } from '../../src/shell/sh.ts'
import { applyPlan, type FirstPart } from '../../src/engine/apply.ts'
import type { EngineEvent } from '../../src/engine/events.ts'
import { createLedger, keepLedger } from '../../src/engine/ledger.ts'
import { createLinks } from '../../src/engine/links.ts'
import { parsePlaybook } from '../../src/engine/playbook.ts'
import type { RunState } from '../../src/exit-status.ts'
import type { CommandResult, RunOptions, Session } from '../../src/ports.ts'
import type { Action, ChangeClass, Plan } from '../../src/state/plan.ts'
import type { ServiceTable } from '../../src/state/services.ts'
import { type ManualClock, manualClock } from './clock.ts'
import { connectionLost } from './remote.ts'

type Step = 'fetch' | 'prepare' | 'switch' | 'restore' | 'finish' | 'gate' | 'reconnect'

const STEP_OF: Readonly<Record<string, Step>> = {
  'fetch the packages': 'fetch',
  prepare: 'prepare',
  'make the changes live': 'switch',
  'restore the previous files': 'restore',
  'write the history': 'finish',
}

type Answer = Partial<CommandResult> | undefined

export interface ApplyWorld {
  readonly clock: ManualClock
  readonly abort: AbortController
  /** What the exit status of a run is made from. */
  readonly state: RunState
  /** "switch srv-1", in the order in which it reached the servers; "gate vip-answers srv-1,srv-2". */
  readonly log: string[]
  /** Steps that have ended, the same way. */
  readonly ended: string[]
  readonly events: EngineEvent[]
  /** Called when a step reaches a server; may throw, wait or answer by itself. */
  before: (step: Step, server: string) => Promise<Answer> | Answer
  /** Applies to all three; one by one unless the change is one for all together. `first`: what each server does before the rest. */
  /** Everything that was run on the servers. */
  readonly commands: { readonly label: string; readonly deadlineMs: number; readonly script: string }[]
  apply(changeClass?: ChangeClass, more?: More, first?: FirstPart): Promise<void>
}

export const SERVERS = ['srv-1', 'srv-2', 'srv-3']

export const STOP_TIMEOUT_MS = 600_000

type More = (server: string) => readonly Action[]

const PLAYBOOK = parsePlaybook(
  {
    playbook: 'deploy',
    version: 1,
    stages: [
      { stage: 'prepare', rollout: 'parallel', tasks: ['package/haproxy'] },
      { stage: 'configure', rollout: 'master-last', tasks: ['file/haproxy.cfg'], gates: ['vip-answers'] },
      { stage: 'prove', rollout: 'parallel', tasks: [], gates: ['one-holder'] },
    ],
  },
  'deploy.yml',
)

export const file = (name: string): Action => ({
  kind: 'write-file',
  id: `file/${name}`,
  path: `/etc/${name}`,
  reason: 'content differs',
  before: 'old',
  beforeSha256: '0'.repeat(64),
  after: 'new',
  mode: '0644',
  owner: 'root',
  group: 'root',
  masks: [],
  validation: undefined,
})

export function applyWorld(): ApplyWorld {
  const clock = manualClock()
  const abort = new AbortController()
  const log: string[] = []
  const ended: string[] = []
  const events: EngineEvent[] = []
  const reach = async (step: Step, server: string): Promise<Answer> => {
    log.push(`${step} ${server}`)
    const answer = await world.before(step, server)
    ended.push(`${step} ${server}`)
    return answer
  }
  const sessionTo = (server: string): Session => {
    let isLost = false
    return {
      server,
      peer: `${server}.example.com:22`,
      patience: 1,
      async run(script, options) {
        const step = STEP_OF[options.label]
        world.commands.push({ label: options.label, deadlineMs: options.deadlineMs, script: script.raw })
        if (step === undefined) throw new Error(`${server} did not expect: ${options.label}\n${script.raw}`)
        if (isLost) throw connectionLost(server)
        try {
          const answer = await raceAbort(reach(step, server), options)
          for (const line of (answer?.stdout ?? '').split('\n')) options.onLine?.(line)
          return { code: 0, stdout: '', stderr: '', durationMs: 1, ...answer }
        } catch (error) {
          isLost = (error as { readonly code?: string }).code === 'E_CONNECTION_LOST'
          throw error
        }
      },
      async close() {},
    }
  }
  const ledger = createLedger()
  const links = createLinks(
    SERVERS.map(server => keepLedger(sessionTo(server), ledger)),
    async server => {
      await reach('reconnect', server)
      return keepLedger(sessionTo(server), ledger)
    },
  )
  const world: ApplyWorld = {
    clock,
    abort,
    state: { ledger, signal: abort.signal },
    log,
    ended,
    events,
    before: () => undefined,
    commands: [],
    apply: (changeClass = 'local', more = () => [], first) =>
      applyPlan({
        plan: planOf(changeClass, more),
        first,
        playbook: PLAYBOOK,
        links,
        observed: new Map(),
        lock: { id: 'run1', owner: 'ops@laptop', reason: 'deploy' },
        cluster: { stopTimeoutMs: STOP_TIMEOUT_MS },
        history: { command: 'deploy', source: 'inventory.yml' },
        services: () => SERVICES,
        ports: { clock, signal: abort.signal },
        onEvent: event => events.push(event),
        passGate: async (gate, servers) => {
          await reach('gate', `${gate} ${servers.join(',')}`)
        },
      }),
  }
  return world
}

const RELOAD: Action = {
  kind: 'service',
  id: 'service/keepalived',
  unit: 'keepalived',
  steps: ['reload', 'stamp'],
  loadedHash: '0'.repeat(64),
  whenActive: [],
  reason: 'it runs another configuration',
}

const NO_SCRIPTS = { beforeReload: sh`:`, loaded: sh`:`, started: sh`:`, putBack: sh`:` }
const SERVICES: ServiceTable = {
  haproxy: {
    unit: 'haproxy',
    holdsAddresses: false,
    config: '/etc/haproxy/haproxy.cfg',
    shipsConfig: true,
    comparedId: undefined,
    companion: 'hactl-hand-over@haproxy.service',
    ...NO_SCRIPTS,
  },
  keepalived: {
    unit: 'keepalived',
    holdsAddresses: true,
    config: '/etc/keepalived/keepalived.conf',
    shipsConfig: false,
    comparedId: 'file/keepalived.conf',
    companion: 'hactl-hand-over@keepalived.service',
    ...NO_SCRIPTS,
  },
}

function planOf(changeClass: ChangeClass, more: More): Plan {
  const actionsOf = (server: string) => [
    ...more(server),
    file('haproxy.cfg'),
    file('keepalived.conf'),
    ...(changeClass === 'together' ? [RELOAD] : []),
  ]
  return {
    version: 1,
    cluster: 'edge',
    servers: SERVERS.map(server => ({ server, actions: actionsOf(server), unchanged: [] })),
    changeClass,
    waves: changeClass === 'local' ? [['srv-3'], ['srv-2'], ['srv-1']] : [SERVERS],
    outageMs: 0,
    warnings: [],
  }
}

function raceAbort<T>(work: Promise<T>, { signal }: RunOptions): Promise<T> {
  if (signal === undefined) return work
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('this step must not be interrupted, or the test has to say how')), {
      once: true,
    })
  })
  return Promise.race([work, aborted])
}
