/** What a look at a server asks about open connections, and how the answer is read (src/on-server/open-connections-look.sh). */
import { sh, shWith } from '../../shell/sh.ts'
import type { ObservedOpenConnections } from '../../state/open-connections.ts'
import type { ServiceLook } from '../../state/services.ts'
import type { Cluster } from '../cluster-types.ts'

/** Files that the packet filter is loaded from at boot. */
const SAVED_RULES = ['/etc/nftables.conf']

/** nft -c answers in some 20 ms. */
const NFT_SECONDS = 2

/** An error of nft's is shown up to this length. */
const WHY_CHARACTERS = 160

type Look = Pick<ServiceLook, 'said'> & { readonly parse: (section: (name: string) => string | undefined) => OpenConnectionsAnswer }
type OpenConnectionsAnswer = { readonly openConnections?: ObservedOpenConnections }

/** Nothing is asked where the cluster does not keep open connections. */
export function openConnectionsLook(cluster: Pick<Cluster, 'openConnections' | 'instances'>): Look {
  if (cluster.openConnections === 'reset') return { said: sh`:`, parse: () => ({}) }
  const families = new Set(cluster.instances.flatMap(instance => instance.virtualAddresses.map(vip => vip.family)))
  const look = shWith('open-connections-look.sh', {
    OPEN_CONNECTIONS_FAMILIES: [...families].join(' '),
    NFT_SECONDS,
    SAVED_RULES: SAVED_RULES.join(' '),
  })
  return {
    said: look`open_connections_said`,
    parse: section => {
      const text = section('open-connections')
      return text === undefined ? {} : { openConnections: parseOpenConnections(text) }
    },
  }
}

/** What cannot be read counts as a server that cannot keep them: a deploy then leaves it as it is. */
function parseOpenConnections(text: string): ObservedOpenConnections {
  const lines = text.split('\n').map(line => line.trim())
  return {
    ability: lines.map(parseAbility).find(found => found !== undefined) ?? { kind: 'unable', why: 'it did not say whether it can' },
    savedIn: SAVED_RULES.filter(path => lines.includes(`saved ${path}`)),
  }
}

function parseAbility(line: string): ObservedOpenConnections['ability'] | undefined {
  if (line === 'able' || line === 'installable') return { kind: line }
  if (line === 'unable nft-missing') return { kind: 'unable', why: 'nftables is not installed' }
  const refused = /^unable refused ?(.*)$/.exec(line)?.[1]
  if (refused === undefined) return undefined
  const said = refused === '' ? 'without a word' : refused.slice(0, WHY_CHARACTERS)
  return { kind: 'unable', why: `its nft or its kernel refuses the rules: ${said}` }
}
