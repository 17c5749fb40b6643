/** Packet filter rules, as far as hactl must understand them. A rule that it does not understand may match: "perhaps", never "no". Pure. */
import { canonicalAddress, isInNetwork } from '../addresses.ts'

/** The first packet of a connection; an undefined field may have any value. */
export interface Packet {
  /** 4 where the packet has no family. */
  readonly family?: 4 | 6
  readonly hook: 'input' | 'output'
  /** 6: TCP; 17: UDP; 112: VRRP. */
  readonly protocol: number
  readonly port?: number | undefined
  readonly source?: string | undefined
  readonly destination?: string | undefined
  /** The interface by which it comes in or goes out. */
  readonly interface?: string | undefined
  /** Connection tracking does not follow it: it is neither new nor of a connection. */
  readonly isUntracked?: boolean
}

export interface Network {
  readonly address: string
  readonly prefix: number
}

export type Condition = (
  | { readonly kind: 'family'; readonly families: readonly (4 | 6)[] }
  | { readonly kind: 'protocol'; readonly protocols: readonly number[] }
  | { readonly kind: 'port'; readonly ranges: readonly (readonly [number, number])[] }
  | { readonly kind: 'source' | 'destination'; readonly networks: readonly Network[] }
  | { readonly kind: 'in-interface' | 'out-interface'; readonly names: readonly string[] }
  /** Connection tracking states, in small letters. */
  | { readonly kind: 'state'; readonly states: readonly string[] }
  | { readonly kind: 'other' }
) & { readonly negated?: boolean }

export type Verdict =
  | { readonly kind: 'accept' | 'drop' | 'return' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string }
  /** Counts, logs, marks. */
  | { readonly kind: 'none' }
  /** The packet may end anywhere. */
  | { readonly kind: 'other' }

export interface Rule {
  readonly conditions: readonly Condition[]
  readonly verdict: Verdict
  readonly comment?: string | undefined
}

export interface Chain {
  readonly origin: 'nft' | 'iptables'
  readonly family: string
  readonly table: string
  readonly name: string
  /** Base chains only. */
  readonly hook?: 'input' | 'output' | undefined
  readonly policy: 'accept' | 'drop'
  readonly rules: readonly Rule[]
}

type Answer = 'yes' | 'no' | 'perhaps'
type Outcome = 'accept' | 'drop' | 'return'

/** What hactl's own rules are marked with. */
export const RULE_COMMENT = 'hactl'

const MAX_DEPTH = 16

function answerOf(condition: Condition, packet: Packet): Answer {
  const known = knownAnswer(condition, packet)
  if (condition.negated !== true || known === 'perhaps') return known
  return known === 'yes' ? 'no' : 'yes'
}

function knownAnswer(condition: Condition, packet: Packet): Answer {
  const is = (claim: boolean): Answer => (claim ? 'yes' : 'no')
  switch (condition.kind) {
    case 'family':
      return is(condition.families.includes(packet.family ?? 4))
    case 'protocol':
      return is(condition.protocols.includes(packet.protocol))
    case 'port': {
      const { port } = packet
      return port === undefined ? 'no' : is(condition.ranges.some(([from, to]) => port >= from && port <= to))
    }
    case 'source':
    case 'destination': {
      const address = condition.kind === 'source' ? packet.source : packet.destination
      const isAll = condition.networks.some(network => network.prefix === 0)
      if (isAll) return 'yes'
      if (address === undefined) return 'perhaps'
      // A mask with holes has no prefix.
      if (condition.networks.some(network => canonicalAddress(network.address) === undefined || !(network.prefix <= 128))) return 'perhaps'
      return is(condition.networks.some(network => isInNetwork(address, network.address, network.prefix)))
    }
    case 'in-interface':
    case 'out-interface': {
      const isOwnSide = (condition.kind === 'in-interface') === (packet.hook === 'input')
      if (!isOwnSide) return 'no'
      // None of these packets comes in by the loopback interface.
      if (packet.interface === undefined) return condition.names.every(name => name === 'lo') ? 'no' : 'perhaps'
      const name = packet.interface
      return is(condition.names.some(wanted => (/[+*]$/.test(wanted) ? name.startsWith(wanted.slice(0, -1)) : wanted === name)))
    }
    case 'state':
      // Every packet counts as a first one, because connection tracking may forget what is "established" at any time (evidence V10).
      return is(condition.states.includes(packet.isUntracked === true ? 'untracked' : 'new'))
    case 'other':
      return 'perhaps'
  }
}

function matches(rule: Rule, packet: Packet): Answer {
  const answers = rule.conditions.map(condition => answerOf(condition, packet))
  if (answers.includes('no')) return 'no'
  return answers.includes('perhaps') ? 'perhaps' : 'yes'
}

function outcomesOf(chain: Chain, all: readonly Chain[], packet: Packet, depth: number): ReadonlySet<Outcome> {
  const possible = new Set<Outcome>()
  const end = (): ReadonlySet<Outcome> => possible.add(chain.hook === undefined ? 'return' : chain.policy)
  for (const rule of chain.rules) {
    const match = matches(rule, packet)
    if (match === 'no') continue
    const { verdict } = rule
    switch (verdict.kind) {
      case 'accept':
      case 'drop':
        possible.add(verdict.kind)
        if (match === 'yes') return possible
        break
      case 'return':
        if (match === 'yes') return end()
        end()
        break
      case 'jump':
      case 'goto': {
        const target = all.find(one => one.table === chain.table && one.family === chain.family && one.name === verdict.chain)
        const inner = target === undefined || depth > MAX_DEPTH ? undefined : outcomesOf(target, all, packet, depth + 1)
        if (inner === undefined) {
          possible.add('accept').add('drop')
          break
        }
        for (const one of inner) if (one !== 'return') possible.add(one)
        if (match !== 'yes') break
        if (!inner.has('return')) return possible
        if (verdict.kind === 'goto') return end()
        break
      }
      case 'other':
        possible.add('accept').add('drop')
        break
      case 'none':
        break
    }
  }
  return end()
}

/** The base chains that certainly drop or reject this packet; empty where it passes or may pass. */
export function blockingChains(chains: readonly Chain[], packet: Packet): readonly Chain[] {
  return chains.filter(chain => meets(chain, packet) && !outcomesOf(chain, chains, packet, 0).has('accept'))
}

/** True where it is certain that the packet passes every chain. */
export function passesSurely(chains: readonly Chain[], packet: Packet): boolean {
  return chains.filter(chain => meets(chain, packet)).every(chain => !outcomesOf(chain, chains, packet, 0).has('drop'))
}

function meets(chain: Chain, packet: Packet): boolean {
  return chain.hook === packet.hook && chain.family !== (packet.family === 6 ? 'ip' : 'ip6')
}
