/** iptables-save(8), ip6tables-save(8) -> the chains of the filter table. What hactl does not know becomes a condition that may be true. Pure. */
import type { Chain, Condition, Network, Rule, Verdict } from './chains.ts'

const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, igmp: 2, tcp: 6, udp: 17, esp: 50, ah: 51, vrrp: 112, 'ipv6-icmp': 58 }

/** undefined where the table was cut off: the missing rule may be the one that accepts everything. */
export function parseIptablesSave(text: string, family: 'ip' | 'ip6' = 'ip'): readonly Chain[] | undefined {
  const chains = new Map<string, { readonly policy: string; readonly rules: Rule[] }>()
  let table = ''
  let isWhole = true
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1).trim()
    if (table !== 'filter') continue
    isWhole = line === 'COMMIT'
    if (isWhole) table = ''
    const head = /^:(\S+) (\S+)/.exec(line)
    if (head !== null) chains.set(head[1] ?? '', { policy: head[2] ?? '-', rules: [] })
    const rule = /^-A (\S+) ?(.*)$/.exec(line)
    if (rule !== null) chains.get(rule[1] ?? '')?.rules.push(ruleOf(wordsOf(rule[2] ?? '')))
  }
  if (!isWhole) return undefined
  return [...chains].map(([name, { policy, rules }]) => ({
    origin: 'iptables',
    family,
    table: 'filter',
    name,
    hook: name === 'INPUT' ? 'input' : name === 'OUTPUT' ? 'output' : undefined,
    policy: policy === 'DROP' ? 'drop' : 'accept',
    rules,
  }))
}

/** Words are separated by spaces; double quotes keep words together. */
function wordsOf(text: string): readonly string[] {
  return [...text.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(match => match[1] ?? match[2] ?? '')
}

function ruleOf(words: readonly string[]): Rule {
  const conditions: Condition[] = []
  let verdict: Verdict = { kind: 'none' }
  let comment: string | undefined
  let negated = false
  let isTarget = false
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? ''
    const value = words[at + 1] ?? ''
    if (word === '!') {
      negated = true
      continue
    }
    if (isTarget) continue
    const push = (condition: Condition) => {
      conditions.push(negated ? { ...condition, negated } : condition)
      negated = false
      at++
    }
    switch (word) {
      case '-p':
        push({ kind: 'protocol', protocols: value === 'all' ? [6, 17, 112] : [PROTOCOLS[value] ?? Number(value)] })
        break
      case '-s':
        push({ kind: 'source', networks: [networkOf(value)] })
        break
      case '-d':
        push({ kind: 'destination', networks: [networkOf(value)] })
        break
      case '-i':
        push({ kind: 'in-interface', names: [value] })
        break
      case '-o':
        push({ kind: 'out-interface', names: [value] })
        break
      case '--dport':
      case '--dports':
        push({ kind: 'port', ranges: value.split(',').map(rangeOf) })
        break
      case '--ctstate':
      case '--state':
        push({ kind: 'state', states: value.toLowerCase().split(',') })
        break
      case '--comment':
        comment = value
        at++
        break
      case '-m':
        // These only repeat what the other words say.
        if (!['tcp', 'udp', 'multiport', 'conntrack', 'state', 'comment'].includes(value)) conditions.push({ kind: 'other' })
        at++
        break
      case '-j':
      case '-g':
        verdict = verdictOf(value, word === '-g')
        isTarget = true
        at++
        break
      default:
        if (word.startsWith('-')) conditions.push({ kind: 'other' })
    }
  }
  return { conditions, verdict, comment }
}

const PASSES_ON = ['LOG', 'NFLOG', 'MARK', 'CONNMARK', 'TCPMSS', 'SET', 'AUDIT', 'TRACE', 'ULOG']

function verdictOf(target: string, isGoto: boolean): Verdict {
  if (target === 'ACCEPT') return { kind: 'accept' }
  if (target === 'DROP' || target === 'REJECT') return { kind: 'drop' }
  if (target === 'RETURN') return { kind: 'return' }
  if (PASSES_ON.includes(target)) return { kind: 'none' }
  if (target === 'NFQUEUE' || target === 'QUEUE') return { kind: 'other' }
  return { kind: isGoto ? 'goto' : 'jump', chain: target }
}

function networkOf(text: string): Network {
  const [address = '', prefix] = text.split('/')
  return { address, prefix: prefix === undefined ? (address.includes(':') ? 128 : 32) : Number(prefix) }
}

function rangeOf(text: string): readonly [number, number] {
  const [from = '', to = from] = text.split(':')
  return [Number(from), Number(to)]
}
