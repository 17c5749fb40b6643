/** What haproxy, keepalived and systemd about them logged on one server: read in one exec, once a drill is over. */
import { HactlError } from '../errors.ts'
import type { Script, Session } from '../ports.ts'
import type { JournalLine, ServerJournal } from '../state/drill.ts'
import { sh } from './ssh/sh.ts'

/** The last lines of the window are kept. */
const MOST_LINES = 200
/** Enough to recognise a line by; a longer one is cut before it is kept. */
const LONGEST_MESSAGE = 10_000
const DEADLINE_MS = 10_000
/** What keepalived logs whenever hactl asks it how it stands. */
const OWN_LOOKS = /^Printing (VRRP as json|VRRP data|parent data) for process\(\d+\) on signal$/

/**
 * The journal of the last `windowMs` by the server's own clock. A journal that cannot be read is a remark, not a fault:
 * the drill is over and judged without it.
 */
export async function readJournal(session: Session, windowMs: number, signal?: AbortSignal): Promise<ServerJournal> {
  const lines: JournalLine[] = []
  let seen = 0
  let clock: ClockReading | undefined
  const journal = (problem: string | undefined): ServerJournal => ({
    server: session.server,
    lines: lines.slice(-MOST_LINES),
    isCut: seen > MOST_LINES,
    bootedAtMs: clock?.bootedAtMs,
    problem,
  })
  try {
    const result = await session.run(journalScript(windowMs), {
      label: 'read the journal of the drill',
      deadlineMs: DEADLINE_MS,
      signal,
      onLine: text => {
        const reading = parseClock(text)
        // On a busy server starting date takes its time: the tightest reading is the truest.
        if (reading !== undefined && (clock === undefined || reading.withinMs < clock.withinMs)) clock = reading
        const line = parseJournalLine(text)
        if (line === undefined) return
        seen++
        if (!OWN_LOOKS.test(line.message)) lines.push(line)
      },
    })
    const said = result.stderr.trim().split('\n').at(-1) ?? ''
    return journal(result.code === 0 ? undefined : said === '' ? `journalctl ended with status ${result.code}` : said)
  } catch (error) {
    return journal(error instanceof HactlError ? error.message : String(error))
  }
}

/**
 * For journalctl: what keepalived logs, what systemd (process 1) logs about either, and what haproxy logs except its requests: those go to
 * syslog at level info (6), hundreds a second, would push everything else out of the window, and are nobody else's business. Matches of one
 * field are alternatives, those of several must all hold, and + begins another group (journalctl(1)).
 */
export const JOURNAL_MATCHES = sh`_SYSTEMD_UNIT=keepalived.service + \
  _PID=1 UNIT=keepalived.service UNIT=haproxy.service + \
  _SYSTEMD_UNIT=haproxy.service _TRANSPORT=stdout + \
  _SYSTEMD_UNIT=haproxy.service PRIORITY=0 PRIORITY=1 PRIORITY=2 PRIORITY=3 PRIORITY=4 PRIORITY=5`

/** One line more than is kept tells that there were more. */
export function journalScript(windowMs: number): Script {
  return sh`for try in 1 2 3 4 5; do
  read -r before _ </proc/uptime
  now=$(date +%s%3N)
  read -r after _ </proc/uptime
  echo "clock $now $before $after"
done
exec journalctl --quiet --no-pager --all --output=json --output-fields=MESSAGE,SYSLOG_IDENTIFIER --lines=${MOST_LINES + 1} \
  --since=@$(($(date +%s) - ${Math.ceil(windowMs / 1000) + 1})) ${JOURNAL_MATCHES}`
}

interface ClockReading {
  /** When this server booted, by its wall clock. */
  readonly bootedAtMs: number
  /** How long the reading took. */
  readonly withinMs: number
}

/** "clock EPOCH_MS UPTIME_S UPTIME_S", the uptimes from before and after the wall clock was asked; undefined for any other text. */
function parseClock(text: string): ClockReading | undefined {
  const found = /^clock (\d+) (\d+(?:\.\d+)?) (\d+(?:\.\d+)?)$/.exec(text.trim())
  if (found === null) return undefined
  const [now, before, after] = [Number(found[1]), Number(found[2]) * 1000, Number(found[3]) * 1000]
  return { bootedAtMs: now - (before + after) / 2, withinMs: after - before }
}

/** One entry of `journalctl -o json`; undefined for any other text. */
export function parseJournalLine(text: string): JournalLine | undefined {
  let entry: unknown
  try {
    entry = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof entry !== 'object' || entry === null) return undefined
  const fields: Readonly<Record<string, unknown>> = { ...entry }
  const atMs = Number(fields['__REALTIME_TIMESTAMP']) / 1000
  const message = fieldText(fields['MESSAGE'])
  if (!Number.isFinite(atMs) || message === undefined) return undefined
  return { atMs, source: fieldText(fields['SYSLOG_IDENTIFIER']) ?? 'unknown', message: message.slice(0, LONGEST_MESSAGE) }
}

/** A field that is not printable text comes as its bytes, one that was logged several times as a list of them (systemd's Journal JSON Format). */
function fieldText(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (!Array.isArray(value)) return undefined
  const bytes = value.filter(item => typeof item === 'number')
  if (bytes.length === value.length) return Buffer.from(bytes).toString('utf8')
  return value.flatMap(item => fieldText(item) ?? []).join(' ')
}
