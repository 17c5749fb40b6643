import type { Cluster } from '../domain/cluster-types.ts'
import { LOCK_EXPIRES_SECONDS } from '../engine/lock.ts'
import { HactlError, HactlErrors } from '../errors.ts'
import type { ObservedNode } from '../state.ts'
import { holdersOf } from './observe-cluster.ts'

/** Why these servers cannot be worked on, all reasons of all servers together; nothing was changed yet. */
export function preflightErrors(
  cluster: Cluster,
  nodes: readonly ObservedNode[],
  options: { readonly minded: 'locks' | 'no-locks' },
): readonly HactlError[] {
  return [
    ...nodes.flatMap(fitnessErrors),
    ...sameMachineErrors(nodes),
    ...foreignHolderErrors(cluster, nodes),
    ...(options.minded === 'locks' ? nodes.flatMap(lockErrors) : []),
  ]
}

export function assertFit(errors: readonly HactlError[]): void {
  const [only] = errors
  if (only === undefined) return
  throw errors.length === 1 ? only : new HactlErrors(errors)
}

function fitnessErrors(node: ObservedNode): HactlError[] {
  const { facts, server } = node
  if (facts.uid !== 0) {
    return [
      new HactlError({
        code: 'E_SUDO',
        server,
        what: `hactl works as uid ${facts.uid} here, not as root`,
        fix: 'set become: true, or log in as root',
      }),
    ]
  }
  const family = [facts.os.id, ...facts.os.like.split(' ')]
  if (!facts.dpkg || !family.includes('debian')) {
    return [
      new HactlError({
        code: 'E_OS_UNSUPPORTED',
        server,
        what: `${facts.os.pretty} is not a Debian or Ubuntu`,
        why: ['hactl installs with apt and knows how Debian ships haproxy and keepalived'],
        fix: 'use a server with Debian 11 to 13 or Ubuntu 20.04 to 24.04',
      }),
    ]
  }
  if (!facts.systemd) {
    return [new HactlError({ code: 'E_NO_SYSTEMD', server, what: 'systemd does not run here', fix: 'use a server that systemd booted' })]
  }
  return []
}

// machine-id alone is not proof: cloned images share it. Two names for one machine share its addresses too.
function sameMachineErrors(nodes: readonly ObservedNode[]): HactlError[] {
  const key = (node: ObservedNode) => `${node.facts.machineId} ${node.facts.linkAddresses.join(' ')}`
  return nodes.flatMap((node, index) => {
    const twin = nodes.slice(0, index).find(other => node.facts.linkAddresses.length > 0 && key(other) === key(node))
    if (twin === undefined) return []
    return [
      new HactlError({
        code: 'E_SAME_MACHINE',
        server: node.server,
        what: `${node.server} and ${twin.server} are one machine`,
        why: [`both have the machine id ${node.facts.machineId} and the network cards ${node.facts.linkAddresses.join(', ')}`],
        fix: 'a machine cannot take over from itself: name different hosts',
      }),
    ]
  })
}

function foreignHolderErrors(cluster: Cluster, nodes: readonly ObservedNode[]): HactlError[] {
  // With servers left out, the answer may come from one of them.
  if (nodes.length < cluster.servers.length) return []
  const ours = new Set(nodes.flatMap(node => node.facts.linkAddresses))
  return cluster.instances
    .flatMap(instance => instance.virtualAddresses)
    .flatMap(vip => {
      if (holdersOf(nodes, vip.address).length > 0) return []
      const seen = nodes.flatMap(node =>
        node.neighbours
          .filter(neighbour => neighbour.address === vip.address && !ours.has(neighbour.linkAddress))
          .map(neighbour => ({ node, neighbour })),
      )
      const [first] = seen
      if (first === undefined) return []
      return [
        new HactlError({
          code: 'E_VIP_TAKEN',
          server: first.node.server,
          what: `the virtual address ${vip.address} is already in use by another machine`,
          why: [
            `${seen.map(({ node }) => node.server).join(' and ')} got an answer for it from ${first.neighbour.linkAddress}, which is none of these servers`,
          ],
          fix: `free it, or choose another address: ip neigh show ${vip.address} on ${first.node.server} names the owner's MAC address`,
        }),
      ]
    })
}

function lockErrors(node: ObservedNode): HactlError[] {
  if (node.lock === undefined || node.lock.ageSeconds > LOCK_EXPIRES_SECONDS) return []
  return [
    new HactlError({
      code: 'E_LOCKED',
      server: node.server,
      what: `another run of hactl works on this cluster: ${node.lock.owner}, ${node.lock.reason}`,
      why: [`its last sign of life was ${node.lock.ageSeconds} s ago; a dead run's lock is free after ${LOCK_EXPIRES_SECONDS} s`],
      fix: 'wait for it to end; hactl unlock breaks the lock of a run that is surely dead',
    }),
  ]
}
