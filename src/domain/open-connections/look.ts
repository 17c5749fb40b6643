/** What a look at a server asks about open connections, and how the answer is read (src/on-server/open-connections-look.sh). */
import { shWith } from '../../shell/sh.ts'
import type { ObservedOpenConnections, OpenConnectionsService } from '../../state/open-connections.ts'
import type { ServiceLook } from '../../state/services.ts'
import type { Cluster } from '../cluster-types.ts'
import { OPEN_CONNECTIONS_LOADED, OPEN_CONNECTIONS_PROGRAM, OPEN_CONNECTIONS_SERVICE } from '../paths.ts'

/** The file that the packet filter is loaded from at boot. It may include others. */
const SAVED_RULES = '/etc/nftables.conf'

/** A server names its files itself, and people are told to edit them. */
const SAVED = /^saved ((?:\/[A-Za-z0-9._+@-]{1,64}){1,8}\.(?:conf|nft|rules|ruleset))$/

/** More of them say no more. */
const SAVED_SHOWN = 8

/** nft -c answers in some 20 ms, and so does the service where few connections are open. */
const ASK_SECONDS = 2

/** The service says a line for each port and each peer. */
const SAID_BYTES = 16_384

/** An error of nft's is shown up to this length. */
const WHY_CHARACTERS = 160

const PORT = /^\d{1,5}$/
const COUNT = /^\d{1,9}$/

type Look = Pick<ServiceLook, 'said'> & { readonly parse: (section: (name: string) => string | undefined) => OpenConnectionsAnswer }
type OpenConnectionsAnswer = { readonly openConnections?: ObservedOpenConnections }

/** Where the cluster does not keep open connections, only a service that is still there is asked: it may have some open. */
export function openConnectionsLook(cluster: Pick<Cluster, 'openConnections' | 'instances'>): Look {
  const families = new Set(cluster.instances.flatMap(instance => instance.virtualAddresses.map(vip => vip.family)))
  const look = shWith('open-connections-look.sh', {
    OPEN_CONNECTIONS_PROGRAM,
    OPEN_CONNECTIONS_SERVICE,
    OPEN_CONNECTIONS_LOADED,
    OPEN_CONNECTIONS_FAMILIES: [...families].join(' '),
    ASK_SECONDS,
    SAID_BYTES,
    SAVED_RULES,
  })
  return {
    said: cluster.openConnections === 'reset' ? look`open_connections_left` : look`open_connections_said`,
    parse: section => {
      const text = section('open-connections')
      return text === undefined ? {} : { openConnections: parseOpenConnections(text) }
    },
  }
}

/** What cannot be read counts as a server that cannot keep them: a deploy then leaves it as it is. */
function parseOpenConnections(text: string): ObservedOpenConnections {
  const lines = text.split('\n').map(line => line.trim())
  const service = parseService(lines)
  const ability = lines.map(parseAbility).find(found => found !== undefined) ?? SILENT
  return {
    ...(service === undefined ? {} : { service }),
    // A server that is too busy to answer can still do what it could when the service was deployed.
    ability: ability === SILENT && service !== undefined ? { kind: 'able' } : ability,
    savedIn: [...new Set(lines.flatMap(line => SAVED.exec(line)?.[1] ?? []))].slice(0, SAVED_SHOWN),
  }
}

const SILENT: ObservedOpenConnections['ability'] = { kind: 'unable', why: 'it did not say whether it can' }

function parseAbility(line: string): ObservedOpenConnections['ability'] | undefined {
  if (line === 'able' || line === 'installable') return { kind: line }
  if (line === 'unable silent') return SILENT
  if (line === 'unable nft-missing') return { kind: 'unable', why: 'nftables is not installed' }
  const refused = /^unable refused ?(.*)$/.exec(line)?.[1]
  if (refused === undefined) return undefined
  return { kind: 'unable', why: `its nft or its kernel refuses the rules: ${shown(refused)}` }
}

const shown = (why: string) => (why === '' ? 'without a word' : why.slice(0, WHY_CHARACTERS))

/** What `open-connections.pl status` prints. */
function parseService(lines: readonly string[]): OpenConnectionsService | undefined {
  const isRunning = lines.includes('running')
  if (!isRunning && !lines.includes('stopped')) return undefined
  const words = lines.map(line => line.split(' '))
  const rules = words.find(([word]) => word === 'rules')?.[1]
  const busy = new Set(words.flatMap(([word, name = '', state]) => (word === 'instance' && state !== 'none' ? [name] : [])))
  const kept = new Set(words.flatMap(([word, name = '', state]) => (word === 'instance' && state === 'kept' ? [name] : [])))
  return {
    isRunning,
    isOutdated: lines.includes('outdated'),
    ...(lines.includes('fresh') ? { isFresh: true } : {}),
    ...(rules === undefined ? {} : { hasRules: rules !== 'missing' }),
    ...(rules === 'refused' ? { refused: shown(lines.flatMap(line => /^rules refused (.*)$/.exec(line)?.[1] ?? [])[0] ?? '') } : {}),
    unarmed: words.flatMap(([word, name = '']) => (word === 'unarmed' && busy.has(name) ? [name] : [])),
    windows: words.flatMap(([word, instance = '', port = '', connections = '']) =>
      word === 'open' && kept.has(instance) && PORT.test(port) && COUNT.test(connections)
        ? [{ instance, port: Number(port), connections: Number(connections) }]
        : [],
    ),
    unproven: words.flatMap(([word, instance = '', peer = '', answer]) =>
      word === 'proven' && answer === 'no' ? [{ instance, peer }] : [],
    ),
  }
}
