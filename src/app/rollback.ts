import { clusterAsConfigured } from '../domain/keepalived/as-configured.ts'
import { certificatesLeftOut, desiredFromSnapshot } from '../domain/desired-from-snapshot.ts'
import { withoutInitFile } from '../domain/keepalived/init-file.ts'
import { nodeFactsFor } from '../domain/node-facts.ts'
import { KEEPALIVED_CONF } from '../domain/paths.ts'
import type { EngineEvent } from '../engine/events.ts'
import { parseSnapshot, type Snapshot, snapshotScript } from '../engine/history.ts'
import { asHactlError, HactlError, HactlErrors, throwAll } from '../errors.ts'
import type { Ports, Session } from '../ports.ts'
import type { ObservedNode, Plan } from '../state.ts'
import { readAll } from '../engine/fan-out.ts'
import type { ConnectOptions } from './connect.ts'
import { chooseEntry, listHistory, mergeEntries } from './history.ts'
import { loadCluster } from './load.ts'
import { assertNoStrangers } from './members.ts'
import { tellPlan } from './plan.ts'
import { loadPlaybook } from './playbooks.ts'
import { preflightErrors } from '../engine/operations/preflight.ts'
import { assertNothingForeign, planTowards } from './prepare-plan.ts'
import { type RollOutReport, rollOut } from '../engine/operations/roll-out.ts'
import { withServers } from './with-servers.ts'

const SNAPSHOT_DEADLINE_MS = 30_000

const INIT_FILE_LEFT_OUT =
  'the old keepalived.conf has init_file, which is left out: keepalived 2.2.8 to 2.3.2 would overwrite its track files at every start'

export interface RollbackInput extends ConnectOptions {
  readonly inventoryPath: string
  /** Or its beginning; undefined: the entry before the newest. */
  readonly id: string | undefined
  readonly confirm: (plan: Plan) => Promise<boolean>
}

export interface RollbackReport extends RollOutReport {
  readonly id: string
  readonly durationMs: number
}

/**
 * Makes every server what it was after an earlier change, through the same safe roll-out as a deploy. Gates and proof go by the
 * keepalived.conf of then: an address that was added since is not waited for. Throws E_NO_HISTORY (5) where there is nothing to go back to.
 */
export async function rollback(
  input: RollbackInput,
  ports: Ports,
  onEvent: (event: EngineEvent) => void,
  packageRoot: string,
): Promise<RollbackReport> {
  const startedMs = ports.clock.monotonic()
  const loaded = await loadCluster(input.inventoryPath, ports)
  const playbook = await loadPlaybook('deploy', packageRoot, ports)
  return withServers(loaded, input, { command: 'rollback', ports, onEvent }, async run => {
    const { links, nodes, observed } = run
    const entries = await readAll(links, input.forks, session => listHistory(session, ports.signal))
    throwAll(preflightErrors(loaded.cluster, nodes, { minded: 'locks' }))
    const id = chooseEntry(mergeEntries(entries), input.id)
    const snapshots = await readAll(links, input.forks, session => readSnapshot(session, id, ports.signal))
    throwAll([...snapshots].flatMap(([name, { lost }]) => (lost.length === 0 ? [] : [lostCopies(name, id, lost)])))
    for (const [name, snapshot] of snapshots) {
      if (snapshot.id === undefined)
        onEvent({ kind: 'warning', server: name, text: `the server has no entry as old as ${id} and is not changed` })
      if (withoutInitFile(snapshot.files).hadInitFile) onEvent({ kind: 'warning', server: name, text: INIT_FILE_LEFT_OUT })
    }
    const confs = new Map(
      [...snapshots].flatMap(([name, { files }]) => {
        const conf = files.find(file => file.path === KEEPALIVED_CONF)
        return conf === undefined ? [] : [[name, conf.content] as const]
      }),
    )
    const cluster = clusterAsConfigured(loaded.cluster, confs)
    const facts = nodeFactsFor(cluster, Object.fromEntries(observed))
    const desired = cluster.servers.flatMap(({ name }) => {
      const own = facts[name]
      const snapshot = snapshots.get(name)
      return own === undefined || snapshot?.id === undefined ? [] : [desiredFromSnapshot(cluster, name, own, snapshot.files)]
    })
    const result = planTowards(cluster, desired, playbook, observed, { adopt: false, reload: false })
    assertNothingForeign(result)
    assertNobodyStaysBehind(
      cluster.servers.map(({ name }) => name),
      nodes,
      result.plan,
    )
    await assertNoStrangers(loaded, input, observed, result.plan, ports, onEvent)
    tellPlan(result.plan, onEvent)
    const report = await rollOut(
      { ...run, cluster },
      {
        plan: result.plan,
        command: 'rollback',
        source: `back to ${id}`,
        playbook,
        confirm: input.confirm,
      },
    ).catch((error: unknown) => {
      const leftOut = (server: string) => certificatesLeftOut(loaded.cluster, snapshots.get(server)?.files ?? [])
      throw withCertificatesNamed(asHactlError(error), leftOut)
    })
    return { ...report, id, durationMs: ports.clock.monotonic() - startedMs }
  })
}

/**
 * A server that joined, or was replaced, after the entry keeps what it has. Where its peers go back to what it does not share, they would
 * refuse each other's adverts.
 */
function assertNobodyStaysBehind(goBack: readonly string[], nodes: readonly ObservedNode[], plan: Plan): void {
  if (plan.changeClass !== 'together' && plan.changeClass !== 'outage') return
  const behind = nodes
    .filter(node => !goBack.includes(node.server) && node.services.keepalived.active === 'active')
    .map(node => node.server)
  const [first] = behind
  if (first === undefined) return
  throw new HactlError({
    code: 'E_NO_HISTORY',
    what: `${behind.join(' and ')} joined after this entry and cannot go back with the others: both sides would hold the addresses`,
    why: plan.warnings,
    fix: `hactl remove --limit ${first} first, or change the inventory and deploy it`,
  })
}

/** HAProxy refuses the configuration of then for a certificate that is no longer there: its own words do not say how to get it back. */
function withCertificatesNamed(error: HactlError, leftOut: (server: string) => readonly string[]): HactlError {
  if (error instanceof HactlErrors) return new HactlErrors(error.errors.map(each => withCertificatesNamed(each, leftOut)))
  const { code, message: what, why, server } = error
  const paths = server === undefined ? [] : leftOut(server)
  if (code !== 'E_CONFIG_REFUSED' || server === undefined || paths.length === 0) return error
  return new HactlError({
    code,
    server,
    what,
    why: [...why, ...paths.map(path => `${path} was deployed then, and certificates: in the inventory no longer lists it`)],
    fix: `put ${paths.join(' and ')} back into certificates: (its content comes from the history), then roll back again; no running service was changed`,
    cause: error,
  })
}

/** What is not known must not be put there: a certificate under another's name would be accepted by every check. */
function lostCopies(server: string, id: string, paths: readonly string[]): HactlError {
  return new HactlError({
    code: 'E_NO_HISTORY',
    server,
    what: `the entry ${id} no longer has the content of ${paths.join(' and ')}`,
    why: ['an earlier version of hactl kept it in the same copy as another file, which took its place; nothing was changed'],
    fix: 'choose another entry (hactl history), or put the files of then into the inventory and deploy it',
  })
}

async function readSnapshot(session: Session, id: string, signal: AbortSignal): Promise<Snapshot> {
  const result = await session.run(snapshotScript(id), {
    effect: 'none',
    label: `read the files of ${id}`,
    deadlineMs: SNAPSHOT_DEADLINE_MS,
    signal,
    hasSecretOutput: true,
  })
  const snapshot = parseSnapshot(result.stdout)
  if (snapshot !== undefined) return snapshot
  throw new HactlError({
    code: 'E_PROBE_CUT',
    server: session.server,
    what: `the files of ${id} could not be read completely`,
    fix: 'run hactl rollback again',
  })
}
