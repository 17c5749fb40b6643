/** What servers were after an earlier run, read from their own history, and how a rollback leads there. */
import { certificatesLeftOut, desiredFromSnapshot } from '../../domain/desired-from-snapshot.ts'
import { clusterAsConfigured } from '../../domain/keepalived/as-configured.ts'
import { withoutInitFile } from '../../domain/keepalived/init-file.ts'
import { nodeFactsFor } from '../../domain/node-facts.ts'
import { KEEPALIVED_CONF } from '../../domain/paths.ts'
import type { Cluster } from '../../domain/cluster-types.ts'
import { readAll } from '../fan-out.ts'
import { readSnapshot, type Snapshot } from '../history.ts'
import { asHactlError, HactlError, HactlErrors, throwAll } from '../../errors.ts'
import type { DesiredNode } from '../../state/desired.ts'
import type { ObservedNode } from '../../state/observed.ts'
import type { Plan } from '../../state/plan.ts'
import type { Looked } from './look.ts'
import type { Run } from './run.ts'

const INIT_FILE_LEFT_OUT =
  'the old keepalived.conf has init_file, which is left out: keepalived 2.2.8 to 2.3.2 would overwrite its track files at every start'

export type Snapshots = ReadonlyMap<string, Snapshot>

/**
 * Reads what every server had when the entry `id` was recorded, and warns of what a rollback leaves out of it. Throws E_NO_HISTORY (5)
 * where the content of a file is lost, and what reading throws.
 */
export async function readSnapshots({ links, ports, onEvent }: Run, forks: number, id: string): Promise<Snapshots> {
  const snapshots = await readAll(links, forks, session => readSnapshot(session, id, ports.signal))
  throwAll([...snapshots].flatMap(([name, { lost }]) => (lost.length === 0 ? [] : [lostCopies(name, id, lost)])))
  for (const [name, snapshot] of snapshots) {
    if (snapshot.id === undefined)
      onEvent({ kind: 'warning', server: name, text: `the server has no entry as old as ${id} and is not changed` })
    if (withoutInitFile(snapshot.files).hadInitFile) onEvent({ kind: 'warning', server: name, text: INIT_FILE_LEFT_OUT })
  }
  return snapshots
}

/** The cluster of then, and what its servers should be. A server without a snapshot is not among them. */
export function clusterOfThen(
  { cluster: now, observed }: Looked,
  snapshots: Snapshots,
): { readonly cluster: Cluster; readonly desired: readonly DesiredNode[] } {
  const confs = new Map(
    [...snapshots].flatMap(([name, { files }]) => {
      const conf = files.find(file => file.path === KEEPALIVED_CONF)
      return conf === undefined ? [] : [[name, conf.content] as const]
    }),
  )
  const cluster = clusterAsConfigured(now, confs)
  const facts = nodeFactsFor(cluster, Object.fromEntries(observed))
  const desired = cluster.servers.flatMap(({ name }) => {
    const own = facts[name]
    const snapshot = snapshots.get(name)
    return own === undefined || snapshot?.id === undefined ? [] : [desiredFromSnapshot(cluster, name, own, snapshot.files)]
  })
  return { cluster, desired }
}

/**
 * A server that joined, or was replaced, after the entry keeps what it has. Where its peers go back to what it does not share, they would
 * refuse each other's adverts: then this throws E_NO_HISTORY (5).
 */
export function assertNobodyStaysBehind({ servers }: Cluster, nodes: readonly ObservedNode[], plan: Plan): void {
  if (plan.changeClass !== 'together' && plan.changeClass !== 'outage') return
  const behind = nodes
    .filter(node => !servers.some(({ name }) => name === node.server) && node.services.keepalived.active === 'active')
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

/** The error of a rollback, with the certificates that it needs and no longer finds. */
export function withCertificatesNamed({ cluster }: Run, snapshots: Snapshots, thrown: unknown): HactlError {
  return namingCertificates(asHactlError(thrown), server => certificatesLeftOut(cluster, snapshots.get(server)?.files ?? []))
}

/** HAProxy refuses the configuration of then for a certificate that is missing. Its own words do not say how to get it back. */
function namingCertificates(error: HactlError, leftOut: (server: string) => readonly string[]): HactlError {
  if (error instanceof HactlErrors) return new HactlErrors(error.errors.map(each => namingCertificates(each, leftOut)))
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

/** Content that is not known must not be restored: every check would accept a certificate under another's name. */
function lostCopies(server: string, id: string, paths: readonly string[]): HactlError {
  return new HactlError({
    code: 'E_NO_HISTORY',
    server,
    what: `the entry ${id} no longer has the content of ${paths.join(' and ')}`,
    why: ['an earlier version of hactl kept it in the same copy as another file, which took its place; nothing was changed'],
    fix: 'choose another entry (hactl history), or put the files of then into the inventory and deploy it',
  })
}
