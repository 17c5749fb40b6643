import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { PlanResult } from '../../src/engine/plan.ts'
import { HactlError } from '../../src/errors.ts'
import type { ServerPlan } from '../../src/state/plan.ts'
import type { Unit } from '../../src/state/units.ts'
import { parseYaml } from '../../src/yaml.ts'
import { clusterFor, deployPlaybook, NAMES, planModel, type Wish } from '../support/model-cluster.ts'
import { type ModelServer, modelServer, stepsOf } from '../support/model-server.ts'

const folder = join(import.meta.dirname, '../../fixtures/plans')

/** What somebody did on a server since. */
type Hand = { readonly server: string } & (
  | { readonly write: string; readonly text: string }
  | { readonly chmod: string; readonly mode: string }
  | { readonly remove: string }
  | { readonly disown: string }
  | { readonly install: string }
  | { readonly stop: Unit }
  | { readonly 'stop-companion': Unit }
  | { readonly mask: Unit; readonly how: 'masked' | 'masked-runtime' }
  | { readonly 'forget-loaded': Unit }
  | { readonly 'forget-drop-in': Unit }
  | { readonly 'remove-tracker': string }
  | { readonly sysctl: string; readonly value: string }
  /** The path of one of hactl's own scripts: what it has opened has ended. */
  | { readonly close: string }
  /** Why the server cannot keep open connections. */
  | { readonly unable: string }
)

interface PlanCase {
  readonly given: {
    /** "nothing": bare servers; otherwise `before` (or `wanted`, where that is left out) is deployed first. */
    readonly deployed?: 'nothing'
    readonly before?: Wish
    readonly wanted?: Wish
    /** First lines of the haproxy.cfg that is wanted. */
    readonly haproxy?: string
    readonly holder?: string
    readonly limit?: readonly string[]
    readonly adopt?: boolean
    readonly reload?: boolean
    readonly hands?: readonly Hand[]
  }
  readonly expect: {
    readonly error?: string
    readonly what?: string
    readonly changeClass?: string
    readonly waves?: readonly (readonly string[])[]
    readonly outageMs?: number
    readonly outageAtLeastMs?: number
    readonly warnings?: readonly string[]
    readonly foreign?: readonly string[]
    readonly servers?: readonly string[]
    readonly unchanged?: number
    /** By server: "id: reason" of every action, in order. */
    readonly actions?: Readonly<Record<string, readonly string[]>>
    /** By server: actions that must be among them. */
    readonly some?: Readonly<Record<string, readonly string[]>>
    readonly steps?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>
  }
}

async function planOf({ given }: PlanCase): Promise<PlanResult> {
  const playbook = await deployPlaybook()
  const servers = NAMES.map((name, index) => modelServer(name, 11 + index))
  if (given.deployed !== 'nothing') {
    const before = await clusterFor(given.before ?? {})
    const named = servers.filter(({ name }) => before.cluster.servers.some(server => server.name === name))
    const { plan } = planModel(before, playbook, named)
    for (const server of named) for (const step of stepsOf(server, actionsOf(plan.servers, server.name))) step()
  }
  for (const hand of given.hands ?? []) for (const server of servers) if (server.name === hand.server) lay(hand, server)
  const seen = servers.filter(({ name }) => given.limit === undefined || given.limit.includes(name))
  const holder = given.holder ?? (given.deployed === 'nothing' ? undefined : 'srv-1')
  const { adopt = false, reload = false } = given
  return planModel(await clusterFor(given.wanted ?? {}, given.haproxy), playbook, seen, { holder, adopt, reload })
}

function lay(hand: Hand, server: ModelServer): void {
  if ('write' in hand) server.files.set(hand.write, { content: hand.text, mode: '0644' })
  else if ('chmod' in hand) server.files.set(hand.chmod, { content: server.files.get(hand.chmod)?.content ?? '', mode: hand.mode })
  else if ('remove' in hand) server.files.delete(hand.remove)
  else if ('disown' in hand) server.owned.delete(hand.disown)
  else if ('install' in hand) {
    const install = { kind: 'install-package', id: `package/${hand.install}`, name: hand.install, version: undefined, reason: '' } as const
    for (const step of stepsOf(server, [install])) step()
  } else if ('stop' in hand) Object.assign(server.services[hand.stop], { isActive: false, hasCompanion: false, loaded: undefined })
  else if ('stop-companion' in hand) server.services[hand['stop-companion']].hasCompanion = false
  else if ('mask' in hand) server.services[hand.mask].mask = hand.how
  else if ('forget-loaded' in hand) server.services[hand['forget-loaded']].stamp = undefined
  else if ('forget-drop-in' in hand) server.services[hand['forget-drop-in']].dropIn = undefined
  else if ('remove-tracker' in hand) server.trackers.delete(hand['remove-tracker'])
  else if ('close' in hand) server.opened.delete(hand.close)
  else if ('unable' in hand) server.lacks.add(hand.unable)
  else server.sysctls.set(hand.sysctl, hand.value)
}

function actionsOf(servers: readonly ServerPlan[], name: string): ServerPlan['actions'] {
  return servers.find(({ server }) => server === name)?.actions ?? []
}

/** The plan in the words of `expect`: only what is asked there. */
function told({ plan, foreign }: PlanResult, asked: PlanCase['expect']): unknown {
  const lines = (server: string) => actionsOf(plan.servers, server).map(action => `${action.id}: ${action.reason}`)
  const each = <T>(by: Readonly<Record<string, T>>, of: (server: string, value: T) => unknown) =>
    Object.fromEntries(Object.entries(by).map(([server, value]) => [server, of(server, value)]))
  const stepsOfUnit = (server: string, unit: string) =>
    actionsOf(plan.servers, server).flatMap(action => (action.kind === 'service' && action.unit === unit ? action.steps : []))
  return {
    ...(asked.changeClass === undefined ? {} : { changeClass: plan.changeClass }),
    ...(asked.waves === undefined ? {} : { waves: plan.waves }),
    ...(asked.outageMs === undefined ? {} : { outageMs: plan.outageMs }),
    ...(asked.outageAtLeastMs === undefined ? {} : { outageAtLeastMs: Math.min(plan.outageMs, asked.outageAtLeastMs) }),
    ...(asked.warnings === undefined ? {} : { warnings: plan.warnings }),
    ...(asked.foreign === undefined ? {} : { foreign: foreign.map(({ server, file }) => `${server} ${file.path}`) }),
    ...(asked.servers === undefined ? {} : { servers: plan.servers.map(({ server }) => server) }),
    ...(asked.unchanged === undefined ? {} : { unchanged: plan.servers[0]?.unchanged.length }),
    ...(asked.actions === undefined ? {} : { actions: each(asked.actions, lines) }),
    ...(asked.some === undefined ? {} : { some: each(asked.some, (server, some) => some.filter(line => lines(server).includes(line))) }),
    ...(asked.steps === undefined ? {} : { steps: each(asked.steps, (server, units) => each(units, unit => stepsOfUnit(server, unit))) }),
  }
}

async function outcomeOf(plan: PlanCase): Promise<unknown> {
  try {
    return told(await planOf(plan), plan.expect)
  } catch (error) {
    if (!(error instanceof HactlError)) throw error
    return { error: error.code, ...(plan.expect.what === undefined ? {} : { what: error.message }) }
  }
}

describe('every situation in fixtures/plans', () => {
  test.for(readdirSync(folder).filter(name => name.endsWith('.yml')))('%s gives the plan that it describes', async name => {
    const { value, problems } = parseYaml(readFileSync(join(folder, name), 'utf8'))
    expect(problems).toEqual([])
    const plan = value as PlanCase
    expect(await outcomeOf(plan)).toEqual(plan.expect)
  })
})
