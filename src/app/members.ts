/** What is asked of a cluster before its members change: nobody may be left behind who still speaks, nobody join whom its peers do not know. */
import type { Cluster } from '../domain/cluster-types.ts'
import { instancesUnknownTo, refusalsBetween } from '../domain/keepalived/peers.ts'
import { formerMembers, type Member } from '../domain/members.ts'
import { KEEPALIVED_CONF } from '../domain/paths.ts'
import { observeNode } from '../engine/observe.ts'
import type { EngineEvent } from '../engine/events.ts'
import { HactlError, throwAll } from '../errors.ts'
import type { Ports } from '../ports.ts'
import type { Action, ObservedNode, Plan } from '../state.ts'
import { type ConnectOptions, targetsOf, withConnections } from './connect.ts'
import type { LoadedCluster } from './load.ts'
import { probeRequestFor } from '../engine/operations/look.ts'

function describeMember({ name, host }: Member): string {
  return `${name} (${host})`
}

/** One sentence per server that left the inventory and that the others remember. */
export function formerMemberProblems(cluster: Cluster, nodes: readonly ObservedNode[]): readonly string[] {
  return formerMembers(cluster, nodes).map(
    member =>
      `${describeMember(member)} was a member and is no longer in the inventory: put it back and run hactl remove --limit ${member.name}, ` +
      `or, if it is gone for good, run hactl deploy --forget ${member.name}`,
  )
}

/** Throws E_USAGE where a server is to be forgotten that the inventory has. */
export function assertForgettable(cluster: Cluster, forget: readonly string[]): void {
  const present = cluster.servers.map(({ name }) => name).filter(name => forget.includes(name))
  if (present.length === 0) return
  throw new HactlError({
    code: 'E_USAGE',
    what: `--forget names ${present.join(', ')}, which the inventory has`,
    why: ['--forget is for former members that are gone for good', 'no server was contacted'],
    fix: 'take the server out of the inventory first, or leave --forget out',
  })
}

/** `forget`: names of those that the operator says are gone. */
export function formerMemberErrors(cluster: Cluster, nodes: readonly ObservedNode[], forget: readonly string[]): readonly HactlError[] {
  return formerMembers(cluster, nodes)
    .filter(({ name }) => !forget.includes(name))
    .map(
      member =>
        new HactlError({
          code: 'E_FORMER_MEMBER',
          what: `${describeMember(member)} was a member of this cluster and is no longer in the inventory`,
          why: ['it may still run keepalived: when the others stop sending it adverts, it holds their addresses as well'],
          fix: `put it back into the inventory and run hactl remove --limit ${member.name} first; if it is gone for good: hactl deploy --forget ${member.name}`,
        }),
    )
}

/** A server as it is to speak: with what, and with what until now; undefined where it says nothing yet. */
interface Speaker {
  readonly server: string
  readonly conf: string
  readonly before: string | undefined
}

/**
 * Whether servers that --limit leaves out and that run keepalived would be left behind: they do not know a server that is about to join, or
 * would refuse the adverts of one that changes what peers compare. They are looked at for this, and for nothing else; one that does not
 * answer is named in `doubts`.
 */
export async function strangers(
  loaded: LoadedCluster,
  options: ConnectOptions,
  observed: ReadonlyMap<string, ObservedNode>,
  plan: Plan,
  ports: Ports,
): Promise<{ readonly errors: readonly HactlError[]; readonly doubts: readonly string[] }> {
  const { cluster } = loaded
  const speakers = plan.servers.flatMap(({ server, actions }): readonly Speaker[] => {
    const node = observed.get(server)
    const conf = node === undefined ? undefined : confAfter(node, actions)
    if (node === undefined || conf === undefined || !actions.some(action => action.id === 'service/keepalived')) return []
    return [{ server, conf, before: node.services.keepalived.active === 'active' ? node.files[KEEPALIVED_CONF]?.content : undefined }]
  })
  const leftOut = cluster.servers.map(({ name }) => name).filter(name => !observed.has(name))
  const isCompared = plan.changeClass === 'together' || plan.changeClass === 'outage'
  if (leftOut.length === 0 || !(isCompared || speakers.some(({ before }) => before === undefined))) return { errors: [], doubts: [] }
  return withConnections(
    await targetsOf(loaded, { ...options, limit: leftOut }, ports),
    options.forks,
    ports,
    session => observeNode(session, probeRequestFor(cluster), ports.signal),
    async (_, seen) => {
      const running = leftOut.flatMap(name => {
        const node = seen.get(name)
        return node?.services.keepalived.active === 'active' ? [{ name, conf: node.files[KEEPALIVED_CONF]?.content ?? '' }] : []
      })
      const unknown = running.flatMap(({ name, conf }) =>
        speakers.flatMap(({ server, conf: own, before }) => {
          const instances = before === undefined ? instancesUnknownTo(conf, own) : []
          return instances.length === 0 ? [] : [`${name} does not know ${server} (${instances.join(', ')}), and sends it no adverts`]
        }),
      )
      const refused = running.flatMap(({ name, conf }) => speakers.flatMap(speaker => refusedBy(name, conf, speaker)))
      return {
        doubts: leftOut.flatMap(name =>
          seen.has(name) ? [] : [`${name} could not be reached: whether it accepts this change is not known`],
        ),
        errors: unknown.length > 0 ? [strangerError(unknown)] : refused.length > 0 ? [leftBehindError(refused)] : [],
      }
    },
  )
}

/** strangers() as a refusal: throws E_UNKNOWN_TO_PEERS (5); servers that could not be asked are warned of. */
export async function assertNoStrangers(
  loaded: LoadedCluster,
  options: ConnectOptions,
  observed: ReadonlyMap<string, ObservedNode>,
  plan: Plan,
  ports: Ports,
  onEvent: (event: EngineEvent) => void,
): Promise<void> {
  const { errors, doubts } = await strangers(loaded, options, observed, plan, ports)
  throwAll(errors)
  for (const text of doubts) onEvent({ kind: 'warning', text })
}

/** Where the two do not get on as it is, the change makes nothing worse: it may be the first half of mending it. */
function refusedBy(name: string, running: string, { server, conf, before }: Speaker): readonly string[] {
  const reasons = refusalsBetween(running, conf)
  if (reasons.length === 0 || (before !== undefined && refusalsBetween(running, before).length > 0)) return []
  return [`${name} keeps a configuration that ${server} is to give up: ${reasons.join('; ')}`]
}

function confAfter(node: ObservedNode, actions: readonly Action[]): string | undefined {
  const write = actions.find(action => action.kind === 'write-file' && action.path === KEEPALIVED_CONF)
  return write?.kind === 'write-file' ? write.after : node.files[KEEPALIVED_CONF]?.content
}

function leftBehindError(problems: readonly string[]): HactlError {
  return new HactlError({
    code: 'E_UNKNOWN_TO_PEERS',
    what: 'servers that --limit leaves out would refuse the adverts of the servers that it names: both sides would hold the addresses',
    why: problems,
    fix: 'run it without --limit, so that peers change together; first stop keepalived on a server that cannot change',
  })
}

function strangerError(problems: readonly string[]): HactlError {
  return new HactlError({
    code: 'E_UNKNOWN_TO_PEERS',
    what: 'a server would join that its peers do not know: it and their master would both hold the addresses',
    why: problems,
    fix: 'deploy without --limit, or deploy first to the peers with --limit',
  })
}
