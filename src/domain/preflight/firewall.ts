/** Whether a server's packet filter stops what hactl needs, judged by its rules alone. What really passes is tried on the wire. Pure. */
import type { ObservedNode } from '../../state/observed.ts'
import type { Cluster } from '../cluster-types.ts'
import { blockedNeeds, chainsOf, chainTitle, firewallNeeds, openingCommands } from '../firewall/needs.ts'
import { openingFor } from '../firewall/open.ts'
import type { NodeFacts } from '../node-facts.ts'
import { failed, type Finding, passed, unknown, warning } from './finding.ts'

export const WILL_BE_OPENED = 'will be opened'

export function firewallFinding(cluster: Cluster, node: ObservedNode, facts: NodeFacts): Finding {
  const { server, firewall } = node
  if (firewall === undefined) return unknown('firewall', server, 'not asked')
  const chains = chainsOf(firewall)
  if (chains === undefined) return unknown('firewall', server, 'its rules could not be read')
  const needs = firewallNeeds(cluster, server, facts)
  const blocked = blockedNeeds(firewall, chains, needs)
  if (blocked.length === 0) return passed('firewall', server, chains.length === 0 ? 'none' : 'not in the way')
  const titles = [...new Set(blocked.map(one => one.need.title))]
  const flavours = [...new Set(blocked.map(one => one.flavour))]
  const what = `its firewall (${flavours.join(', ')}) stops ${titles.join(', ')}`
  const opening = openingFor(firewall, needs)
  const isMeant = cluster.firewall === 'open'
  if (isMeant && opening.kind === 'open') return passed('firewall', server, `${what}: ${WILL_BE_OPENED}`)
  const commands = openingCommands(firewall, blocked).join('; ')
  const fix = opening.kind === 'open' ? `set firewall: open in the inventory, or run: ${commands}` : commands
  // Where keepalived already works, the operator must judge a rule that was added since: running traffic may pass as "established".
  const works = node.services.keepalived.active === 'active'
  const refusal = isMeant && opening.kind === 'impossible' ? `hactl does not open it: ${opening.why}` : undefined
  if (works || !blocked.some(one => one.need.isVital))
    return warning('firewall', server, refusal === undefined ? what : `${what}; ${refusal}`, fix)
  const where = [...new Set(blocked.map(one => chainTitle(one.chain)))]
  const why = [`no rule of ${where.join(' and ')} lets it pass`, ...(refusal === undefined ? [] : [refusal])]
  return failed('firewall', { code: 'E_FIREWALL', server, what, why, fix })
}
