/** Lint rules about the network side of one vrrp_instance: addresses, peers, password. */
import { canonicalAddress } from '../addresses.ts'
import type { InstanceRule as Rule } from './lint-context.ts'
import { instanceFinding as finding } from './lint-context.ts'
import { child, listOf, valueOf } from './parse.ts'

/** Whether a comment begins inside a word: ! and # begin one anywhere outside double quotes, unless a backslash precedes them. */
function isCut(line: string): boolean {
  return /^[^!#]*[^\s!#\\][!#]/.test(line.replace(/"[^"]*"/g, '""'))
}

const authentication: Rule = (instance, { lines }) => {
  const block = child(instance.node, 'authentication')
  if (block === undefined) return []
  if (instance.version === 3)
    return [
      finding(
        instance,
        'authentication',
        'VRRPv3 has none: keepalived ignores it',
        'remove it, and use unicast_peer with vrrp_check_unicast_src',
      ),
    ]
  const found = [
    finding(
      instance,
      'authentication',
      'the password travels in plain text and keeps no attacker out',
      'let a firewall take IP protocol 112 from the other servers only',
    ),
  ]
  const line = lines[(child(block, 'auth_pass')?.line ?? 0) - 1] ?? ''
  if (isCut(line))
    found.push(
      finding(
        instance,
        'authentication',
        'auth_pass ends at its ! or #, where a comment begins for keepalived: the rest of the password is ignored',
        'use letters and digits, or quotes around it',
      ),
    )
  // Only the length is given: the password itself is in no message.
  if ((valueOf(block, 'auth_pass') ?? '').length > 8)
    found.push(finding(instance, 'authentication', 'auth_pass is cut off after 8 characters', 'use at most 8'))
  return found
}

const unicast: Rule = instance => {
  const peers = listOf(instance.node, 'unicast_peer').map(p => p.words[0] ?? '')
  if (peers.length === 0) return []
  const virtual = instance.addresses.find(own => peers.some(peer => canonicalAddress(peer)?.address === own.address))
  if (virtual !== undefined)
    return [
      finding(
        instance,
        'unicast_peer',
        `holds the virtual address ${virtual.address}: adverts to it go to whoever is master, and no backup hears them`,
        "list the other servers' own addresses",
        true,
      ),
    ]
  const source = valueOf(instance.node, 'unicast_src_ip')
  if (source === undefined)
    return [
      finding(instance, 'unicast_peer', 'no unicast_src_ip: keepalived takes the first address of the interface', 'set unicast_src_ip'),
    ]
  if (peers.includes(source))
    return [finding(instance, 'unicast_peer', `holds this server's own address ${source}`, 'list the other servers only', true)]
  const family = instance.addresses[0]?.family
  const other = [source, ...peers].find(a => family !== undefined && canonicalAddress(a)?.family !== family)
  return other === undefined
    ? []
    : [finding(instance, 'unicast_peer', `${other} is not of the virtual address's family`, 'use addresses of one family', true)]
}

/** keepalived.conf(5): without a prefix length an IPv4 address is a /32. */
const prefixes: Rule = instance =>
  listOf(instance.node, 'virtual_ipaddress').flatMap(({ words, line }) => {
    const [text = ''] = words
    const address = canonicalAddress(text)
    if (address === undefined) return []
    const length = address.family === 4 ? 32 : 128
    return [
      {
        path: `${instance.path}.virtual_ipaddress`,
        line,
        message: `${text} has no prefix length: keepalived takes /${length}, an address without a network of its own`,
        fix: `write ${text}/${length}, or the length of its network`,
      },
    ]
  })

const strictness: Rule = instance => {
  const drops = 'drops packets to the virtual address: it moves, and answers nobody'
  const found = instance.has('no_accept') ? [finding(instance, 'no_accept', drops, 'remove no_accept')] : []
  const strict = child(instance.node, 'strict_mode')?.words
  if (strict === undefined || /^(off|false|no)$/.test(strict[1] ?? '')) return found
  return [...found, finding(instance, 'strict_mode', `${drops}, and it forbids unicast and authentication`, 'remove strict_mode')]
}

export const NETWORK_RULES: readonly Rule[] = [authentication, unicast, prefixes, strictness]
