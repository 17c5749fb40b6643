/** The servers of the cluster by the list that each of them keeps: a server that left the inventory may still run keepalived. Pure. */
import { HactlError } from '../errors.ts'
import type { ObservedNode } from '../state/observed.ts'
import { MEMBERS } from '../state/places.ts'
import { canonicalAddress } from './addresses.ts'
import type { Cluster, ClusterServer } from './cluster-types.ts'
import { GENERATED_LINE } from './paths.ts'

/** A server as an earlier, deployed inventory had it. */
export interface Member {
  readonly name: string
  readonly host: string
}

/** One line per server of the inventory, "NAME HOST". Names and hosts hold no blanks (their grammar). */
export function renderMembers(cluster: Cluster): string {
  return `${GENERATED_LINE}\n${cluster.servers.map(server => `${memberLine(server)}\n`).join('')}`
}

export function memberLine({ name, host }: Member): string {
  return `${name} ${host}`
}

export function parseMembers(text: string): readonly Member[] {
  return text.split('\n').flatMap(line => {
    const [name = '', host = '', ...rest] = line.trim().split(/\s+/)
    return name === '' || name.startsWith('#') || host === '' || rest.length > 0 ? [] : [{ name, host }]
  })
}

/** Members in these servers' lists that the inventory no longer has, each once. A server that was only renamed is still a member. */
export function formerMembers(cluster: Cluster, nodes: readonly ObservedNode[]): readonly Member[] {
  const former = nodes
    .flatMap(node => parseMembers(node.files[MEMBERS]?.content ?? ''))
    .filter(member => !cluster.servers.some(server => isSameServer(member, server, nodes)))
  return former.filter((member, index) => former.findIndex(other => other.name === member.name && other.host === member.host) === index)
}

/** By host, or by name unless another machine has taken the name. */
function isSameServer(member: Member, server: ClusterServer, nodes: readonly ObservedNode[]): boolean {
  if (member.host === server.host) return true
  if (member.name !== server.name) return false
  const node = nodes.find(each => each.server === server.name)
  if (node !== undefined && remembersItself(node, server)) return true
  const then = canonicalAddress(member.host)?.address
  if (then === undefined) return true
  return node === undefined ? canonicalAddress(server.host) === undefined : node.facts.addresses.some(each => each.address === then)
}

/**
 * Whether only the way to the server has changed (a name, another network, a tunnel): it was deployed under this name. A new machine has no
 * list, and the list of a machine that had another name has its host under that name.
 */
function remembersItself(node: ObservedNode, server: ClusterServer): boolean {
  const remembered = parseMembers(node.files[MEMBERS]?.content ?? '')
  return (
    remembered.some(({ name }) => name === server.name) &&
    !remembered.some(({ name, host }) => host === server.host && name !== server.name)
  )
}

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

/** E_FORMER_MEMBER for each former member, except for those of `forget`, which the operator says are gone. */
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
