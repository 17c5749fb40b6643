import { HactlError } from '../../errors.ts'
import type { CommandResult, Effect, Ports, Script } from '../../ports.ts'
import type { EngineEvent } from '../events.ts'
import type { Links } from '../links.ts'
import { lockLost } from '../lock.ts'
import { parseStepLine, STOPPING_STATUS } from './report.ts'
import { FILE_CHANGED_STATUS } from './switch.ts'

/** What steps need of a run. */
export interface StepsRun {
  readonly links: Links
  readonly ports: Pick<Ports, 'clock' | 'signal'>
  readonly onEvent: (event: EngineEvent) => void
}

export interface StepsOptions {
  readonly effect: Effect
  readonly label: string
  readonly deadlineMs: number
  /** Each step becomes an event unless this is false. A failed step always does. */
  readonly tell?: boolean
  /** What a failed step counts as: E_COMMAND_FAILED by default. E_CONFIG_REFUSED: only a refused file does, before anything live was changed. */
  readonly failure?: 'E_CONFIG_REFUSED' | 'E_PACKAGE_UNAVAILABLE' | 'E_COMMAND_FAILED'
  /** Called for every line that reports no step, as it comes. */
  readonly onDetail?: (text: string) => void
}

/**
 * Runs a script that reports its steps (report.ts) and sends an event for each as it happens. Throws E_COMMAND_FAILED, E_CONFIG_REFUSED or
 * E_PACKAGE_UNAVAILABLE with the failed step's own words, E_LOCKED, E_CHANGED_MEANWHILE, and what Session.run throws.
 */
export async function runSteps(run: StepsRun, server: string, script: Script, options: StepsOptions): Promise<CommandResult> {
  const { links, onEvent } = run
  const { clock, signal } = run.ports
  const { effect, label, deadlineMs, tell = true, failure = 'E_COMMAND_FAILED' } = options
  const open = new Map<string, { title: string; startedMs: number }>()
  let detail: string[] = []
  let failed: { id: string; reason: string; detail: readonly string[] } | undefined
  const onLine = (text: string) => {
    const line = parseStepLine(text)
    switch (line.kind) {
      case 'step':
        detail = []
        open.set(line.id, { title: line.title, startedMs: clock.monotonic() })
        if (tell) onEvent({ kind: 'action-started', server, id: line.id, title: line.title })
        return
      case 'done': {
        const step = open.get(line.id)
        open.delete(line.id)
        const extra = detail.length > 0 ? { detail: detail.slice(-3).join('\n') } : {}
        if (tell && step !== undefined)
          onEvent({
            kind: 'action-done',
            server,
            id: line.id,
            title: step.title,
            durationMs: clock.monotonic() - step.startedMs,
            ...extra,
          })
        detail = []
        return
      }
      case 'fail': {
        failed = { id: line.id, reason: line.reason, detail }
        const step = open.get(line.id)
        open.delete(line.id)
        onEvent({
          kind: 'action-failed',
          server,
          id: line.id,
          title: step?.title ?? line.id,
          durationMs: step === undefined ? 0 : clock.monotonic() - step.startedMs,
          detail: [line.reason, ...detail].join('\n'),
        })
        return
      }
      case 'note':
        onEvent({ kind: 'note', server, text: line.text })
        return
      case 'detail':
        options.onDetail?.(text)
        if (text.trim() !== '') detail.push(text)
    }
  }
  const result = await links.current(server).run(script, { effect, label, deadlineMs, signal, onLine })
  if (result.code === 0) return result
  const lost = lockLost(result, server, label)
  if (lost !== undefined) throw lost
  if (result.code === FILE_CHANGED_STATUS) {
    throw new HactlError({
      code: 'E_CHANGED_MEANWHILE',
      server,
      what: `${failed?.id ?? 'a file'} was changed by somebody after hactl looked at it`,
      fix: 'run hactl plan again',
    })
  }
  if (result.code === STOPPING_STATUS) {
    throw new HactlError({
      code: 'E_CONNECTION_LOST',
      server,
      what: `${label}: the server is shutting down`,
      why: failed === undefined ? [] : [`${failed.id}: ${failed.reason}`],
      fix: 'run it again when the server is back: hactl looks at what is there before it changes anything',
    })
  }
  const lines = [...(failed?.detail ?? detail), ...result.stderr.trim().split('\n')].filter(line => line.trim() !== '')
  if (failure === 'E_PACKAGE_UNAVAILABLE') {
    throw new HactlError({
      code: 'E_PACKAGE_UNAVAILABLE',
      server,
      what: failed?.reason ?? `${label}: ended with status ${result.code}`,
      why: lines.slice(-12),
      fix: `fix what apt-get update reports on ${server}, or packages: in the inventory; nothing was installed on any server`,
    })
  }
  // dash says "I/O error" of a write without room, coreutils the words of errno(3) for ENOSPC and EDQUOT.
  const isFull = failed === undefined && lines.some(line => /I\/O error|No space left on device|Disk quota exceeded/.test(line))
  const refusedFile = failure === 'E_CONFIG_REFUSED' && failed?.id.startsWith('check/') === true
  throw new HactlError({
    code: refusedFile ? 'E_CONFIG_REFUSED' : 'E_COMMAND_FAILED',
    server,
    what:
      failed === undefined
        ? `${label}: ended with status ${result.code}${isFull ? ' (disk full?)' : ''}`
        : refusedFile
          ? failed.reason
          : `${failed.id}: ${failed.reason}`,
    why: lines.slice(-12),
    fix: refusedFile
      ? 'fix the configuration; no running service was changed'
      : isFull
        ? `look at the disk of ${server} (df -h), make room, and run it again`
        : `run journalctl -n 50 on ${server}`,
  })
}
