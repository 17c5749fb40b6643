/**
 * What a change means for servers that --limit leaves out and that run keepalived: they may not know a server that joins, or may refuse the
 * adverts of one that changes what peers compare. Pure.
 */
import { HactlError } from '../errors.ts'
import type { ObservedNode } from '../state/observed.ts'
import type { Action, Plan } from '../state/plan.ts'
import type { Cluster } from './cluster-types.ts'
import { instancesUnknownTo, refusalsBetween } from './keepalived/peers.ts'
import { KEEPALIVED_CONF } from './paths.ts'

/** A server that the plan changes, with the configuration that it will speak by, and the one that it speaks by now; undefined: it is silent. */
interface Speaker {
  readonly server: string
  readonly conf: string
  readonly before: string | undefined
}

function speakersOf(plan: Plan, observed: ReadonlyMap<string, ObservedNode>): readonly Speaker[] {
  return plan.servers.flatMap(({ server, actions }): readonly Speaker[] => {
    const node = observed.get(server)
    const conf = node === undefined ? undefined : confAfter(node, actions)
    if (node === undefined || conf === undefined || !actions.some(action => action.id === 'service/keepalived')) return []
    return [{ server, conf, before: node.services.keepalived.active === 'active' ? node.files[KEEPALIVED_CONF]?.content : undefined }]
  })
}

/** The servers that must be looked at before this plan is applied, although the run leaves them out. */
export function leftOutConcerned(cluster: Cluster, plan: Plan, observed: ReadonlyMap<string, ObservedNode>): readonly string[] {
  const isCompared = plan.changeClass === 'together' || plan.changeClass === 'outage'
  const joins = speakersOf(plan, observed).some(({ before }) => before === undefined)
  return isCompared || joins ? cluster.servers.map(({ name }) => name).filter(name => !observed.has(name)) : []
}

/** `seen`: what those of `leftOut` that answered are now. A server that did not answer is named in `doubts`. */
export function judgeLeftOut(
  plan: Plan,
  observed: ReadonlyMap<string, ObservedNode>,
  leftOut: readonly string[],
  seen: ReadonlyMap<string, ObservedNode>,
): { readonly errors: readonly HactlError[]; readonly doubts: readonly string[] } {
  const speakers = speakersOf(plan, observed)
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
    doubts: leftOut.flatMap(name => (seen.has(name) ? [] : [`${name} could not be reached: whether it accepts this change is not known`])),
    errors: unknown.length > 0 ? [strangerError(unknown)] : refused.length > 0 ? [leftBehindError(refused)] : [],
  }
}

/** Where the two refuse each other already, the change makes nothing worse: it may be the first half of the fix. */
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
