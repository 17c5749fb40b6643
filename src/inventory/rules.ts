/** How the parts of an inventory must fit together: one function per rule, over all parts of the file that are valid by themselves. */
import { normalHost } from './address.ts'
import type { InventoryDraft } from './draft.ts'
import type { Finding } from './findings.ts'
import { splitHostPort } from './grammar.ts'
import { owner, repeated } from './repeated.ts'
import type { Entry } from './repeated.ts'
import { nearestWord, someOf } from './suggest.ts'
import { instancesOf, vipsOf, VRRP_RULES } from './vrrp-rules.ts'
import type { YamlPath } from '../yaml.ts'

export type Rule = (inventory: InventoryDraft) => readonly Finding[]

/** The rules whose findings make an inventory invalid: values that contradict each other, and clusters that can never fail over. */
export const RULES: readonly Rule[] = [
  serverNamesAreUnique,
  hostsAreUnique,
  thereIsAServerToTakeOver,
  hostsAreNotVirtual,
  ...VRRP_RULES,
  mapsNameServers,
  haproxyIsDescribedOnce,
  backendsExist,
  proxyNamesAreUnique,
  certificatesAreApart,
  mirrorsAreAskedByTheController,
  connectionsAreKeptByProfileFast,
  stopsWaitWhereConnectionsAreKept,
]

function serverNamesAreUnique(inventory: InventoryDraft): readonly Finding[] {
  const names = (inventory.servers ?? []).map((server, at) => ({ value: server?.name, path: ['servers', at, 'name'] }))
  return repeated(
    names,
    (first, again) => `${again.value} is already the name of ${owner(first.path)}`,
    'give each server a name of its own',
  )
}

function hostsAreUnique(inventory: InventoryDraft): readonly Finding[] {
  const hosts = (inventory.servers ?? []).map((server, at) => ({
    value: server?.host,
    path: ['servers', at, 'host'],
    ...(server?.host === undefined ? {} : { as: normalHost(server.host) }),
  }))
  return repeated(
    hosts,
    (first, again) => `${again.value} is already the host of ${owner(first.path)}: a machine cannot take over from itself`,
    'give each server the address of a machine of its own',
  )
}

function thereIsAServerToTakeOver(inventory: InventoryDraft): readonly Finding[] {
  if (inventory.servers?.length !== 1) return []
  return [{ path: ['servers'], message: 'there is one server: the address can never fail over', fix: 'add a second server' }]
}

function hostsAreNotVirtual(inventory: InventoryDraft): readonly Finding[] {
  const vips = new Map(
    instancesOf(inventory)
      .flatMap(vipsOf)
      .map(vip => [normalHost(vip.address), vip]),
  )
  const isVip = (address: string | undefined) => address !== undefined && vips.has(normalHost(address))
  const hosts = (inventory.servers ?? []).flatMap((server, at) =>
    isVip(server?.host)
      ? [
          {
            path: ['servers', at, 'host'],
            message: `${server?.host} is a virtual address: it leads to whichever server is master`,
            fix: "name the server's own address",
          },
        ]
      : [],
  )
  const sources = instancesOf(inventory).flatMap(({ instance, path }) => [
    ...Object.entries(instance.unicast_src_ip ?? {})
      .filter(([, address]) => isVip(address))
      .map(([name]) => [...path, 'unicast_src_ip', name]),
    ...(Array.isArray(instance.unicast_peer) ? instance.unicast_peer : []).flatMap((address, at) =>
      isVip(address) ? [[...path, 'unicast_peer', at]] : [],
    ),
  ])
  const logins = [
    { ssh: inventory.ssh, path: ['ssh'] as YamlPath },
    ...(inventory.servers ?? []).map((server, at) => ({ ssh: server?.ssh, path: ['servers', at, 'ssh'] as YamlPath })),
  ]
  const hops = logins.flatMap(({ ssh, path }) =>
    (ssh?.proxy_jump ?? '').split(',').some(hop => isVip(splitHostPort(hop.slice(hop.lastIndexOf('@') + 1))?.host))
      ? [
          {
            path: [...path, 'proxy_jump'],
            message: 'goes through a virtual address: the way to the servers is cut when it moves',
            fix: 'go through a host that does not move',
          },
        ]
      : [],
  )
  return [
    ...hosts,
    ...hops,
    ...sources.map(path => ({
      path,
      message: 'is a virtual address: adverts must come from an address that stays',
      fix: "name the server's own address",
    })),
  ]
}

function mapsNameServers(inventory: InventoryDraft): readonly Finding[] {
  const servers = inventory.servers ?? []
  const names = new Set(servers.flatMap(server => (server?.name === undefined ? [] : [server.name])))
  // A server whose own name was refused may be the one that a map means.
  if (names.size === 0 || servers.some(server => server?.name === undefined)) return []
  return instancesOf(inventory).flatMap(({ instance, path }) =>
    (['priority', 'interface', 'unicast_src_ip'] as const).flatMap(key => {
      const map = instance[key]
      if (typeof map !== 'object') return []
      return Object.keys(map)
        .filter(name => !names.has(name))
        .map(name => {
          const meant = nearestWord(name, names)
          return {
            path: [...path, key, name],
            part: 'key' as const,
            message: `there is no server ${name}`,
            fix: meant === undefined ? `the servers are ${someOf([...names])}` : `did you mean ${meant}?`,
          }
        })
    }),
  )
}

function haproxyIsDescribedOnce(inventory: InventoryDraft): readonly Finding[] {
  const haproxy = inventory.haproxy
  if (haproxy === undefined) return []
  const own = (['global', 'defaults', 'frontends', 'backends'] as const).filter(key => haproxy[key] !== undefined)
  const [first] = own
  if (haproxy.config !== undefined && first !== undefined) {
    return [
      {
        path: ['haproxy', first],
        part: 'key',
        message: `${own.join(', ')} beside config: the file is shipped as it is`,
        fix: `remove config, or move ${own.join(', ')} into ${haproxy.config}`,
      },
    ]
  }
  // Object.hasOwn: the operator meant something even where the value was refused.
  if (Object.hasOwn(haproxy, 'config') || Object.hasOwn(haproxy, 'frontends')) return []
  return [
    {
      path: ['haproxy'],
      part: 'key',
      message: 'names nothing to listen on',
      fix: 'name your own file with config:, or add frontends and backends',
    },
  ]
}

function backendsExist(inventory: InventoryDraft): readonly Finding[] {
  const backends = inventory.haproxy?.backends ?? []
  if (backends.some(backend => backend?.name === undefined)) return []
  const names = backends.flatMap(backend => (backend?.name === undefined ? [] : [backend.name]))
  return (inventory.haproxy?.frontends ?? []).flatMap((frontend, at) => {
    const name = frontend?.default_backend
    if (name === undefined || names.includes(name)) return []
    const meant = nearestWord(name, names)
    const known = names.length === 0 ? 'add it under backends' : `the backends are ${someOf(names)}`
    return [
      {
        path: ['haproxy', 'frontends', at, 'default_backend'],
        message: `there is no backend ${name}`,
        fix: meant === undefined ? known : `did you mean ${meant}?`,
      },
    ]
  })
}

/** haproxy configuration.txt, chapter 4: a name may be used once for each kind of section, and once within a backend. */
function proxyNamesAreUnique(inventory: InventoryDraft): readonly Finding[] {
  const backends = inventory.haproxy?.backends ?? []
  const entries = (kind: string) => (proxy: { readonly name?: string | undefined } | undefined, at: number) => ({
    value: proxy?.name,
    path: ['haproxy', kind, at, 'name'],
  })
  const twice = (first: Entry, again: Entry) => `${again.value} is already the name of number ${Number(first.path.at(-2)) + 1}`
  const fix = 'give each a name of its own'
  return [
    ...repeated((inventory.haproxy?.frontends ?? []).map(entries('frontends')), twice, fix),
    ...repeated(backends.map(entries('backends')), twice, fix),
    ...backends.flatMap((backend, at) =>
      repeated(
        (backend?.servers ?? []).map((server, i) => ({ value: server?.name, path: ['haproxy', 'backends', at, 'servers', i, 'name'] })),
        twice,
        fix,
      ),
    ),
  ]
}

/** By name: two files with one name are hard to tell apart in a plan, and none may have the path of a file of hactl's own. */
function certificatesAreApart(inventory: InventoryDraft): readonly Finding[] {
  const paths = (inventory.certificates ?? []).map((certificate, at) => ({ value: certificate?.path, path: ['certificates', at, 'path'] }))
  const names = paths.map(({ value, path }) => ({ path, value: value?.slice(value.lastIndexOf('/') + 1) }))
  const taken = paths.filter(({ value }) => value === '/etc/haproxy/haproxy.cfg' || value === '/etc/keepalived/keepalived.conf')
  return [
    ...repeated(
      names,
      (first, again) => `${again.value} is already the name of number ${Number(first.path.at(-2)) + 1}`,
      'give each certificate a file name of its own',
    ),
    ...taken.map(({ value, path }) => ({ path, message: `${value} is a file of hactl's own`, fix: 'such as /etc/haproxy/site.pem' })),
  ]
}

function mirrorsAreAskedByTheController({ packages }: InventoryDraft): readonly Finding[] {
  if (packages?.mirrors === undefined || packages.from === 'controller') return []
  const message = 'sets where hactl fetches packages, but the servers fetch for themselves'
  return [{ path: ['packages', 'mirrors'], part: 'key', message, fix: 'add from: controller, or leave mirrors out' }]
}

function connectionsAreKeptByProfileFast({ profile, open_connections: openConnections }: InventoryDraft): readonly Finding[] {
  if (profile !== 'classic' || openConnections !== 'keep') return []
  const message = 'profile classic cannot keep open connections: a planned move ends them'
  return [{ path: ['open_connections'], message, fix: 'set profile: fast, or leave open_connections out' }]
}

function stopsWaitWhereConnectionsAreKept(inventory: InventoryDraft): readonly Finding[] {
  const { profile, open_connections: openConnections, stop_timeout: stopTimeout } = inventory
  // With keep and classic, the contradiction between these two is the finding.
  if (stopTimeout === undefined || openConnections === 'keep') return []
  const path = ['stop_timeout']
  if (openConnections === 'reset') {
    const message = 'sets how long a stop of haproxy waits for open connections, but open_connections: reset keeps none'
    return [{ path, part: 'key', message, fix: 'remove it, or set open_connections: keep' }]
  }
  if (profile !== 'classic') return []
  const message = 'sets how long a stop of haproxy waits for open connections, but profile classic keeps none'
  return [{ path, part: 'key', message, fix: 'remove it, or set profile: fast' }]
}
