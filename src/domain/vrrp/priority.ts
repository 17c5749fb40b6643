/** Who becomes master: effective priorities and the election, as keepalived does them. */
import { compareAddresses } from '../addresses.ts'

/** Lowest and highest effective priority of a server that does not own the address (the owner has 255). keepalived, vrrp_set_effective_priority. */
const PRIORITY_MIN = 1
export const PRIORITY_MAX = 254

/**
 * What a tracker adds to the priority. A positive weight is added while the check passes, a negative one while it fails.
 * Weight 0 adds nothing (a failed check is FAULT). keepalived, vrrp_track.c.
 */
export function weightContribution(weight: number, passing: boolean): number {
  if (weight > 0) return passing ? weight : 0
  return passing ? 0 : weight
}

/** Base priority and what the trackers add, kept within 1 and 254. 255 owns the address: no tracker applies (evidence V8). */
export function effectivePriority(base: number, contributions: readonly number[]): number {
  if (base === 255) return 255
  const total = contributions.reduce((sum, c) => sum + c, base)
  return Math.min(PRIORITY_MAX, Math.max(PRIORITY_MIN, total))
}

/** One server in the election of one instance. */
export interface Candidate {
  readonly server: string
  /** Effective priority. */
  readonly priority: number
  /** Alive and not in FAULT. */
  readonly eligible: boolean
  readonly nopreempt: boolean
  /** The address it sends from: the highest wins a tie. undefined where it is not known yet. */
  readonly address: string | undefined
}

export interface Election {
  /** undefined: nobody holds the address. */
  readonly owner: string | undefined
  /** Servers that become master at the same moment because their priorities are equal; the owner is the one that remains. */
  readonly tied: readonly string[]
}

/**
 * Who holds the address after the election, given who held it before. Backups accept adverts of equal priority, so the holder keeps the
 * address where priorities are equal. With nopreempt it keeps the address as long as it runs (evidence V3, V6).
 */
export function ownerOf(candidates: readonly Candidate[], incumbent: string | undefined): Election {
  const eligible = candidates.filter(c => c.eligible)
  const holder = eligible.find(c => c.server === incumbent)
  const contenders = holder === undefined ? eligible : eligible.filter(c => c.priority > holder.priority && !c.nopreempt)
  if (contenders.length === 0) return { owner: holder?.server, tied: [] }
  const highest = Math.max(...contenders.map(c => c.priority))
  const first = contenders.filter(c => c.priority === highest)
  const winner = first.reduce((a, b) => (tieBreak(a, b) >= 0 ? a : b))
  return { owner: winner.server, tied: first.length > 1 ? first.map(c => c.server) : [] }
}

function tieBreak(a: Candidate, b: Candidate): number {
  return a.address === undefined || b.address === undefined ? 0 : compareAddresses(a.address, b.address)
}
