/** Whether two servers' keepalived.conf files let them hear each other. Pure. */
import { type InstanceView, viewsOf } from './classify.ts'

/**
 * Instances of `newcomer` (a keepalived.conf) that send unicast adverts and that the server with `running` does not have as a peer: it would
 * send them nothing, and they would take the address although it has a master. A file that cannot be read in full has no peers.
 */
export function instancesUnknownTo(running: string, newcomer: string): readonly string[] {
  const there = viewsOf(running) ?? []
  return (viewsOf(newcomer) ?? [])
    .filter(own => own.mode === 'unicast')
    .filter(own => {
      const peer = there.find(other => other.virtualRouterId === own.virtualRouterId && other.family === own.family)
      return peer === undefined || !peer.peers.split(' ').includes(own.sourceAddress)
    })
    .map(own => own.name)
}

/**
 * Why servers with these two keepalived.conf files would refuse or never hear each other's adverts, so that both hold the addresses
 * (evidence V11): one sentence per instance. Empty where they agree, or share nothing, or a file cannot be read in full.
 */
export function refusalsBetween(one: string, other: string): readonly string[] {
  const there = viewsOf(other) ?? []
  return (viewsOf(one) ?? []).flatMap(own => {
    const peer =
      there.find(view => view.virtualRouterId === own.virtualRouterId && view.family === own.family) ??
      there.find(view => view.addresses.split(' ').some(address => own.addresses.split(' ').includes(address)))
    const differences = peer === undefined ? [] : differencesOf(own, peer)
    return differences.length === 0 ? [] : [`${own.name}: ${differences.join(', ')}`]
  })
}

function differencesOf(one: InstanceView, other: InstanceView): readonly string[] {
  const found: string[] = []
  if (one.virtualRouterId !== other.virtualRouterId) found.push('a different virtual_router_id')
  if (one.version !== other.version) found.push('a different VRRP version')
  if (one.mode !== other.mode)
    found.push(one.mode === 'unicast' || other.mode === 'unicast' ? 'unicast on one side only' : 'a different group')
  else if (one.mode === 'unicast' && !(knows(one, other) && knows(other, one))) found.push('it is not a unicast_peer')
  if (one.addresses !== other.addresses) found.push('different virtual addresses')
  if (one.authentication !== other.authentication) found.push('different authentication')
  if (one.advertMs !== other.advertMs && (one.version === 2 || other.version === 2)) found.push('a different advert_int')
  return found
}

function knows(one: InstanceView, other: InstanceView): boolean {
  return one.peers.split(' ').includes(other.sourceAddress)
}
