import type { Cluster } from '../../domain/cluster-types.ts'
import { nodeFactsFor } from '../../domain/node-facts.ts'
import { CHECKS, failed, type Finding, passed, unknown } from '../../domain/preflight/finding.ts'
import { connectionsFindings } from '../../domain/preflight/connections.ts'
import { carryFindings, carryLinksOf, isAnyPacketLost } from '../../domain/preflight/carry.ts'
import { firewallFinding, WILL_BE_OPENED } from '../../domain/preflight/firewall.ts'
import { programsFinding, machineFinding, machineFindings, systemFindings } from '../../domain/preflight/machine.ts'
import { addressFindings, interfaceFindings, portFindings } from '../../domain/preflight/network.ts'
import { type Explained, type Facts, isAnyPeerSilent, ownerOf, wireFindings, wireLinksOf } from '../../domain/preflight/wire.ts'
import { LOCK_EXPIRES_SECONDS } from '../limits.ts'
import { mayBeDead } from '../lock.ts'
import { askAtOnce, type WireTimes } from '../wire/at-once.ts'
import { CARRY_QUESTION, mergeCarry } from '../wire/carry.ts'
import { mergeWire, VRRP_QUESTION } from '../wire/wire.ts'
import { HactlError, PreflightErrors, type PreflightRow } from '../../errors.ts'
import type { ObservedNode } from '../../state/observed.ts'
import type { Looked } from './look.ts'
import type { OnEvent } from './run.ts'

export interface PreflightOptions {
  /** Whether a lock that another run holds is a reason to stop. */
  readonly minded: 'locks' | 'no-locks'
}

/** Long enough for a router that speaks once a second. A deploy fetches packages meanwhile. */
export const DEPLOY_WIRE: WireTimes = { leastMs: 2_000, mostMs: 4_000 }
/** For a run that waits for nothing else. Most routers speak every second, few less often than every three. */
export const CHECK_WIRE: WireTimes = { leastMs: 4_000, mostMs: 5_000 }
/** A server that was busy with something else may have missed the time in which the others spoke. */
const SECOND_TRY: WireTimes = { leastMs: 1_000, mostMs: 6_000 }

/** Why no command can work on these servers, all reasons of all servers together. */
export function preflightErrors(cluster: Cluster, nodes: readonly ObservedNode[], options: PreflightOptions): readonly HactlError[] {
  const findings = [
    ...nodes.flatMap(systemFindings).filter(one => one.check !== 'root'),
    ...nodes.map(node => machineFinding(node, nodes)),
    ...nodes.map(programsFinding),
    ...addressFindings(cluster, nodes),
    ...lockFindings(nodes, options),
  ]
  // Without root half of the answers mean nothing.
  const notRoot = nodes.flatMap(systemFindings).filter(one => one.check === 'root' && one.verdict === 'failed')
  const isRoot = (server: string) => !notRoot.some(one => one.server === server)
  return errorsOf([...notRoot, ...findings.filter(one => isRoot(one.server))])
}

/** Everything about the servers that can be told from one look at each, before a deploy. */
export function preflightFindings(cluster: Cluster, nodes: readonly ObservedNode[], options: PreflightOptions): readonly Finding[] {
  const facts = knownFacts(cluster, nodes)
  // Without root, on another system, half of the answers mean nothing.
  const isUnfit = (server: string) => nodes.flatMap(systemFindings).some(one => one.server === server && one.verdict === 'failed')
  const findings = [
    ...machineFindings(nodes),
    ...interfaceFindings(cluster, nodes),
    ...portFindings(cluster, nodes),
    ...addressFindings(cluster, nodes),
    ...nodes.map(node => {
      const own = facts[node.server]
      return own === undefined ? unknown('firewall', node.server, 'not judged') : firewallFinding(cluster, node, own)
    }),
    ...nodes.flatMap(node => connectionsFindings(cluster, node, nodes)),
    ...lockFindings(nodes, options),
  ]
  return findings.filter(one => !isUnfit(one.server) || ['root', 'system', 'systemd'].includes(one.check))
}

/** Whether a keepalived does not run yet. It will speak, and hactl finds out before who will hear it. */
export function needsWire(nodes: readonly ObservedNode[]): boolean {
  return nodes.some(node => node.services.keepalived.active !== 'active')
}

/**
 * Adds to `before` what shows when the servers speak to each other and listen for others. Changes nothing. Throws what Session.run throws.
 */
export async function wirePreflight(run: Looked, times: WireTimes, before: readonly Finding[]): Promise<readonly Finding[]> {
  const { cluster, nodes, links, ports } = run
  const facts = knownFacts(cluster, nodes)
  const asked = nodes.map(node => node.server)
  const explained: Explained = new Map(
    before.flatMap(({ check, verdict, server, found }): readonly (readonly [string, 'told' | 'opened'])[] => {
      if (check !== 'firewall') return []
      if (verdict === 'failed') return [[server, 'told']]
      return found.endsWith(WILL_BE_OPENED) ? [[server, 'opened']] : []
    }),
  )
  // The mark in the packets is a name that no other run has.
  const { id } = run.claim()
  const linksOf =
    <Link>(of: (node: ObservedNode) => readonly Link[]) =>
    (server: string) =>
      nodes.filter(node => node.server === server).flatMap(of)
  const ask = (forMs: WireTimes) => {
    const asking = { links, mark: id, times: forMs, signal: ports.signal }
    return Promise.all([
      askAtOnce({ ...asking, linksOf: linksOf(node => wireLinksOf(cluster, node, facts, asked)), question: VRRP_QUESTION }),
      askAtOnce({ ...asking, linksOf: linksOf(node => carryLinksOf(cluster, node, nodes, facts)), question: CARRY_QUESTION }),
    ])
  }
  const [vrrp, carried] = await ask(times)
  const isSilent = isAnyPeerSilent(vrrp, explained) || isAnyPacketLost(carried)
  const [vrrpAgain, carriedAgain] = isSilent ? await ask(SECOND_TRY) : [vrrp, carried]
  const onTheWay = carryFindings(
    new Map([...carried].map(([server, reports]) => [server, mergeCarry(reports, carriedAgain.get(server) ?? [])] as const)),
    address => ownerOf(nodes, address),
  )
  const both = new Map([...vrrp].map(([server, reports]) => [server, mergeWire(reports, vrrpAgain.get(server) ?? [])] as const))
  // That a server can keep connections is not worth saying where the network cannot.
  const isOutdone = (one: Finding) =>
    one.check === 'connections' && one.verdict === 'passed' && onTheWay.some(({ server }) => server === one.server)
  return [...before.filter(one => !isOutdone(one)), ...onTheWay, ...wireFindings(cluster, nodes, facts, both, explained)]
}

/**
 * Throws PreflightErrors, with everything that failed and the whole table. What is only doubtful becomes a warning, except where `told` has it.
 */
export function assertNothingFailed(findings: readonly Finding[], onEvent: OnEvent, told: readonly Finding[] = []): void {
  const errors = errorsOf(findings)
  if (errors.length > 0)
    throw new PreflightErrors(
      inOrder(findings).flatMap(one => one.error ?? []),
      rowsOf(findings),
    )
  for (const one of findings) {
    if (one.verdict === 'warning' && !told.includes(one))
      onEvent({ kind: 'warning', server: one.server, text: one.fix === undefined ? one.found : `${one.found} (${one.fix})` })
  }
}

function inOrder(findings: readonly Finding[]): readonly Finding[] {
  return findings.toSorted((a, b) => CHECKS.indexOf(a.check) - CHECKS.indexOf(b.check))
}

export function rowsOf(findings: readonly Finding[]): readonly PreflightRow[] {
  return inOrder(findings).map(({ check, server, verdict, found, fix }) => ({ check, server, verdict, found, fix }))
}

export function errorsOf(findings: readonly Finding[]): readonly HactlError[] {
  return findings.flatMap(one => one.error ?? [])
}

/** Empty where an interface is missing: then it is not known which servers speak with each other. */
function knownFacts(cluster: Cluster, nodes: readonly ObservedNode[]): Facts {
  try {
    return nodeFactsFor(cluster, Object.fromEntries(nodes.map(node => [node.server, node])))
  } catch (error) {
    if (error instanceof HactlError && error.code === 'E_NO_INTERFACE') return {}
    throw error
  }
}

function lockFindings(nodes: readonly ObservedNode[], options: PreflightOptions): readonly Finding[] {
  return nodes.map(({ server, lock }) => {
    if (lock === undefined || mayBeDead(lock.ageSeconds)) return passed('lock', server, 'free')
    const what = `another run of hactl works on this cluster: ${lock.owner}, ${lock.reason}`
    if (options.minded === 'no-locks') return unknown('lock', server, what)
    return failed('lock', {
      code: 'E_LOCKED',
      server,
      what,
      why: [`its last sign of life was ${lock.ageSeconds} s ago; a dead run's lock is free after ${LOCK_EXPIRES_SECONDS} s`],
      fix: 'wait for it to end; hactl unlock breaks the lock of a run that is certainly dead',
    })
  })
}
