import { createTwoFilesPatch } from 'diff'
import type { Cluster } from '../../domain/cluster-types.ts'
import { desiredNode } from '../../domain/desired.ts'
import { classifyKeepalivedChange, outageMsOf } from '../../domain/keepalived/classify.ts'
import { nodeFactsFor } from '../../domain/node-facts.ts'
import { removalWarnings } from '../../domain/open-connections/still-open.ts'
import { KEEPALIVED_CONF } from '../../domain/paths.ts'
import { assertPinsServed, expectedVersion, pinWarnings } from '../../domain/packages.ts'
import { type ChangeJudgement, type PlanResult, planCluster } from '../plan.ts'
import type { Playbook } from '../playbook.ts'
import { HactlError, throwAll } from '../../errors.ts'
import { MASK } from '../../secret.ts'
import type { DesiredNode } from '../../state/desired.ts'
import type { ObservedNode } from '../../state/observed.ts'
import type { Action, Plan } from '../../state/plan.ts'
import { holdersOf } from './look.ts'
import type { OnEvent } from './run.ts'

export interface PlanOptions {
  readonly adopt: boolean
  readonly reload: boolean
}

/** The plan that makes these servers what the cluster says. Throws E_PACKAGE_UNAVAILABLE for a pin that no repository serves. */
export function planFor(
  cluster: Cluster,
  playbook: Playbook,
  observed: ReadonlyMap<string, ObservedNode>,
  options: PlanOptions,
): PlanResult {
  const facts = nodeFactsFor(cluster, Object.fromEntries(observed))
  const desired = cluster.servers.flatMap(server => {
    const own = facts[server.name]
    return own === undefined ? [] : [desiredNode(cluster, server.name, own)]
  })
  return planTowards(cluster, desired, playbook, observed, options)
}

/** The plan that leads to these desired servers, whatever they were made from. Throws E_PACKAGE_UNAVAILABLE for a pin that no repository serves. */
export function planTowards(
  cluster: Cluster,
  desired: readonly DesiredNode[],
  playbook: Playbook,
  observed: ReadonlyMap<string, ObservedNode>,
  options: PlanOptions,
): PlanResult {
  const addresses = cluster.instances.flatMap(instance => instance.virtualAddresses.map(vip => vip.address))
  const nodes = [...observed.values()]
  assertPinsServed(cluster, nodes)
  const result = planCluster({
    cluster: cluster.name,
    playbook,
    desired,
    observed: nodes,
    holders: [...new Set(addresses.flatMap(address => holdersOf(nodes, address)))],
    options: {
      ...options,
      expectedVersion: ({ name, pin }, node) => expectedVersion(name, pin, node, cluster.packages.carried),
    },
    judge: (server, actions) => judgeChange(cluster, observed, server, actions),
  })
  const removesFrom = (server: string, path: string) =>
    result.plan.servers.some(
      one => one.server === server && one.actions.some(action => action.kind === 'remove-file' && action.path === path),
    )
  const warnings = [...result.plan.warnings, ...pinWarnings(cluster, nodes), ...removalWarnings(cluster, nodes, removesFrom)]
  return { ...result, plan: { ...result.plan, warnings } }
}

const UNKNOWN_LOADED = 'an earlier run ended half way, and what keepalived has loaded since then is not known'

function judgeChange(
  cluster: Cluster,
  observed: ReadonlyMap<string, ObservedNode>,
  server: string,
  actions: readonly Action[],
): ChangeJudgement {
  const node = observed.get(server)
  if (node?.services.keepalived.active !== 'active') return { class: 'first-time', outageMs: 0, reasons: [] }
  const write = actions.find(action => action.kind === 'write-file' && action.path === KEEPALIVED_CONF)
  // An earlier run wrote the file and ended before it was loaded. What runs now may be anything, and peers may refuse it.
  const isUnknown = node.services.keepalived.loadedHash === undefined && node.files[KEEPALIVED_CONF]?.ownedSha256 !== undefined
  if (write?.kind !== 'write-file') {
    return isUnknown ? { class: 'together', outageMs: 0, reasons: [UNKNOWN_LOADED] } : { class: 'local', outageMs: 0, reasons: [] }
  }
  const classified = classifyKeepalivedChange(write.before, write.after)
  const judged: typeof classified =
    isUnknown && classified.class !== 'outage' ? { class: 'together', reasons: [...classified.reasons, UNKNOWN_LOADED] } : classified
  const outageMs = outageMsOf(judged, write.after)
  const left = cluster.servers.filter(peer => !observed.has(peer.name)).map(peer => peer.name)
  const alone =
    left.length > 0 && (judged.class === 'together' || judged.class === 'outage')
      ? [
          `${left.join(', ')} is left out: until it has the same change, it and the others refuse each other's adverts, and both may hold the address`,
        ]
      : []
  return { class: judged.class, outageMs, reasons: [...judged.reasons, ...alone] }
}

/** Throws E_FOREIGN_FILE, with every diff, where files that hactl did not make stand in the way. */
export function assertNothingForeign(result: PlanResult): void {
  const errors = result.foreign.map(({ server, file }) => {
    const mask = (text: string) => file.masks.reduce((masked, source) => masked.replace(new RegExp(source, 'gm'), `$1${MASK}`), text)
    const diff =
      file.before === undefined
        ? ['the file is too large or not text: no diff']
        : createTwoFilesPatch(file.path, file.path, mask(file.before), mask(file.after), 'there now', 'wanted', { context: 2 })
            .trimEnd()
            .split('\n')
            .slice(1)
    return new HactlError({
      code: 'E_FOREIGN_FILE',
      server,
      what: `${file.path} exists${file.linkTo === undefined ? '' : `, a link to ${file.linkTo}`}, and hactl did not create it`,
      why: diff,
      fix: `look at the difference; --adopt adopts the file${file.linkTo === undefined ? '' : ': a file replaces the link, and the target of the link is not changed'}`,
    })
  })
  throwAll(errors)
}

/** Sends the event that a plan is ready. */
export function tellPlan(plan: Plan, onEvent: OnEvent): void {
  onEvent({
    kind: 'plan-ready',
    servers: plan.servers.map(server => ({ server: server.server, changes: server.actions.length, unchanged: server.unchanged.length })),
    outageMs: plan.outageMs,
  })
}
