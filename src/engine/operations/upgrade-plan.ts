/** What an upgrade will do, from what the servers are, what they should be and what apt would do. Pure. */
import type { Cluster } from '../../domain/cluster-types.ts'
import { desiredNode } from '../../domain/desired.ts'
import { restlessProblems } from '../../domain/drain.ts'
import { nodeProblems } from '../../domain/health.ts'
import { nodeFactsFor } from '../../domain/node-facts.ts'
import { PACKAGES } from '../../domain/packages.ts'
import { HAPROXY_CFG, KEEPALIVED_CONF } from '../../domain/paths.ts'
import { worstCaseOutage } from '../../domain/vrrp/outage.ts'
import type { UpgradeOutlook } from '../apply/upgrade.ts'
import { wavesFor } from '../plan.ts'
import { inOrder, type Playbook } from '../playbook.ts'
import { HactlError, throwAll } from '../../errors.ts'
import type { FileResource, ServiceResource } from '../../state/desired.ts'
import type { ObservedNode } from '../../state/observed.ts'
import type { Action, Plan, ServerPlan } from '../../state/plan.ts'
import { holdersOf } from './look.ts'
import { assertNothingForeign, planFor } from './prepare-plan.ts'

type WriteFile = Extract<Action, { kind: 'write-file' }>

export interface UpgradePlan {
  readonly plan: Plan
  /** By server with a turn: every file that the new programs must accept before anything is installed, changed or not. */
  readonly trials: ReadonlyMap<string, readonly WriteFile[]>
}

/**
 * The files are rendered for the versions that will be installed and change in the same turn as the packages. Throws E_UNHEALTHY where
 * that cannot be done one server at a time, and E_FOREIGN_FILE.
 */
export function planUpgrade(
  cluster: Cluster,
  playbook: Playbook,
  observed: ReadonlyMap<string, ObservedNode>,
  outlooks: ReadonlyMap<string, UpgradeOutlook>,
): UpgradePlan {
  assertNothingRemoved(outlooks)
  const then = new Map([...observed].map(([name, node]) => [name, afterUpgrade(node, outlooks.get(name))]))
  const changes = planFor(cluster, playbook, then, { adopt: false, reload: false })
  assertNothingForeign(changes)
  assertOneByOne(changes.plan)
  const facts = nodeFactsFor(cluster, Object.fromEntries(then))
  const trials = new Map<string, readonly WriteFile[]>()
  const servers = changes.plan.servers.map((server): ServerPlan => {
    const outlook = outlooks.get(server.server)
    const own = facts[server.server]
    if (outlook === undefined || own === undefined || !hasTurn(outlook)) return { ...server, actions: [] }
    const { resources } = desiredNode(cluster, server.server, own)
    const replaced = resources.flatMap(resource => (resource.kind === 'service' ? startOf(cluster, resource, outlook, server.actions) : []))
    const kept = server.actions.filter(action => !replaced.some(({ id }) => id === action.id))
    const actions = inOrder(playbook, [...installsOf(outlook), ...kept, ...replaced])
    const isDone = new Set(actions.map(action => action.id))
    trials.set(
      server.server,
      trialsOf(
        resources.filter(resource => resource.kind === 'file'),
        actions,
      ),
    )
    return { server: server.server, actions, unchanged: server.unchanged.filter(({ id }) => !isDone.has(id)) }
  })
  // A turn that died after its last change still has to be finished.
  const turns = servers
    .filter(({ server, actions }) => actions.length > 0 || (outlooks.get(server)?.started ?? 'no') !== 'no')
    .map(({ server }) => server)
  const addresses = cluster.instances.flatMap(instance => instance.virtualAddresses.map(vip => vip.address))
  const holders = [...new Set(addresses.flatMap(address => holdersOf(observed.values(), address)))]
  const waves = wavesFor(
    turns.map(server => ({ server, class: 'local' })),
    'local',
    holders,
  )
  const moves = turns.some(server => holders.includes(server))
  return {
    trials,
    plan: {
      ...changes.plan,
      servers,
      changeClass: turns.length === 0 ? 'none' : 'local',
      waves,
      outageMs: moves && cluster.profile === 'classic' ? interruptionMs(cluster) : 0,
      warnings: [...changes.plan.warnings, ...remarks(changes.plan, outlooks)],
    },
  }
}

function hasTurn(outlook: UpgradeOutlook): boolean {
  return outlook.upgrades.length > 0 || outlook.started !== 'no'
}

function afterUpgrade(node: ObservedNode, outlook: UpgradeOutlook | undefined): ObservedNode {
  const packages = Object.fromEntries(
    Object.entries(node.packages).map(([name, known]) => {
      const to = outlook?.upgrades.find(upgrade => upgrade.name === name)?.to
      return [name, to === undefined ? known : { ...known, installed: to }]
    }),
  )
  return { ...node, packages }
}

function installsOf(outlook: UpgradeOutlook): readonly Action[] {
  return outlook.upgrades.map(({ name, from, to }) => ({
    kind: 'install-package',
    id: `package/${name}`,
    name,
    version: to,
    pin: to,
    from,
    reason: `${from} is installed`,
  }))
}

/** Replacing a package stops its unit. keepalived is also stopped where nothing else hands the addresses over. */
function startOf(cluster: Cluster, resource: ServiceResource, outlook: UpgradeOutlook, actions: readonly Action[]): readonly Action[] {
  const { id, unit, loadedHash, whenActive } = resource
  const isReplaced = outlook.upgrades.some(({ name }) => name === unit)
  if (!isReplaced && !(unit === 'keepalived' && cluster.profile === 'classic')) return []
  const pending = actions.find(action => action.kind === 'service' && action.unit === unit)
  const before = pending?.kind === 'service' ? pending.steps.filter(step => step === 'daemon-reload' || step === 'enable') : []
  const reason = isReplaced ? 'its package is replaced' : 'it is stopped during the upgrade'
  return [{ kind: 'service', id, unit, steps: [...before, 'start', 'stamp'], loadedHash, whenActive, reason }]
}

/** The files that a program judges, as actions. Unchanged ones are there as they would be written again. */
function trialsOf(files: readonly FileResource[], actions: readonly Action[]): readonly WriteFile[] {
  return files.flatMap((file): readonly WriteFile[] => {
    if (file.validation === undefined) return []
    const { id, path, mode, owner, group, masks, validation, content: after } = file
    const write = actions.find(action => action.kind === 'write-file' && action.id === id)
    if (write?.kind === 'write-file') return [write]
    return [
      {
        kind: 'write-file',
        id,
        path,
        mode,
        owner,
        group,
        masks,
        validation,
        after,
        reason: '',
        before: undefined,
        beforeSha256: undefined,
      },
    ]
  })
}

function interruptionMs(cluster: Cluster): number {
  return Math.ceil(worstCaseOutage(cluster).find(bound => bound.event === 'keepalived-stop')?.worstMs ?? 0)
}

function remarks(changes: Plan, outlooks: ReadonlyMap<string, UpgradeOutlook>): readonly string[] {
  return changes.servers.flatMap(({ server, actions }) => {
    const outlook = outlooks.get(server)
    if (outlook === undefined) return []
    const { held, others, started } = outlook
    return [
      ...held.map(name => `${server}: ${name} is held by apt-mark and stays as it is`),
      ...(others.length > 0 ? [`${server}: apt also installs ${others.join(', ')}`] : []),
      ...(started === 'no' ? [] : [`${server}: an earlier upgrade ended half way; this one finishes it`]),
      ...(!hasTurn(outlook) && actions.length > 0
        ? [`${server}: nothing to upgrade; the changes of the inventory wait for hactl deploy: ${actions.map(({ id }) => id).join(' ')}`]
        : []),
    ]
  })
}

function assertOneByOne(plan: Plan): void {
  if (plan.changeClass !== 'together' && plan.changeClass !== 'outage') return
  throw new HactlError({
    code: 'E_UNHEALTHY',
    what: 'the inventory has changes that all servers need at the same moment, but an upgrade goes server by server',
    why: plan.warnings,
    fix: 'hactl deploy first, then hactl upgrade',
  })
}

function assertNothingRemoved(outlooks: ReadonlyMap<string, UpgradeOutlook>): void {
  const errors = [...outlooks].flatMap(([server, { removed }]) =>
    removed.length === 0
      ? []
      : [
          new HactlError({
            code: 'E_PACKAGE_UNAVAILABLE',
            server,
            what: `apt would remove ${removed.join(', ')} during the upgrade`,
            fix: `look at it on the server: apt-get install -s ${PACKAGES.join(' ')}`,
          }),
        ],
  )
  throwAll(errors)
}

/** Throws E_UNHEALTHY, for all servers together, where hactl has not deployed both services, or an installation was cut off. */
export function assertDeployed(nodes: readonly ObservedNode[]): void {
  throwAll(nodes.flatMap(undeployed))
}

function undeployed(node: ObservedNode): readonly HactlError[] {
  const missing = PACKAGES.filter(name => node.packages[name]?.installed === undefined)
  const isOurs = [HAPROXY_CFG, KEEPALIVED_CONF].every(path => node.files[path]?.ownedSha256 !== undefined)
  if (missing.length === 0 && isOurs && !node.dpkgBroken) return []
  const what =
    missing.length > 0
      ? `${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} not installed there`
      : isOurs
        ? 'an installation of packages was interrupted there'
        : 'hactl has not deployed anything there'
  const fix = missing.length === 0 && isOurs ? `dpkg --configure -a on ${node.server}` : 'hactl deploy first'
  return [new HactlError({ code: 'E_UNHEALTHY', server: node.server, what, fix })]
}

/**
 * Throws E_UNHEALTHY for what a turn would make worse: servers without a turn must be healthy, and no address may be about to move. The
 * addresses do not count where this upgrade finishes an earlier one.
 */
export function assertFitForTurns(
  cluster: Cluster,
  { plan }: UpgradePlan,
  nodes: readonly ObservedNode[],
  outlooks: ReadonlyMap<string, UpgradeOutlook>,
): void {
  const turns = plan.waves.flat()
  const others = nodes.filter(node => !turns.includes(node.server) || outlooks.get(node.server)?.started === 'no')
  const ill = others.flatMap(node => nodeProblems(cluster, node).map(problem => `${node.server}: ${problem}`))
  const finishes = [...outlooks.values()].some(({ started }) => started !== 'no')
  const why = [...ill, ...(finishes ? [] : restlessProblems(cluster, nodes))]
  if (why.length === 0) return
  throw new HactlError({
    code: 'E_UNHEALTHY',
    what: 'the cluster is not healthy enough to take out one server after the other',
    why,
    fix: 'hactl status shows each server; hactl deploy fixes what it can; nothing was changed',
  })
}
