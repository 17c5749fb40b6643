/** Opening the packet filter that is there: which rules, as a script that adds them and takes them away. Pure. */
import type { ObservedFirewall } from '../../state.ts'
import { FIREWALL_SCRIPT, FIREWALL_UNIT, GENERATED_LINE } from '../paths.ts'
import { type Chain, type Packet, type Rule, RULE_COMMENT } from './chains.ts'
import { type Blocked, blockedNeeds, chainsOf, iptablesMatch, LINK_LOCAL, type Need, nftMatch, ufwKnowsVrrp, VRRP } from './needs.ts'

export type Opening =
  /** Nothing stands in the way. */
  | { readonly kind: 'none' }
  /** The operator has to: hactl would have to change a file of theirs, or a firewall that manages its rules itself. */
  | { readonly kind: 'impossible'; readonly why: string }
  | {
      readonly kind: 'open'
      readonly titles: readonly string[]
      readonly script: string
      /** Rules that nothing else loads again come back with this unit; undefined where the firewall keeps them itself. */
      readonly unit: string | undefined
      /** Exactly these rules are there already. */
      readonly isOpen: boolean
    }

/** ufw's user.rules keeps comments as hexadecimal digits. */
const UFW_MARK = `comment=${Buffer.from(RULE_COMMENT, 'utf8').toString('hex')}`

// Names of tables and chains come from the server, and go into a script.
const PLAIN_NAME = /^[A-Za-z0-9_][A-Za-z0-9_./-]*$/

/** What `firewall: open` does on a server. Its own rules do not count as "open already", so that they stay. */
export function openingFor(firewall: ObservedFirewall, needs: readonly Need[]): Opening {
  const chains = chainsOf(firewall)
  if (chains === undefined) return { kind: 'impossible', why: 'its rules could not be read' }
  const blocked = blockedNeeds(firewall, withoutOwnRules(firewall, chains), needs)
  if (blocked.length === 0) return { kind: 'none' }
  if (blocked.some(one => one.flavour === 'firewalld')) return { kind: 'impossible', why: 'firewalld keeps its rules itself' }
  const ufw = blocked.filter(one => one.flavour === 'ufw')
  if (ufw.some(one => one.need.packet.protocol === VRRP) && !ufwKnowsVrrp(firewall.ufw ?? ''))
    return {
      kind: 'impossible',
      why: `ufw ${firewall.ufw} does not know the protocol: only its before.rules, a file of yours, can name it`,
    }
  if (blocked.some(({ chain }) => !PLAIN_NAME.test(chain.table) || !PLAIN_NAME.test(chain.name)))
    return { kind: 'impossible', why: 'a chain has a name that hactl does not put into a script' }
  const isKept = blocked.every(one => one.flavour === 'ufw')
  const isOpen =
    blockedNeeds(firewall, chains, needs).length === 0 &&
    ownRuleCount(firewall, chains) === new Set(blocked.map(ruleOf)).size &&
    (isKept || firewall.opensAtBoot === true)
  return {
    kind: 'open',
    titles: [...new Set(blocked.map(one => one.need.title))],
    script: renderScript(blocked),
    unit: isKept ? undefined : renderUnit(),
    isOpen,
  }
}

/** What is inserted for it: one rule may let both families through. */
function ruleOf({ chain, need: { packet }, flavour }: Blocked): string {
  if (flavour === 'ufw') return ufwRule(packet)
  return `${chain.family} ${chain.table} ${chain.name} ${flavour === 'nftables' ? nftMatch(packet) : iptablesMatch(packet)}`
}

function ownRuleCount(firewall: ObservedFirewall, chains: readonly Chain[]): number {
  const added = ownTuples(firewall).map(line => line.replaceAll('::/0', '0.0.0.0/0'))
  return chains.flatMap(chain => chain.rules.filter(isMarked)).length + new Set(added).size
}

const isMarked = (rule: Rule) => rule.comment === RULE_COMMENT

function ownTuples(firewall: ObservedFirewall): readonly string[] {
  return firewall.ufwRules.filter(line => line.endsWith(` ${UFW_MARK}`))
}

/** The chains as they would be without hactl's own rules. */
function withoutOwnRules(firewall: ObservedFirewall, chains: readonly Chain[]): readonly Chain[] {
  const tuples = ownTuples(firewall).map(line => line.split(' '))
  const isUfws = (chain: Chain, rule: Rule) => /^ufw6?-user-/.test(chain.name) && tuples.some(tuple => isTupleOf(tuple, rule))
  return chains.map(chain => ({ ...chain, rules: chain.rules.filter(rule => !isMarked(rule) && !isUfws(chain, rule)) }))
}

/** "### tuple ### allow vrrp any 0.0.0.0/0 any 192.0.2.11 in": protocol, port, destination, source port, source, direction. */
function isTupleOf(tuple: readonly string[], rule: Rule): boolean {
  const [, , , , protocol, port, destination, , source] = tuple
  const has = (kind: 'source' | 'destination') => rule.conditions.flatMap(one => (one.kind === kind ? one.networks : []))[0]?.address
  const addressIn = (text: string | undefined) =>
    text === undefined || text === '0.0.0.0/0' || text === '::/0' ? undefined : text.split('/')[0]
  const protocols = rule.conditions.flatMap(one => (one.kind === 'protocol' ? one.protocols : []))
  const ports = rule.conditions.flatMap(one => (one.kind === 'port' ? one.ranges.map(([from]) => String(from)) : []))
  return (
    protocols[0] === (protocol === 'vrrp' ? VRRP : 6) &&
    (ports[0] ?? 'any') === port &&
    addressIn(source) === has('source') &&
    addressIn(destination) === has('destination')
  )
}

/** As `ufw show added` writes it. */
function ufwRule({ hook, protocol, port, source = LINK_LOCAL, destination }: Packet): string {
  if (protocol !== VRRP) return `allow ${port}/tcp`
  return hook === 'input' ? `allow from ${source} proto vrrp` : `allow out to ${destination} proto vrrp`
}

function renderScript(blocked: readonly Blocked[]): string {
  const of = (flavour: Blocked['flavour']) => blocked.filter(one => one.flavour === flavour)
  const [ufw, nft] = [of('ufw'), of('nftables')]
  const iptables = (family: string) => of('iptables').filter(({ chain }) => chain.family === family)
  const parts = [
    ...(nft.length > 0 ? [nftPart(nft)] : []),
    ...(iptables('ip').length > 0 ? [iptablesPart('iptables', iptables('ip'))] : []),
    ...(iptables('ip6').length > 0 ? [iptablesPart('ip6tables', iptables('ip6'))] : []),
    ...(ufw.length > 0 ? [ufwPart(ufw)] : []),
  ]
  const call = (verb: string) => parts.map(({ name }) => `${name}_${verb}`).join(' && ')
  return `#!/bin/sh
${GENERATED_LINE}
# Lets through what HAProxy and Keepalived need. "open" adds the rules, all marked "${RULE_COMMENT}"; "close" takes them away again.
link=/etc/systemd/system/multi-user.target.wants/hactl-firewall.service
${parts.map(({ text }) => text).join('\n')}
case $1 in
  open)
    ${call('open')} || exit 1
    [ ! -e ${FIREWALL_UNIT} ] || [ -L $link ] || systemctl enable --quiet hactl-firewall.service
    # Started as well: only a unit that runs is reloaded together with the one that loads the rules.
    [ ! -e ${FIREWALL_UNIT} ] || systemctl --quiet is-active hactl-firewall.service || systemctl start --no-block hactl-firewall.service ;;
  close)
    # The unit's own file may have gone before: systemctl disable would refuse.
    [ ! -L $link ] || { rm -f $link; systemctl stop hactl-firewall.service 2>/dev/null; }
    ${call('close')} ;;
  *) echo 'usage: hactl-firewall open|close' >&2; exit 2 ;;
esac
`
}

interface Part {
  readonly name: string
  readonly text: string
}

/** Old rules go and new ones come in one transaction: nothing is shut in between. */
function nftPart(blocked: readonly Blocked[]): Part {
  const chains = [...new Set(blocked.map(({ chain }) => `${chain.family} ${chain.table} ${chain.name}`))]
  const rules = new Set(
    blocked.map(
      ({ chain, need }) =>
        `insert rule ${chain.family} ${chain.table} ${chain.name} ${nftMatch(need.packet)} accept comment "${RULE_COMMENT}"`,
    ),
  )
  return {
    name: 'nft',
    text: `
nft_forget() {
${chains.map(chain => `  nft -a list chain ${chain} 2>/dev/null | sed -n 's/.* comment "${RULE_COMMENT}" # handle \\([0-9]*\\)$/delete rule ${chain.replaceAll('/', '\\/')} handle \\1/p'`).join('\n')}
}
nft_open() {
  { nft_forget; cat <<'RULES'; } | nft -f -
${[...rules].join('\n')}
RULES
}
nft_close() { nft_forget | nft -f -; }`,
  }
}

function iptablesPart(program: 'iptables' | 'ip6tables', blocked: readonly Blocked[]): Part {
  const rules = new Set(blocked.map(({ chain, need }) => `${chain.name} ${iptablesMatch(need.packet)}`))
  const insert = (rule: string) => `${program} -w 5 -I ${rule} -m comment --comment ${RULE_COMMENT} -j ACCEPT`
  return {
    name: program,
    text: `
${program}_own() { ${program} -w 5 -S | sed -n '/ --comment "*${RULE_COMMENT}"* /s/^-A //p' | tr -d '"'; }
${program}_forget() { printf '%s\\n' "$1" | while read -r rule; do [ -z "$rule" ] || ${program} -w 5 -D $rule; done; }
${program}_open() {
  old=$(${program}_own)
  ${[...rules].map(insert).join(' &&\n  ')} &&
  ${program}_forget "$old"
}
${program}_close() { ${program}_forget "$(${program}_own)"; }`,
  }
}

function ufwPart(blocked: readonly Blocked[]): Part {
  const rules = new Set(blocked.map(one => ufwRule(one.need.packet)))
  return {
    name: 'ufw',
    text: `
ufw_wanted() {
  cat <<'RULES'
${[...rules].join('\n')}
RULES
}
ufw_own() { ufw show added | sed -n "s/^ufw \\(.*\\) comment '${RULE_COMMENT}'$/\\1/p"; }
ufw_open() {
  ufw_wanted | while read -r rule; do ufw $rule comment ${RULE_COMMENT} </dev/null || exit 1; done || return 1
  ufw_own | while read -r rule; do ufw_wanted | grep -qxF "$rule" || ufw --force delete $rule </dev/null; done
}
ufw_close() { ufw_own | while read -r rule; do ufw --force delete $rule </dev/null; done; }`,
  }
}

/** The rules come after those of the filter's own unit, at boot and whenever that loads them anew. */
function renderUnit(): string {
  const others = 'nftables.service netfilter-persistent.service'
  return `${GENERATED_LINE}
[Unit]
Description=Let VRRP and the clients of HAProxy through the packet filter
After=${others}
Before=keepalived.service haproxy.service
PartOf=${others}
ReloadPropagatedFrom=${others}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${FIREWALL_SCRIPT} open
ExecReload=${FIREWALL_SCRIPT} open

[Install]
WantedBy=multi-user.target
`
}
