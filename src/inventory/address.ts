/** IP addresses and host names as an inventory writes them. */
import { isIPv4, isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'

export type Family = 4 | 6

/** 4, 6, or undefined where the text is no address. No zone and no leading zeros: ipaddr.js accepts more than keepalived does. */
export function familyOf(text: string): Family | undefined {
  if (isIPv4(text)) return 4
  if (isIPv6(text) && !text.includes('%')) return 6
  return undefined
}

/** One spelling for all that name the same machine: RFC 5952 addresses, IPv4 in IPv6 as IPv4, names in lower case without the last dot. */
export function normalHost(host: string): string {
  if (familyOf(host) === undefined) return host.toLowerCase().replace(/\.$/, '')
  return ipaddr.process(host).toString()
}

/** An address with an optional prefix, as in virtual_ipaddress. */
export interface AddressWithPrefix {
  readonly address: string
  readonly family: Family
  readonly prefix: number | undefined
}

/** undefined where the text is not ADDRESS or ADDRESS/PREFIX with a prefix from 1 to 32 or 128. */
export function parseAddressWithPrefix(text: string): AddressWithPrefix | undefined {
  const [address = '', length, ...rest] = text.split('/')
  const family = familyOf(address)
  if (family === undefined || rest.length > 0) return undefined
  if (length === undefined) return { address, family, prefix: undefined }
  const prefix = Number(length)
  if (!/^[1-9]\d{0,2}$/.test(length) || prefix > (family === 4 ? 32 : 128)) return undefined
  return { address, family, prefix }
}

/** The role of an address that no server can have, in its network; undefined for any other. RFC 4291 section 2.6.1 has the IPv6 case. */
export function reservedRole(vip: AddressWithPrefix): 'network' | 'broadcast' | undefined {
  const { address, family, prefix } = vip
  if (prefix === undefined) return undefined
  const cidr = `${address}/${prefix}`
  if (family === 4) {
    if (prefix >= 31) return undefined
    if (ipaddr.IPv4.networkAddressFromCIDR(cidr).toString() === address) return 'network'
    return ipaddr.IPv4.broadcastAddressFromCIDR(cidr).toString() === address ? 'broadcast' : undefined
  }
  if (prefix >= 127) return undefined
  return ipaddr.IPv6.networkAddressFromCIDR(cidr).toString() === ipaddr.parse(address).toString() ? 'network' : undefined
}

/** Whether two addresses with prefixes are in different networks; false where either has no prefix. */
export function areDifferentNetworks(a: AddressWithPrefix, b: AddressWithPrefix): boolean {
  if (a.family !== b.family) return true
  if (a.prefix === undefined || b.prefix === undefined) return false
  const shorter = Math.min(a.prefix, b.prefix)
  return !ipaddr.parse(a.address).match(ipaddr.parse(b.address), shorter)
}

const NEVER_HELD: ReadonlySet<string> = new Set(['unspecified', 'broadcast', 'multicast', 'loopback'])

/** Why an address cannot be held by one server, or undefined where it can: "multicast", "loopback". */
export function notUnicast(address: string): string | undefined {
  const range = ipaddr.process(address).range()
  if (NEVER_HELD.has(range)) return range
  // 240.0.0.0/4 and 0.0.0.0/8: no host has such an address (RFC 1122, RFC 6890).
  return isIPv4(address) && /^(0|24\d|25[0-5])\./.test(address) ? 'reserved' : undefined
}
