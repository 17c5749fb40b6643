/** Is a server's packet filter in the way? Judged by its rules alone: what passes by itself is seen on the wire. Pure. */
import type { ObservedNode } from '../../state.ts'
import type { Cluster } from '../cluster-types.ts'
import { blockedNeeds, chainsOf, firewallNeeds, openingCommands } from '../firewall/needs.ts'
import type { NodeFacts } from '../node-facts.ts'
import { failed, type Finding, passed, unknown, warning } from './finding.ts'

export function firewallFinding(cluster: Cluster, node: ObservedNode, facts: NodeFacts): Finding {
  const { server, firewall } = node
  if (firewall === undefined) return unknown('firewall', server, 'not asked')
  const chains = chainsOf(firewall)
  if (chains === undefined) return unknown('firewall', server, 'its rules could not be read')
  const blocked = blockedNeeds(firewall, chains, firewallNeeds(cluster, server, facts))
  if (blocked.length === 0) return passed('firewall', server, chains.length === 0 ? 'none' : 'not in the way')
  const titles = [...new Set(blocked.map(one => one.need.title))]
  const flavours = [...new Set(blocked.map(one => one.flavour))]
  const what = `its firewall (${flavours.join(', ')}) stops ${titles.join(', ')}`
  const fix = openingCommands(firewall, blocked).join('; ')
  // Where keepalived already works, a rule added since is for the operator to judge: what runs may pass as "established".
  const works = node.services.keepalived.active === 'active'
  if (works || !blocked.some(one => one.need.isVital)) return warning('firewall', server, what, fix)
  const where = [
    ...new Set(blocked.map(one => `${one.chain.origin === 'nft' ? `${one.chain.family} ${one.chain.table} ` : ''}${one.chain.name}`)),
  ]
  return failed('firewall', { code: 'E_FIREWALL', server, what, why: [`no rule of ${where.join(' and ')} lets it pass`], fix })
}
