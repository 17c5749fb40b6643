/**
 * Cutting traffic with the server's own packet filter: in a table or chain of hactl's own, which is removed as a whole. `ip link set
 * down` is not used: it takes the routes along (evidence T15). nft where the kernel takes it, else iptables.
 */
import type { Disturbance } from '../../state/drill.ts'

/** Where a disturbance happens. */
export interface DrillPlace {
  /** The interface that carries the virtual address. */
  readonly interface: string
  readonly vip: string
}

const TABLE = 'hactl_drill'
const CHAIN = 'HACTL_DRILL'

/** VRRP's protocol number (RFC 5798 section 5.1.1.4). */
const VRRP = 112

/** Shell functions: which filter there is, and iptables for both families as far as they are there. */
const FILTER = `
has_nft() { nft -c add table inet ${TABLE} >/dev/null 2>&1; }
has_iptables() { iptables -w 5 -S INPUT >/dev/null 2>&1; }
both() { iptables -w 5 "$@" || return 1; ip6tables -w 5 -S INPUT >/dev/null 2>&1 || return 0; ip6tables -w 5 "$@"; }
`

export const CUT_NEEDS: NonNullable<Disturbance['needs']> = {
  script: `${FILTER}has_nft || has_iptables`,
  what: 'neither nft nor iptables works there: without a packet filter hactl cannot cut traffic in a way that is undone by itself',
  fix: 'apt-get install nftables (no rule of its own changes any traffic), or leave this drill out',
}

/** What was cut flows again; changes nothing where nothing was cut. */
export const UNCUT = `${FILTER}
nft delete table inet ${TABLE} 2>/dev/null
nft delete table arp ${TABLE} 2>/dev/null
nft delete table netdev ${TABLE} 2>/dev/null
systemctl kill --signal=CONT keepalived.service 2>/dev/null
for t in iptables ip6tables; do
  "$t" -w 5 -S ${CHAIN} >/dev/null 2>&1 || continue
  "$t" -w 5 -D INPUT -j ${CHAIN}; "$t" -w 5 -D OUTPUT -j ${CHAIN}; "$t" -w 5 -F ${CHAIN}; "$t" -w 5 -X ${CHAIN}
done 2>/dev/null
:`

export const IS_UNCUT = `! nft list table inet ${TABLE} >/dev/null 2>&1 && ! nft list table arp ${TABLE} >/dev/null 2>&1 && ! nft list table netdev ${TABLE} >/dev/null 2>&1 && ! iptables -w 5 -S ${CHAIN} >/dev/null 2>&1 && ! ip6tables -w 5 -S ${CHAIN} >/dev/null 2>&1`

type Direction = 'in' | 'out'

const hookOf = (direction: Direction) => (direction === 'in' ? 'input' : 'output')

/** "in" and "out" are words of nft's own in some releases (0.9.8). */
const chainOf = (direction: Direction) => (direction === 'in' ? 'incoming' : 'outgoing')

/** Before every other chain of that hook, so that no accept of the server's own rules is asked first. */
const nftChain = (direction: Direction, rules: readonly string[]) =>
  `  chain ${chainOf(direction)} { type filter hook ${hookOf(direction)} priority -300; policy accept;\n${rules.map(rule => `    ${rule}`).join('\n')}\n  }`

/** No VRRP passes in these directions. */
export function cutVrrpScript(directions: readonly Direction[]): string {
  const nft = directions.map(direction => nftChain(direction, [`meta l4proto ${VRRP} drop`])).join('\n')
  const iptables = directions.map(direction => `both -I ${hookOf(direction).toUpperCase()} 1 -j ${CHAIN}`).join(' && ')
  return `${FILTER}
if has_nft; then
nft -f - <<'RULES'
table inet ${TABLE} {
${nft}
}
RULES
else
both -N ${CHAIN} && both -A ${CHAIN} -p ${VRRP} -j DROP && ${iptables}
fi`
}

/**
 * Nothing passes on the interface but, where wanted, the SSH connection's own port. The address stays on the interface, so that ARP for
 * it has to be kept silent apart: neighbours must not be led back to a server that cannot answer them. keepalived's own gratuitous ARP
 * passes every hook but that of netdev's egress (nft 1.0.1, Linux 5.16); without it keepalived is stopped as well. One
 * such ARP took the service away for 8 s although the other server had the address (evidence T14).
 */
export function cutLinkScript(place: DrillPlace, keepsSsh: boolean): string {
  const isIpv6 = place.vip.includes(':')
  const on = { in: `iifname "${place.interface}"`, out: `oifname "${place.interface}"` }
  const keep = { in: `${on.in} tcp dport $port accept`, out: `${on.out} tcp sport $port accept` }
  const neighbours = 'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept'
  const rules = (direction: Direction) =>
    nftChain(direction, [...(keepsSsh ? [keep[direction], `${on[direction]} ${neighbours}`] : []), `${on[direction]} drop`])
  const arp = keepsSsh
    ? nftChain('out', [`oifname "${place.interface}" arp saddr ip ${place.vip} drop`])
    : `${nftChain('in', [`${on.in} drop`])}\n${nftChain('out', [`${on.out} drop`])}`
  const egress = keepsSsh ? (isIpv6 ? `ip6 saddr ${place.vip} drop` : `arp saddr ip ${place.vip} drop`) : 'drop'
  const accept = keepsSsh
    ? `both -A ${CHAIN} -i ${place.interface} -p tcp --dport "$port" -j ACCEPT && both -A ${CHAIN} -o ${place.interface} -p tcp --sport "$port" -j ACCEPT && `
    : ''
  return `${FILTER}${HUSH}${keepsSsh ? SSH_PORT : ''}
if has_nft; then
nft -f - <<RULES || exit 1
table inet ${TABLE} {
${rules('in')}
${rules('out')}
}
RULES
${isIpv6 ? '' : `nft -f - <<'RULES' 2>/dev/null || :\ntable arp ${TABLE} {\n${arp}\n}\nRULES`}
nft -f - <<'RULES' 2>/dev/null || hush
table netdev ${TABLE} {
  chain outgoing { type filter hook egress device "${place.interface}" priority -300; policy accept;
    ${egress}
  }
}
RULES
else
hush
both -N ${CHAIN} && ${accept}both -A ${CHAIN} -i ${place.interface} -j DROP && both -A ${CHAIN} -o ${place.interface} -j DROP && both -I INPUT 1 -j ${CHAIN} && both -I OUTPUT 1 -j ${CHAIN}
fi`
}

/** Shell: keepalived's VRRP process says nothing more. */
const HUSH = `
hush() { main=$(systemctl show -p MainPID --value keepalived.service); kill -STOP $(cat "/proc/$main/task/$main/children"); }
`

/**
 * Shell: sets port to the one that sshd was reached on, or ends with 1. sudo drops SSH_CONNECTION (sshd(8), "ENVIRONMENT"), so it is
 * looked for in the processes above this one.
 */
const SSH_PORT = `
p=$$ found=
while [ -z "$found" ] && [ "\${p:-0}" -gt 1 ]; do
  found=$(tr '\\0' '\\n' <"/proc/$p/environ" 2>/dev/null | sed -n 's/^SSH_CONNECTION=//p')
  up=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$p/status" 2>/dev/null)
  p=$up
done
port=\${found##* }
case $port in (''|*[!0-9]*) echo 'the port of this SSH connection is not known: it would be cut' >&2; exit 1;; esac
`
