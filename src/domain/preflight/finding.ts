/** One result of the preflight: what was checked, on which server, and the answer. */
import { HactlError, type HactlErrorInit } from '../../errors.ts'

/** In the order in which they are shown. */
export const CHECKS = [
  'root',
  'system',
  'systemd',
  'machine',
  'clock',
  'disk',
  'dpkg',
  'programs',
  'interface',
  'ports',
  'address',
  'firewall',
  'connections',
  'vrrp',
  'router id',
  'lock',
] as const

export type CheckName = (typeof CHECKS)[number]

export interface Finding {
  readonly check: CheckName
  readonly server: string
  /** unknown: it could not be determined, or was not asked. Only a failed check stops hactl. */
  readonly verdict: 'passed' | 'warning' | 'failed' | 'unknown'
  /** What was found, in one line. */
  readonly found: string
  /** What would fix it. */
  readonly fix?: string | undefined
  /** Set exactly where the check failed. */
  readonly error?: HactlError
}

export function passed(check: CheckName, server: string, found: string): Finding {
  return { check, server, verdict: 'passed', found }
}

export function unknown(check: CheckName, server: string, found: string): Finding {
  return { check, server, verdict: 'unknown', found }
}

export function warning(check: CheckName, server: string, found: string, fix: string): Finding {
  return { check, server, verdict: 'warning', found, fix }
}

export function failed(check: CheckName, init: HactlErrorInit & { readonly server: string }): Finding {
  return failedBy(check, init.server, new HactlError(init))
}

export function failedBy(check: CheckName, server: string, error: HactlError): Finding {
  return { check, server, verdict: 'failed', found: error.message, fix: error.fix, error }
}
