import type { DesiredNode } from '../state/desired.ts'
import type { ObservedNode } from '../state/observed.ts'
import type { Action, ChangeClass, Plan, ServerPlan } from '../state/plan.ts'
import { type DiffOptions, diffNode, type ForeignFile } from './diff.ts'
import { inOrder, type Playbook } from './playbook.ts'

/** What a change of one server's configuration means for its peers; judged by the domain, which knows the file's language. */
export interface ChangeJudgement {
  readonly class: ChangeClass
  readonly outageMs: number
  readonly reasons: readonly string[]
}

export interface PlanInput {
  readonly cluster: string
  readonly playbook: Playbook
  readonly desired: readonly DesiredNode[]
  readonly observed: readonly ObservedNode[]
  /** Names of servers that hold a virtual address now. */
  readonly holders: readonly string[]
  readonly options: DiffOptions
  readonly judge: (server: string, actions: readonly Action[]) => ChangeJudgement
}

export interface PlanResult {
  readonly plan: Plan
  /** By server: files hactl did not make. The plan must not be applied while there are any. */
  readonly foreign: readonly { readonly server: string; readonly file: ForeignFile }[]
}

// From harmless to grave: the whole roll-out goes by the gravest change of any server.
const GRAVITY: readonly ChangeClass[] = ['none', 'first-time', 'local', 'together', 'outage']

/** Compares desired with observed state and decides what is done, where, and which servers change together. Pure. */
export function planCluster(input: PlanInput): PlanResult {
  const observedOf = new Map(input.observed.map(node => [node.server, node]))
  const foreign: { server: string; file: ForeignFile }[] = []
  const servers: ServerPlan[] = []
  for (const desired of input.desired) {
    const observed = observedOf.get(desired.server)
    if (observed === undefined) continue
    const sorted = inOrder(input.playbook, desired.resources)
    const diff = diffNode({ server: desired.server, resources: sorted }, observed, input.options)
    foreign.push(...diff.foreign.map(file => ({ server: desired.server, file })))
    servers.push({ server: diff.server, actions: diff.actions, unchanged: diff.unchanged })
  }
  const changing = servers.filter(server => server.actions.length > 0)
  const judged = changing.map(server => ({ server: server.server, ...input.judge(server.server, server.actions) }))
  const gravest = judged.reduce(
    (worst, next) => (GRAVITY.indexOf(next.class) > GRAVITY.indexOf(worst) ? next.class : worst),
    'none' as ChangeClass,
  )
  const reasons = [...new Set(judged.flatMap(judgement => judgement.reasons))]
  return {
    foreign,
    plan: {
      version: 1,
      cluster: input.cluster,
      servers,
      changeClass: gravest,
      waves: wavesFor(judged, gravest, input.holders),
      outageMs: Math.max(0, ...judged.map(judgement => judgement.outageMs)),
      warnings: reasons,
    },
  }
}

/**
 * Which servers change together: one by one with the holders last, or all at once where peers refuse each other's adverts until all have
 * changed (one by one would be a split brain), or where nothing runs yet that could be disturbed. Servers that join come after all that
 * run: a newcomer whom its peers do not know yet hears no adverts, and takes the address beside their master.
 */
export function wavesFor(
  changing: readonly { readonly server: string; readonly class: ChangeClass }[],
  changeClass: ChangeClass,
  holders: readonly string[],
): readonly (readonly string[])[] {
  const namesOf = (isNew: boolean) => changing.filter(change => (change.class === 'first-time') === isNew).map(({ server }) => server)
  const [running, joining] = [namesOf(false), namesOf(true)]
  if (joining.length > 0 && running.length === 0 && holders.length === 0) return [joining]
  const oneByOne = (servers: readonly string[]) => servers.map(server => [server])
  if (running.length > 0 && (changeClass === 'together' || changeClass === 'outage')) return [running, ...oneByOne(joining.toReversed())]
  // Rank order reversed: the least preferred backup is the cheapest to be wrong on.
  const backups = running.filter(server => !holders.includes(server)).reverse()
  const last = running.filter(server => holders.includes(server))
  return oneByOne([...backups, ...last, ...joining.toReversed()])
}
