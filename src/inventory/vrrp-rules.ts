/** Rules about vrrp_instances: one function each, over all parts of the file that are valid by themselves. */
import { areDifferentNetworks, familyOf, normalHost, parseAddressWithPrefix, reservedRole } from './address.ts'
import type { AddressWithPrefix } from './address.ts'
import type { Draft, InventoryDraft } from './draft.ts'
import type { Finding } from './findings.ts'
import { owner, repeated } from './repeated.ts'
import type { Entry } from './repeated.ts'
import type { InventoryInput } from './schema.ts'
import type { YamlPath } from '../yaml.ts'

type InstanceDraft = Draft<InventoryInput['vrrp_instances'][number]>

/** The instances that the draft has, with their paths. */
export function instancesOf(inventory: InventoryDraft): readonly { readonly instance: InstanceDraft; readonly path: YamlPath }[] {
  return (inventory.vrrp_instances ?? []).flatMap((instance, at) =>
    instance === undefined ? [] : [{ instance, path: ['vrrp_instances', at] }],
  )
}

interface Vip extends AddressWithPrefix {
  readonly text: string
  readonly path: YamlPath
}

/** The virtual addresses of an instance, in order. */
export function vipsOf({ instance, path }: { readonly instance: InstanceDraft; readonly path: YamlPath }): readonly Vip[] {
  return (instance.virtual_ipaddress ?? []).flatMap((text, at) => {
    const vip = text === undefined ? undefined : parseAddressWithPrefix(text)
    return vip === undefined || text === undefined ? [] : [{ ...vip, text, path: [...path, 'virtual_ipaddress', at] }]
  })
}

/** VRRP version that keepalived will speak: the profile's where none is set; IPv6 has only version 3 (RFC 5798). */
function versionOf(inventory: InventoryDraft, instance: InstanceDraft): 2 | 3 {
  if (instance.version !== undefined) return instance.version
  const hasIpv6 = (instance.virtual_ipaddress ?? []).some(text => text !== undefined && familyOf(text.split('/')[0] ?? '') === 6)
  return inventory.profile === 'classic' && !hasIpv6 ? 2 : 3
}

export const VRRP_RULES = [
  instanceNamesAreUnique,
  routerIdsAreUnique,
  virtualAddressesAreUnique,
  virtualAddressesAreOfOneFamily,
  virtualAddressesCanBeHeld,
  advertIntFitsTheVersion,
  versionFitsTheFamily,
  peersAreOfTheFamily,
]

function instanceNamesAreUnique(inventory: InventoryDraft): readonly Finding[] {
  const names = instancesOf(inventory).map(({ instance, path }) => ({ value: instance.name, path: [...path, 'name'] }))
  return repeated(
    names,
    (first, again) => `${again.value} is already the name of ${owner(first.path)}`,
    'give each instance a name of its own',
  )
}

/** RFC 5798 section 5.2.3: the number distinguishes routers on one link; IPv4 and IPv6 are counted separately. */
function routerIdsAreUnique(inventory: InventoryDraft): readonly Finding[] {
  const instances = instancesOf(inventory)
  return instances.flatMap((later, at) => {
    const id = later.instance.virtual_router_id
    const earlier = instances.slice(0, at).find(({ instance }) => instance.virtual_router_id === id)
    if (id === undefined || earlier === undefined || !mayShareALink(earlier, later)) return []
    return [
      {
        path: [...later.path, 'virtual_router_id'],
        message: `${id} is already the number of ${owner(earlier.path)}`,
        fix: 'give each instance a virtual_router_id of its own',
      },
    ]
  })
}

function mayShareALink(a: ReturnType<typeof instancesOf>[number], b: ReturnType<typeof instancesOf>[number]): boolean {
  const [vipA] = vipsOf(a)
  const [vipB] = vipsOf(b)
  if (vipA !== undefined && vipB !== undefined && vipA.family !== vipB.family) return false
  const interfacesA = a.instance.interface
  const interfacesB = b.instance.interface
  if (interfacesA === undefined || interfacesB === undefined) {
    if (Object.hasOwn(a.instance, 'interface') !== (interfacesA !== undefined)) return false
    if (Object.hasOwn(b.instance, 'interface') !== (interfacesB !== undefined)) return false
    return vipA === undefined || vipB === undefined || !areDifferentNetworks(vipA, vipB)
  }
  const names = new Set([
    ...(typeof interfacesA === 'string' ? [] : Object.keys(interfacesA)),
    ...(typeof interfacesB === 'string' ? [] : Object.keys(interfacesB)),
  ])
  const on = (interfaces: typeof interfacesA, server: string) => (typeof interfaces === 'string' ? interfaces : interfaces?.[server])
  return names.size === 0 ? interfacesA === interfacesB : [...names].some(name => on(interfacesA, name) === on(interfacesB, name))
}

function virtualAddressesAreUnique(inventory: InventoryDraft): readonly Finding[] {
  const vips = instancesOf(inventory)
    .flatMap(vipsOf)
    .map(vip => ({ value: vip.address, as: normalHost(vip.address), path: vip.path }))
  return repeated(vips, (first, again) => `${again.value} is already listed in ${owner(first.path)}`, 'name each virtual address once')
}

/** One VRRP packet carries addresses of one family (RFC 5798 section 5.2). */
function virtualAddressesAreOfOneFamily(inventory: InventoryDraft): readonly Finding[] {
  return instancesOf(inventory).flatMap(entry => {
    const [first, ...rest] = vipsOf(entry)
    const other = rest.find(vip => vip.family !== first?.family)
    if (first === undefined || other === undefined) return []
    return [
      {
        path: other.path,
        message: `IPv${other.family} beside IPv${first.family}: an instance has addresses of one family`,
        fix: `move the IPv${other.family} addresses to an instance of their own`,
      },
    ]
  })
}

function virtualAddressesCanBeHeld(inventory: InventoryDraft): readonly Finding[] {
  return instancesOf(inventory)
    .flatMap(vipsOf)
    .flatMap(vip => {
      const role = reservedRole(vip)
      if (role === undefined) return []
      return [
        {
          path: vip.path,
          message: `${vip.text} is the ${role} address of its network: no server can hold it`,
          fix: 'choose another address',
        },
      ]
    })
}

/** keepalived.conf(5), advert_int: version 2 counts whole seconds, version 3 hundredths in 12 bits (RFC 5798 section 5.2.7). */
function advertIntFitsTheVersion(inventory: InventoryDraft): readonly Finding[] {
  return instancesOf(inventory).flatMap(({ instance, path }) => {
    const value = instance.advert_int
    if (value === undefined) return []
    const at = [...path, 'advert_int']
    if (versionOf(inventory, instance) === 2) {
      if (Number.isInteger(value)) return []
      return [
        {
          path: at,
          message: `must be whole seconds with VRRP version 2, not ${value}`,
          fix: 'set it to 1 or more, or set version: 3 beside it',
        },
      ]
    }
    const hundredths = value * 100
    if (value <= 40.95 && Math.abs(hundredths - Math.round(hundredths)) < 1e-6) return []
    return [{ path: at, message: `must be 0.01 to 40.95 in steps of 0.01 with VRRP version 3, not ${value}` }]
  })
}

function versionFitsTheFamily(inventory: InventoryDraft): readonly Finding[] {
  return instancesOf(inventory).flatMap(entry => {
    const { instance, path } = entry
    if (instance.version !== 2 || !vipsOf(entry).some(vip => vip.family === 6)) return []
    return [{ path: [...path, 'version'], message: 'VRRP version 2 has no IPv6', fix: 'set version: 3, or remove the key' }]
  })
}

function peersAreOfTheFamily(inventory: InventoryDraft): readonly Finding[] {
  return instancesOf(inventory).flatMap(entry => {
    const family = vipsOf(entry)[0]?.family
    if (family === undefined) return []
    const { instance, path } = entry
    const peers = Array.isArray(instance.unicast_peer) ? instance.unicast_peer : []
    const addresses: Entry[] = [
      ...peers.map((value, at) => ({ value, path: [...path, 'unicast_peer', at] })),
      ...Object.entries(instance.unicast_src_ip ?? {}).map(([name, value]) => ({ value, path: [...path, 'unicast_src_ip', name] })),
    ]
    const normal = addresses.map(entry => (entry.value === undefined ? entry : { ...entry, as: normalHost(entry.value) }))
    return [
      ...addresses
        .filter(({ value }) => value !== undefined && familyOf(value) !== family)
        .map(({ path: at }) => ({ path: at, message: `must be IPv${family}, like the virtual addresses of its instance` })),
      ...repeated(normal.slice(0, peers.length), (_, again) => `${again.value} is listed twice`, 'keep one of them'),
      ...repeated(
        normal.slice(peers.length),
        (first, again) => `${again.value} is already the address of ${String(first.path.at(-1))}`,
        'give each server its own address',
      ),
    ]
  })
}
