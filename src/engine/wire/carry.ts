/** Whether the network carries packets with a foreign source from server to server (src/on-server/carry-probe.pl). */
import type { Script } from '../../ports.ts'
import { sourceText } from '../../shell/library.ts'
import { sh } from '../../shell/sh.ts'
import type { CarryLink, CarryReport } from '../../state/wire.ts'
import { sideBySide, type WireQuestion, type WireTimes } from './at-once.ts'

function carryScript(links: readonly CarryLink[], mark: string, { leastMs, mostMs }: WireTimes): Script {
  const program = sourceText('carry-probe.pl')
  return sideBySide(
    links.map(
      ({ interface: name, address, virtualAddress, stranger, port, peers }) =>
        sh`perl -e ${program} -- ${name} ${address} ${virtualAddress} ${stranger} ${port} ${mark} ${leastMs / 1000} ${mostMs / 1000} ${peers}`,
    ),
  )
}

/** undefined for a network that could not be tried. */
function parseCarry(stdout: string, links: readonly CarryLink[]): readonly (CarryReport | undefined)[] {
  const lines = stdout.split('\n').map(line => line.split(' '))
  return links.map((link, index) => {
    const own = lines.filter(([first]) => first === String(index))
    if (!own.some(([, word]) => word === 'end')) return undefined
    const peersAfter = (word: string) => link.peers.filter(peer => own.some(([, first, address]) => first === word && address === peer))
    return { link, met: peersAfter('met'), carried: peersAfter('carried') }
  })
}

/** Lets all servers send packets of a stranger to each other, once. */
export const CARRY_QUESTION: WireQuestion<CarryLink, CarryReport> = {
  label: "try whether packets with a client's address pass between the servers",
  script: carryScript,
  parse: parseCarry,
}

/** Joins two tries. A packet that arrived once counts as carried. */
export function mergeCarry(
  first: readonly (CarryReport | undefined)[],
  second: readonly (CarryReport | undefined)[],
): readonly (CarryReport | undefined)[] {
  return first.map((a, index) => {
    const b = second[index]
    if (a === undefined || b === undefined) return a ?? b
    const either = (key: 'met' | 'carried') => a.link.peers.filter(peer => a[key].includes(peer) || b[key].includes(peer))
    return { link: a.link, met: either('met'), carried: either('carried') }
  })
}
