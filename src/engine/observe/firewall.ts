/** The packet filter, as its own programs print it. */
import type { ObservedFirewall } from '../../state/network.ts'
import { linesOf } from './sections.ts'

export function parseFirewall(sections: ReadonlyMap<string, string>): ObservedFirewall {
  const lines = linesOf(sections.get('firewall') ?? '')
  return {
    ufw: lines.find(line => line.startsWith('ufw '))?.slice('ufw '.length),
    firewalld: lines.includes('firewalld'),
    netfilterPersistent: lines.includes('netfilter-persistent'),
    opensAtBoot: lines.includes('opens-at-boot'),
    nft: sections.get('nft'),
    iptables: sections.get('iptables'),
    ip6tables: sections.get('ip6tables'),
    ufwRules: linesOf(sections.get('ufw-rules') ?? ''),
  }
}
