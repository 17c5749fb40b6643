/** What haproxy.cfg says that loses connections although open_connections is keep. Pure. */
import type { Issue } from '../../inventory/inventory.ts'
import { canonicalAddress } from '../addresses.ts'
import type { Cluster } from '../cluster-types.ts'
import { parseHaproxySections, readBinds, type Section, unreadBinds } from '../haproxy/read.ts'
import { MARK, OPENING_SECONDS } from './rules.ts'

const GIVE_UP = 'or set open_connections: reset'

/** Warnings for `hactl check`: each names a section of haproxy.cfg. Empty where the inventory does not want connections to be kept. */
export function configDoubts(cluster: Cluster): readonly Issue[] {
  if (cluster.openConnections === 'reset') return []
  return [...lostMarks(cluster), ...hiddenPorts(cluster), ...virtualSources(cluster)]
}

const nameOf = ({ kind, name }: Pick<Section, 'kind' | 'name'>) => (name === undefined ? kind : `${kind} ${name}`)

/** Where the inventory has what is in a section of this kind. */
function placeOf({ haproxyConfig }: Cluster, { kind }: Pick<Section, 'kind'>): string {
  if (haproxyConfig.verbatim) return 'haproxy.config'
  if (kind === 'defaults') return 'haproxy.defaults'
  return kind === 'backend' ? 'haproxy.backends' : 'haproxy.frontends'
}

/** "http-request ACTION", "tcp-request content ACTION". */
const RULE = /^(?:(http|http-after)|tcp)-(?:request|response)$/
const SETS_MARK = /^set-(?:fc-)?mark$/

/** On a port that is bound by name, the mark of its first packet tells a connection from the listening socket. HAProxy sets the whole mark. */
function lostMarks(cluster: Cluster): readonly Issue[] {
  const { text } = cluster.haproxyConfig
  const named = readBinds(text).filter(bind => bind.address !== undefined && !bind.loopback)
  if (named.length === 0) return []
  const isOfNamed = ({ kind, name }: Section) =>
    kind === 'backend' || kind === 'defaults' || named.some(bind => bind.section === (name ?? kind))
  return parseHaproxySections(text)
    .filter(isOfNamed)
    .flatMap(section =>
      section.lines.flatMap(({ words }): readonly Issue[] => {
        const rule = RULE.exec(words[0] ?? '')
        const [action = '', mark = ''] = words.slice(rule?.[1] === undefined ? 2 : 1)
        if (rule === null || !SETS_MARK.test(action) || (Number(mark) & MARK) !== 0) return []
        const ports = [...new Set(named.map(({ port }) => port))].join(', ')
        return [
          {
            path: placeOf(cluster, section),
            message: `${nameOf(section)}: ${action} ${mark} takes away the mark by which a connection to a port that is bound to an address (${ports}) is known: once an address has moved, such a connection is reset after ${OPENING_SECONDS} s`,
            fix: `bind the port to all addresses, add 0x${MARK.toString(16)} to the mark, ${GIVE_UP}`,
          },
        ]
      }),
    )
}

/** Where all ports are known, packets to other ports are left alone. */
function hiddenPorts(cluster: Cluster): readonly Issue[] {
  return unreadBinds(cluster.haproxyConfig.text).map(({ section, word }) => ({
    path: placeOf(cluster, section),
    message: `${nameOf(section)}: "bind ${word}" does not say its port, so hactl takes every TCP port for one of haproxy's: while connections of before a move are open, connections to ports that docker publishes or a rule redirects are reset`,
    fix: 'write the port as a number',
  }))
}

/** The servers of a backend answer a connection at its source. After a move another server has that address, and no such connection. */
function virtualSources(cluster: Cluster): readonly Issue[] {
  const virtual = cluster.instances.flatMap(({ virtualAddresses }) => virtualAddresses.map(({ address }) => address))
  return parseHaproxySections(cluster.haproxyConfig.text).flatMap(section => {
    const sources = ['defaults', 'backend', 'listen'].includes(section.kind) ? section.lines.flatMap(({ words }) => sourceIn(words)) : []
    const own = [...new Set(sources.flatMap(({ address }) => (address !== undefined && virtual.includes(address) ? [address] : [])))]
    const path = placeOf(cluster, section)
    const lost = 'a move cuts them, and with them the clients that it should keep'
    return [
      ...own.map(address => ({
        path,
        message: `${nameOf(section)}: connections to its servers come from ${address}, a virtual address: ${lost}`,
        fix: `remove source ${address}, ${GIVE_UP}`,
      })),
      ...(sources.some(({ isClients }) => isClients)
        ? [
            {
              path,
              message: `${nameOf(section)}: usesrc: where its servers answer these connections by way of a virtual address, ${lost}`,
              fix: `remove usesrc, ${GIVE_UP}`,
            },
          ]
        : []),
    ]
  })
}

interface Source {
  /** undefined for a name, a variable or all addresses. */
  readonly address: string | undefined
  readonly isClients: boolean
}

/** Lines that may have a source, and their first word that may be it. */
const SOURCE_FROM: ReadonlyMap<string, number> = new Map([
  ['source', 0],
  ['default-server', 1],
  ['server', 3],
])

/** "source 192.0.2.200:1024-2048 usesrc clientip", also among the words of a server or default-server line. */
function sourceIn(words: readonly string[]): readonly Source[] {
  const begin = SOURCE_FROM.get(words[0] ?? '')
  const at = begin === undefined ? -1 : words.indexOf('source', begin)
  if (at < 0) return []
  const text = (words[at + 1] ?? '').replace(/^ipv[46]@/, '')
  const [whole, host] = [text, text.replace(/:\d+(?:-\d+)?$/, '')].map(one => canonicalAddress(one.replace(/^\[(.*)\]$/, '$1')))
  return [{ address: (whole ?? host)?.address, isClients: words[at + 2] === 'usesrc' }]
}
