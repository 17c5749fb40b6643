import { restlessProblems } from '../domain/drain.ts'
import { nodeProblems } from '../domain/health.ts'
import { HAPROXY_CFG, KEEPALIVED_CONF } from '../domain/paths.ts'
import { PACKAGES } from '../domain/packages.ts'
import type { PackageSource } from '../engine/apply/package-source.ts'
import { outlookScript, parseOutlook, type UpgradeOutlook } from '../engine/apply/upgrade.ts'
import { clearDownloadsScript } from '../engine/apply/packages.ts'
import { runSteps } from '../engine/apply/steps.ts'
import type { EngineEvent } from '../engine/events.ts'
import type { Looked } from '../engine/operations/look.ts'
import { underLock } from '../engine/operations/run.ts'
import { readAll } from '../engine/fan-out.ts'
import { HactlError, throwAll } from '../errors.ts'
import type { Ports, RunOptions, Session } from '../ports.ts'
import type { ObservedNode, Plan } from '../state.ts'
import { assertCanFailOver } from './assert-can-fail-over.ts'
import type { ConnectOptions } from './connect.ts'
import { loadCluster } from './load.ts'
import { tellPlan } from './plan.ts'
import { loadPlaybook } from './playbooks.ts'
import { packageSourceOf } from './package-source.ts'
import { preflightErrors } from '../engine/operations/preflight.ts'
import type { MovedAddress } from '../engine/operations/move.ts'
import { changesOf, holderOfEach, type RollOutReport } from '../engine/operations/roll-out.ts'
import { planUpgrade } from './upgrade-plan.ts'
import { runTurns } from '../engine/operations/turn.ts'
import { withServers } from './with-servers.ts'

// A slow line, and the lock held by somebody else for as long as apt may wait for it.
const OUTLOOK_DEADLINE_MS = 900_000
const CLEAR_DEADLINE_MS = 15_000

export interface UpgradeInput extends ConnectOptions {
  readonly inventoryPath: string
  readonly confirm: (plan: Plan) => Promise<boolean>
}

export interface UpgradeReport extends RollOutReport {
  /** What moved while holders were drained and given their priority back, in order. */
  readonly moves: readonly (MovedAddress & { readonly server: string })[]
  readonly durationMs: number
}

/**
 * Newer haproxy and keepalived packages on one server at a time, backups first, the holder drained first. What apt would do is asked, shown
 * and confirmed before; the packages are downloaded and tried on every server before any is changed. With nothing to upgrade nothing is
 * changed but the package lists. Throws E_UNHEALTHY, E_PACKAGE_UNAVAILABLE, E_CONFIG_REFUSED (5, nothing was changed), E_GATE,
 * E_COMMAND_FAILED (6: later servers keep what they had), E_FAILOVER_NONE (7) and what connecting, locking and reading throw.
 */
export async function upgrade(
  input: UpgradeInput,
  ports: Ports,
  onEvent: (event: EngineEvent) => void,
  packageRoot: string,
): Promise<UpgradeReport> {
  const startedMs = ports.clock.monotonic()
  const loaded = await loadCluster(input.inventoryPath, ports)
  const { cluster } = loaded
  assertCanFailOver(cluster)
  const packages = await packageSourceOf(loaded, ports, onEvent)
  const playbook = await loadPlaybook('deploy', packageRoot, ports)
  return withServers(loaded, input, { command: 'upgrade', ports, onEvent }, async run => {
    const { links, nodes } = run
    throwAll(preflightErrors(cluster, nodes, { minded: 'locks' }))
    throwAll(nodes.flatMap(undeployed))
    const installedOn = new Set<string>()
    try {
      return await upgradeAll(run, server => installedOn.add(server))
    } finally {
      await clearDownloads(links.servers.filter(server => !installedOn.has(server)).map(server => links.current(server)))
    }
  })

  async function upgradeAll(run: Looked, onInstall: (server: string) => void): Promise<UpgradeReport> {
    const { nodes, observed } = run
    const words = PACKAGES.map(name => (cluster.packages.pins[name] === undefined ? name : `${name}=${cluster.packages.pins[name]}`))
    const outlooks = await askApt(run, input.forks, words, packages)
    const { plan, trials } = planUpgrade(loaded, playbook, observed, outlooks)
    tellPlan(plan, onEvent)
    const turns = plan.waves.flat()
    const report = (last: readonly ObservedNode[], moves: UpgradeReport['moves']): UpgradeReport => ({
      plan,
      servers: changesOf(plan),
      holder: holderOfEach(cluster, last),
      moves,
      durationMs: ports.clock.monotonic() - startedMs,
    })
    if (turns.length === 0) {
      for (const text of plan.warnings) onEvent({ kind: 'note', text })
      return report(nodes, [])
    }
    const problems = upgradeProblems(nodes)
    if (problems.length > 0) throw notWell(problems)
    if (!(await input.confirm(plan))) {
      throw new HactlError({
        code: 'E_DECLINED',
        what: 'the run was not confirmed; nothing was changed',
        fix: 'add --yes to upgrade without a question',
      })
    }
    return underLock(run, async locked => {
      const { moves, nodes: last } = await runTurns(locked, { plan, trials, outlooks, packages, onInstall, source: loaded.source })
      return report(last, moves)
    })

    /** What a turn would make worse: whoever has none must be well, and the addresses must stand still. */
    function upgradeProblems(seen: readonly ObservedNode[]): readonly string[] {
      const others = seen.filter(node => !turns.includes(node.server) || outlooks.get(node.server)?.begun === 'no')
      const ill = others.flatMap(node => nodeProblems(cluster, node).map(problem => `${node.server}: ${problem}`))
      const finishes = [...outlooks.values()].some(({ begun }) => begun !== 'no')
      return [...ill, ...(finishes ? [] : restlessProblems(cluster, seen))]
    }
  }
}

/** Where nothing was installed nothing waits for it any longer: packages from a folder alone may be 200 MiB. The next run would clear it, too. */
async function clearDownloads(sessions: readonly Session[]): Promise<void> {
  const options: RunOptions = { effect: 'none', label: 'remove the downloads', deadlineMs: CLEAR_DEADLINE_MS }
  await Promise.allSettled(sessions.map(session => session.run(clearDownloadsScript(), options)))
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

function notWell(why: readonly string[]): HactlError {
  return new HactlError({
    code: 'E_UNHEALTHY',
    what: 'the cluster is not healthy enough to take out one server after the other',
    why,
    fix: 'hactl status shows each server; hactl deploy fixes what it can; nothing was changed',
  })
}

function askApt(
  run: Looked,
  forks: number,
  words: readonly string[],
  packages: PackageSource | undefined,
): Promise<ReadonlyMap<string, UpgradeOutlook>> {
  const { links, onEvent } = run
  onEvent({
    kind: 'stage-started',
    stage: 'outlook',
    title: 'refresh the package lists and look for newer versions',
    servers: links.servers,
  })
  return readAll(links, forks, async session => {
    const close = await packages?.open(session, undefined)
    try {
      const said: string[] = []
      await runSteps(run, session.server, outlookScript(words, packages !== undefined), {
        effect: 'none',
        label: 'look for newer versions',
        deadlineMs: OUTLOOK_DEADLINE_MS,
        failure: 'E_PACKAGE_UNAVAILABLE',
        onDetail: line => said.push(line),
      })
      return parseOutlook(said, PACKAGES)
    } finally {
      await close?.()
    }
  })
}
