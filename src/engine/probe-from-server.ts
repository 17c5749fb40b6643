import type { ProbeAnswer, ProbeTarget, Session } from '../ports.ts'
import { sourceText } from '../shell/library.ts'
import { sh } from '../shell/sh.ts'

/**
 * One probe from a server instead of the controller, with what every Debian has (perl-base). Of HTTPS only the TCP connection is tried:
 * perl-base has no TLS.
 */
export async function probeFromServer(session: Session, target: ProbeTarget, signal?: AbortSignal): Promise<ProbeAnswer> {
  const seconds = Math.max(1, Math.ceil(target.timeoutMs / 1000))
  const result = await session.run(
    sh`timeout ${Math.ceil(seconds + session.patience)} perl -e ${sourceText('probe.pl')} -- ${target.address} ${target.port} ${target.kind} ${target.path} ${hostOf(target)} ${seconds}`,
    { effect: 'none', label: `ask ${target.address} from here`, deadlineMs: (seconds + 3) * 1000, signal },
  )
  const said = result.stdout.trim()
  const status = Number(/^HTTP (\d+)$/.exec(said)?.[1] ?? 0)
  if (result.code !== 0) return { ok: false, tookMs: result.durationMs, error: said }
  if (target.kind !== 'http') return { ok: true, tookMs: result.durationMs }
  const ok = target.status === undefined ? status < 500 : status === target.status
  return { ok, tookMs: result.durationMs, status, error: ok ? undefined : said }
}

/** The value of the Host header: an IPv6 address has brackets there (RFC 3986 section 3.2.2). */
export function hostOf({ address, host }: ProbeTarget): string {
  return host ?? (address.includes(':') ? `[${address}]` : address)
}
