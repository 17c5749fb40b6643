/** `nft -j list ruleset` -> chains (libnftables-json(5)). What hactl does not know becomes a condition that may be true. Pure. */
import { type Chain, type Condition, type Network, type Rule, type Verdict } from './chains.ts'

type Json = unknown
type JsonObject = Readonly<Record<string, unknown>>

const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, igmp: 2, tcp: 6, udp: 17, esp: 50, ah: 51, 'ipv6-icmp': 58, vrrp: 112 }

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const objectOf = (value: Json): JsonObject => (isObject(value) ? value : {})
const textOf = (value: Json): string => (typeof value === 'string' ? value : '')

/** undefined where the text is no ruleset. */
export function parseNftRuleset(json: string): readonly Chain[] | undefined {
  let root: Json
  try {
    root = JSON.parse(json)
  } catch {
    return undefined
  }
  const list = objectOf(root)['nftables']
  if (!Array.isArray(list)) return undefined
  const entries: readonly JsonObject[] = list.filter(isObject)
  const rules = entries.flatMap(entry => (isObject(entry['rule']) ? [entry['rule']] : []))
  return entries.flatMap(entry => {
    const chain = entry['chain']
    if (!isObject(chain)) return []
    const [family, table, name] = [textOf(chain['family']), textOf(chain['table']), textOf(chain['name'])]
    const hook = chain['hook']
    // Chains of other types (nat, route) and families (bridge, netdev) do not decide what reaches this server.
    if (hook !== undefined && (chain['type'] !== 'filter' || (hook !== 'input' && hook !== 'output'))) return []
    if (!['ip', 'ip6', 'inet'].includes(family)) return []
    const own = rules.filter(rule => rule['family'] === family && rule['table'] === table && rule['chain'] === name)
    return [
      {
        origin: 'nft',
        family,
        table,
        name,
        hook: hook === 'input' || hook === 'output' ? hook : undefined,
        policy: chain['policy'] === 'drop' ? 'drop' : 'accept',
        rules: own.flatMap(rulesOf),
      } as const,
    ]
  })
}

/** One line of the ruleset. A verdict map becomes one rule for each of its entries. */
function rulesOf(rule: JsonObject): readonly Rule[] {
  const conditions: Condition[] = []
  const comment = textOf(rule['comment']) || undefined
  const found: Rule[] = []
  const statements: readonly Json[] = Array.isArray(rule['expr']) ? rule['expr'] : []
  for (const statement of statements) {
    const [key = '', value] = Object.entries(objectOf(statement))[0] ?? []
    if (key === 'match') conditions.push(...conditionsOf(objectOf(value)))
    else if (key === 'vmap') {
      const map = objectOf(value)
      const pairs = objectOf(map['data'])['set']
      if (!Array.isArray(pairs)) found.push({ conditions: [...conditions, { kind: 'other' }], verdict: { kind: 'other' } })
      else
        for (const pair of pairs) {
          if (!Array.isArray(pair)) continue
          found.push({ conditions: [...conditions, ...compare(map['key'], pair[0], '==')], verdict: verdictOf(objectOf(pair[1])) })
        }
    } else if (key === 'xt' || key === 'limit' || key === 'ct helper' || key === 'queue') conditions.push({ kind: 'other' })
    else {
      const verdict = verdictOf(objectOf(statement))
      if (verdict.kind !== 'none') found.push({ conditions: [...conditions], verdict, comment })
    }
  }
  return found
}

function verdictOf(statement: JsonObject): Verdict {
  if ('accept' in statement) return { kind: 'accept' }
  if ('drop' in statement || 'reject' in statement) return { kind: 'drop' }
  if ('return' in statement) return { kind: 'return' }
  if ('jump' in statement) return { kind: 'jump', chain: textOf(objectOf(statement['jump'])['target']) }
  if ('goto' in statement) return { kind: 'goto', chain: textOf(objectOf(statement['goto'])['target']) }
  if ('queue' in statement) return { kind: 'other' }
  return { kind: 'none' }
}

function conditionsOf(match: JsonObject): readonly Condition[] {
  return compare(match['left'], match['right'], textOf(match['op']))
}

function compare(left: Json, right: Json, op: string): readonly Condition[] {
  const negated = op === '!='
  if (op !== '==' && op !== '!=' && op !== 'in') return [{ kind: 'other' }]
  const known = conditionOf(objectOf(left), right)
  return known.map((condition, index) => (negated && index === known.length - 1 ? { ...condition, negated } : condition))
}

const V4: Condition = { kind: 'family', families: [4] }
const V6: Condition = { kind: 'family', families: [6] }
/** The names that `meta nfproto` and `meta protocol` use. */
const FAMILY_NAMES = { 4: ['ipv4', 'ip'], 6: ['ipv6', 'ip6'] } as const

function conditionOf(left: JsonObject, right: Json): readonly Condition[] {
  const meta = textOf(objectOf(left['meta'])['key'])
  const payload = objectOf(left['payload'])
  const [protocol, field] = [textOf(payload['protocol']), textOf(payload['field'])]
  const of: readonly Condition[] = protocol === 'ip' ? [V4] : protocol === 'ip6' ? [V6] : []
  if (meta === 'l4proto' || (protocol === 'ip' && field === 'protocol') || (protocol === 'ip6' && field === 'nexthdr')) {
    const numbers = each(right).map(one => (typeof one === 'number' ? one : (PROTOCOLS[textOf(one)] ?? -1)))
    return [...of, hasUnknown(right) ? { kind: 'other' } : { kind: 'protocol', protocols: numbers }]
  }
  if (meta === 'nfproto' || meta === 'protocol') {
    const names = each(right).map(textOf)
    const families = ([4, 6] as const).filter(family => names.some(name => (FAMILY_NAMES[family] as readonly string[]).includes(name)))
    return [{ kind: 'family', families }]
  }
  if (meta === 'iifname' || meta === 'iif') return named('in-interface', right)
  if (meta === 'oifname' || meta === 'oif') return named('out-interface', right)
  // The first packet of a connection to this server itself was not redirected before.
  if (textOf(objectOf(left['ct'])['key']) === 'status') {
    return hasUnknown(right) || !each(right).every(one => one === 'dnat' || one === 'snat')
      ? [{ kind: 'other' }]
      : [{ kind: 'state', states: each(right).map(textOf) }]
  }
  if (textOf(objectOf(left['ct'])['key']) === 'state') return [{ kind: 'state', states: each(right).map(textOf) }]
  if (protocol === 'icmp' || protocol === 'icmpv6') return [{ kind: 'protocol', protocols: [] }]
  if (of.length > 0 && (field === 'saddr' || field === 'daddr')) {
    const networks = each(right).flatMap(networkOf)
    const kind = field === 'saddr' ? 'source' : 'destination'
    return [...of, networks.length < each(right).length ? { kind: 'other' } : { kind, networks }]
  }
  if (protocol === 'tcp' || protocol === 'udp' || protocol === 'th') {
    const first: readonly Condition[] = protocol === 'th' ? [] : [{ kind: 'protocol', protocols: [PROTOCOLS[protocol] ?? 0] }]
    const ranges = each(right).flatMap(rangeOf)
    if (field !== 'dport' || ranges.length < each(right).length) return [...first, { kind: 'other' }]
    return [...first, { kind: 'port', ranges }]
  }
  return [...of, { kind: 'other' }]
}

function named(kind: 'in-interface' | 'out-interface', right: Json): readonly Condition[] {
  return hasUnknown(right) ? [{ kind: 'other' }] : [{ kind, names: each(right).map(textOf) }]
}

/** The elements of a named set ("@blocked") are not read. */
function hasUnknown(right: Json): boolean {
  return each(right).some(one => (typeof one === 'string' ? one.startsWith('@') : typeof one !== 'number'))
}

function each(right: Json): readonly Json[] {
  if (Array.isArray(right)) return right
  const set = objectOf(right)['set']
  return Array.isArray(set) ? set : [right]
}

const SERVICES: Readonly<Record<string, number>> = { ssh: 22, http: 80, https: 443 }

function rangeOf(value: Json): readonly (readonly [number, number])[] {
  if (typeof value === 'number') return [[value, value]]
  const named = SERVICES[textOf(value)]
  if (named !== undefined) return [[named, named]]
  const range = objectOf(value)['range']
  return Array.isArray(range) && typeof range[0] === 'number' && typeof range[1] === 'number' ? [[range[0], range[1]]] : []
}

function networkOf(value: Json): readonly Network[] {
  if (typeof value === 'string' && /^[0-9.]+$/.test(value)) return [{ address: value, prefix: 32 }]
  if (typeof value === 'string' && /^[0-9a-f:.]*:[0-9a-f:.]*$/.test(value)) return [{ address: value, prefix: 128 }]
  const prefix = objectOf(objectOf(value)['prefix'])
  const length = prefix['len']
  return typeof length === 'number' ? [{ address: textOf(prefix['addr']), prefix: length }] : []
}
