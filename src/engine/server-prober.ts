/** The same probes, sent by one of the servers: for a controller that cannot reach the virtual address, or is not where the users are. */
import { HactlError } from '../errors.ts'
import type { ProbeTarget, Script, Session } from '../ports.ts'
import type { ProbeSample } from '../state/drill.ts'
import { LAST_ANSWER_MS, watcherLimit } from './limits.ts'
import { hostOf } from './probe-from-server.ts'
import { PROBE_INTERVAL_MS } from './prober.ts'
import type { Watching } from './watching.ts'
import { sourceText } from '../shell/library.ts'
import { sh } from '../shell/sh.ts'

export interface ServerProbeRun extends Watching<ProbeSample> {
  readonly session: Session
  /** Of https only the TCP connection is tried: perl-base has no TLS. */
  readonly target: ProbeTarget
  /** The remote script ends by itself after this many ms, with or without a connection. */
  readonly boundMs: number
}

/**
 * Sends probes from the server until `stop` aborts, and then until one that is answered, for LAST_ANSWER_MS at most. Throws E_CONNECTION_LOST when the connection is lost, E_COMMAND_FAILED where
 * the script cannot run: without its probes a drill has nothing to judge.
 */
export async function runServerProber(run: ServerProbeRun): Promise<void> {
  const { session, clock, stop } = run
  let offsetMs = Infinity
  const end = new AbortController()
  const onStop = () =>
    void clock.sleep(LAST_ANSWER_MS, end.signal).then(
      () => end.abort(),
      () => undefined,
    )
  if (stop.aborted) onStop()
  else stop.addEventListener('abort', onStop, { once: true })
  try {
    const result = await session.run(serverProbeScript(run.target, run.boundMs), {
      effect: 'none',
      label: `ask ${run.target.address} from here`,
      ...watcherLimit(run.boundMs, session.patience),
      signal: end.signal,
      onLine: line => {
        const probe = parseProbeLine(line)
        if (probe === undefined) return
        // The answer that travelled fastest shows best how far the server's clock is from ours.
        offsetMs = Math.min(offsetMs, clock.monotonic() - probe.sentMs - probe.tookMs)
        run.onSample({ ...probe, kind: 'probe', from: session.server, sentMs: probe.sentMs + offsetMs })
        if (stop.aborted && probe.ok) end.abort()
      },
    })
    if (result.code === 0) return
    throw new HactlError({
      code: 'E_COMMAND_FAILED',
      server: session.server,
      what: `${session.server} cannot send probes`,
      why: result.stderr.trim().split('\n').slice(-3),
      fix: 'leave --from out, or name another server',
    })
  } catch (error) {
    if (!stop.aborted) throw error
  } finally {
    stop.removeEventListener('abort', onStop)
    end.abort()
  }
}

/**
 * A child for each probe, so that none waits for another; one line for each answer: "probe SENT_MS TOOK_MS ok|failed WHY".
 * Needs perl-base only, which every Debian has. Times are from /proc/uptime, to 10 ms. Ends when no process reads it any more.
 */
export function serverProbeScript(target: ProbeTarget, boundMs: number): Script {
  const limitSeconds = Math.max(1, Math.ceil(target.timeoutMs / 1000))
  return sh`exec perl -e ${sourceText('server-prober.pl')} -- ${target.address} ${target.port} ${target.kind} ${target.path} ${hostOf(target)} ${target.status ?? 'any'} ${limitSeconds} ${PROBE_INTERVAL_MS} ${boundMs}`
}

function parseProbeLine(line: string): Pick<ProbeSample, 'sentMs' | 'tookMs' | 'ok' | 'error'> | undefined {
  const found = /^probe (\d{1,13}(?:\.\d{1,9})?) (\d{1,13}) (ok|failed)(?: (.+))?$/.exec(line.trim())
  if (found === null) return undefined
  const ok = found[3] === 'ok'
  return { sentMs: Number(found[1]), tookMs: Number(found[2]), ok, ...(ok ? {} : { error: found[4] ?? 'no answer' }) }
}
