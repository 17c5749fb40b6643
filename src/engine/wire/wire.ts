import type { Script } from '../../ports.ts'
import type { WireLink, WireReport } from '../../state/wire.ts'
import { sourceText } from '../../shell/library.ts'
import { sh } from '../../shell/sh.ts'
import { sideBySide, type WireQuestion, type WireTimes } from './at-once.ts'

export function wireScript(links: readonly WireLink[], mark: string, { leastMs, mostMs }: WireTimes): Script {
  const program = sourceText('wire-probe.pl')
  return sideBySide(
    links.map(
      ({ interface: name, address, multicast, mayRefuse, peers }) =>
        sh`perl -e ${program} -- ${name} ${address} ${mark} ${leastMs / 1000} ${mostMs / 1000} ${multicast ? 1 : 0} ${mayRefuse ? 1 : 0} ${peers}`,
    ),
  )
}

/** undefined for a network that could not be tried. */
export function parseWire(stdout: string, links: readonly WireLink[]): readonly (WireReport | undefined)[] {
  const lines = stdout.split('\n').map(line => line.split(' '))
  return links.map((link, index) => {
    const own = lines.filter(words => words[0] === String(index)).map(words => words.slice(1))
    const after = (word: string) => own.filter(words => words[0] === word).map(words => words.slice(1))
    if (after('end').length === 0) return undefined
    const addresses = (word: string) => after(word).flatMap(words => words[0] ?? [])
    return {
      link,
      arrived: addresses('wire'),
      passed: addresses('passed'),
      neighbours: addresses('mac'),
      refused: Object.fromEntries(
        after('out').flatMap(([address = '', ...reason]) => (reason[0] === 'ok' ? [] : [[address, reason.join(' ')] as const])),
      ),
      routers: after('foreign').map(([address = '', vrid]) => ({ address, virtualRouterId: Number(vrid) })),
    }
  })
}

/** Joins two tries. A peer that was heard once counts as heard. */
export function mergeWire(
  first: readonly (WireReport | undefined)[],
  second: readonly (WireReport | undefined)[],
): readonly (WireReport | undefined)[] {
  return first.map((a, index) => {
    const b = second[index]
    if (a === undefined || b === undefined) return a ?? b
    const both = (x: readonly string[], y: readonly string[]) => [...new Set([...x, ...y])]
    return {
      link: a.link,
      arrived: both(a.arrived, b.arrived),
      passed: both(a.passed, b.passed),
      neighbours: both(a.neighbours, b.neighbours),
      refused: { ...a.refused, ...b.refused },
      routers: [
        ...a.routers,
        ...b.routers.filter(
          one => !a.routers.some(known => known.address === one.address && known.virtualRouterId === one.virtualRouterId),
        ),
      ],
    }
  })
}

export const VRRP_QUESTION: WireQuestion<WireLink, WireReport> = {
  label: 'try whether VRRP passes between the servers',
  script: wireScript,
  parse: parseWire,
}
