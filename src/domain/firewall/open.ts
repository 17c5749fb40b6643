/** Opening the server's packet filter: which rules, and a script that adds them and takes them away. Pure. */
import type { ObservedFirewall } from '../../state/network.ts'
import { programText } from '../../shell/library.ts'
import { FIREWALL_SCRIPT, FIREWALL_UNIT, GENERATED_LINE } from '../paths.ts'
import { type Chain, type Packet, type Rule, RULE_COMMENT } from './chains.ts'
import { type Blocked, blockedNeeds, chainsOf, iptablesMatch, LINK_LOCAL, nftMatch, ufwKnowsVrrp, ufwMatch, VRRP } from './needs.ts'
import type { Need } from './need.ts'

export type Opening =
  /** Everything passes already. */
  | { readonly kind: 'none' }
  /** The operator must open it: hactl would have to change a file of theirs, or a firewall that manages its rules itself. */
  | { readonly kind: 'impossible'; readonly why: string }
  | {
      readonly kind: 'open'
      readonly titles: readonly string[]
      readonly script: string
      /** The unit that loads the rules again after a boot; undefined where the firewall keeps them itself. */
      readonly unit: string | undefined
      /** Whether exactly these rules exist already. */
      readonly isOpen: boolean
    }

/** ufw's user.rules keeps comments as hexadecimal digits. */
const UFW_MARK = `comment=${Buffer.from(RULE_COMMENT, 'utf8').toString('hex')}`

// Names of tables and chains come from the server and go into a script.
const PLAIN_NAME = /^[A-Za-z0-9_][A-Za-z0-9_./-]*$/

/** What `firewall: open` does on a server. hactl's own rules do not count as "open already", so that they stay. */
export function openingFor(firewall: ObservedFirewall, needs: readonly Need[]): Opening {
  const chains = chainsOf(firewall)
  if (chains === undefined) return { kind: 'impossible', why: 'its rules could not be read' }
  const blocked = blockedNeeds(firewall, withoutOwnRules(firewall, chains), needs)
  if (blocked.length === 0) return { kind: 'none' }
  if (blocked.some(one => one.flavour === 'firewalld')) return { kind: 'impossible', why: 'firewalld manages its rules itself' }
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

/** The rules for a need: one rule may let both families through. */
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

/** The chains without hactl's own rules. */
function withoutOwnRules(firewall: ObservedFirewall, chains: readonly Chain[]): readonly Chain[] {
  const tuples = ownTuples(firewall).map(line => line.split(' '))
  const isUfws = (chain: Chain, rule: Rule) =>
    /^ufw6?-user-/.test(chain.name) && tuples.some(tuple => chain.name.endsWith(`-${directionOf(tuple)}put`) && isTupleOf(tuple, rule))
  return chains.map(chain => ({ ...chain, rules: chain.rules.filter(rule => !isMarked(rule) && !isUfws(chain, rule)) }))
}

const UFW_PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, vrrp: VRRP }

/** "in" or "out". */
function directionOf(tuple: readonly string[]): string | undefined {
  return tuple[9]
}

/** "### tuple ### allow vrrp any 0.0.0.0/0 any 192.0.2.11 in": protocol, port, destination, source port, source, direction. */
function isTupleOf(tuple: readonly string[], rule: Rule): boolean {
  const [, , , , protocol = '', port, destination, , source] = tuple
  const has = (kind: 'source' | 'destination') => rule.conditions.flatMap(one => (one.kind === kind ? one.networks : []))[0]?.address
  const addressIn = (text: string | undefined) =>
    text === undefined || text === '0.0.0.0/0' || text === '::/0' ? undefined : text.split('/')[0]
  const protocols = rule.conditions.flatMap(one => (one.kind === 'protocol' ? one.protocols : []))
  const ports = rule.conditions.flatMap(one => (one.kind === 'port' ? one.ranges.map(([from]) => String(from)) : []))
  return (
    protocols[0] === UFW_PROTOCOLS[protocol] &&
    (ports[0] ?? 'any') === port &&
    addressIn(source) === has('source') &&
    addressIn(destination) === has('destination')
  )
}

/** The rule as `ufw show added` writes it. */
function ufwRule(packet: Packet): string {
  const { hook, protocol, source = LINK_LOCAL, destination } = packet
  if (protocol !== VRRP) return ufwMatch(packet)
  return hook === 'input' ? `allow from ${source} proto vrrp` : `allow out to ${destination} proto vrrp`
}

function renderScript(blocked: readonly Blocked[]): string {
  const lines = (flavour: Blocked['flavour'], lineOf: (one: Blocked) => string, family?: string) =>
    [...new Set(blocked.filter(one => one.flavour === flavour && (family ?? one.chain.family) === one.chain.family).map(lineOf))].join('\n')
  const chainOf = ({ chain }: Blocked) => `${chain.family} ${chain.table} ${chain.name}`
  const iptables = (family: string) => lines('iptables', ({ chain, need }) => `${chain.name} ${iptablesMatch(need.packet)}`, family)
  return programText('firewall.sh', `${GENERATED_LINE}\n`, {
    MARK: RULE_COMMENT,
    UNIT: FIREWALL_UNIT,
    NFT_CHAINS: lines('nftables', chainOf),
    NFT_RULES: lines('nftables', one => `insert rule ${chainOf(one)} ${nftMatch(one.need.packet)} accept comment "${RULE_COMMENT}"`),
    IPTABLES_RULES: iptables('ip'),
    IP6TABLES_RULES: iptables('ip6'),
    UFW_RULES: lines('ufw', one => ufwRule(one.need.packet)),
  })
}

/** The rules are loaded after those of the filter's own unit, at boot and whenever that unit loads its rules again. */
function renderUnit(): string {
  const others = 'nftables.service netfilter-persistent.service'
  return `${GENERATED_LINE}
[Unit]
Description=Let VRRP and the clients of HAProxy through the packet filter
# The filter's own rules are loaded first: that flushes what is there.
After=${others}
# A keepalived that hears no adverts takes the addresses beside their holder.
Before=keepalived.service haproxy.service
# The script below is there.
RequiresMountsFor=${FIREWALL_SCRIPT}
# A restart or a reload of the filter's unit flushes these rules: they are added again.
PartOf=${others}
ReloadPropagatedFrom=${others}

[Service]
# Active once the rules are there: only an active unit is restarted and reloaded with the filter's.
Type=oneshot
RemainAfterExit=yes
ExecStart=${FIREWALL_SCRIPT} open
ExecReload=${FIREWALL_SCRIPT} open

[Install]
WantedBy=multi-user.target
`
}
