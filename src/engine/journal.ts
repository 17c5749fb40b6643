/** What the services, and systemd about them, logged on one server: read in one exec, once a drill is over. */
import { HactlError } from '../errors.ts'
import type { Script, Session } from '../ports.ts'
import type { JournalLine, JournalSubject, ServerJournal } from '../state/drill.ts'
import { shWith } from '../shell/sh.ts'
import { LAST_CLOCK_MS, parseClock } from './observe/said.ts'

/** The last lines of the window are kept. */
const MOST_LINES = 200
/** Enough to recognise a line by; a longer one is cut before it is kept. */
const LONGEST_MESSAGE = 10_000
const DEADLINE_MS = 10_000

/**
 * The journal of the last `windowMs` by the server's own clock. A journal that cannot be read is a remark, not a fault:
 * the drill is over and judged without it.
 */
export async function readJournal(
  session: Session,
  subject: JournalSubject,
  windowMs: number,
  signal?: AbortSignal,
): Promise<ServerJournal> {
  const lines: JournalLine[] = []
  let seen = 0
  let boot: BootReading | undefined
  const journal = (problem: string | undefined): ServerJournal => ({
    server: session.server,
    lines: lines.slice(-MOST_LINES),
    isCut: seen > MOST_LINES,
    bootedAtMs: boot?.bootedAtMs,
    problem,
  })
  try {
    const result = await session.run(journalScript(subject, windowMs), {
      effect: 'none',
      label: 'read the journal of the drill',
      deadlineMs: DEADLINE_MS,
      signal,
      onLine: text => {
        const reading = parseBoot(text)
        // On a busy server starting date takes its time: the tightest reading is the truest.
        if (reading !== undefined && (boot === undefined || reading.withinMs < boot.withinMs)) boot = reading
        const line = parseJournalLine(text)
        if (line === undefined) return
        seen++
        if (!subject.ownLooks.test(line.message)) lines.push(line)
      },
    })
    const said = result.stderr.trim().split('\n').at(-1) ?? ''
    return journal(result.code === 0 ? undefined : said === '' ? `journalctl ended with status ${result.code}` : said)
  } catch (error) {
    return journal(error instanceof HactlError ? error.message : String(error))
  }
}

const journalOf = shWith('journal.sh')

/** One line more than is kept tells that there were more. */
export function journalScript({ matches }: JournalSubject, windowMs: number): Script {
  return journalOf`recent_journal ${Math.ceil(windowMs / 1000) + 1} ${MOST_LINES + 1} ${matches}`
}

/** The last lines, as they are. */
export function lastWordsScript({ matches }: JournalSubject, lines: number): Script {
  return journalOf`last_words ${lines} ${matches}`
}

interface BootReading {
  /** When this server booted, by its wall clock. */
  readonly bootedAtMs: number
  /** How long the reading took. */
  readonly withinMs: number
}

/**
 * "clock UPTIME_S UPTIME_S DATE", the uptimes from before and after the wall clock was asked; undefined for any other text, and for a time
 * that cannot be: lines laid on the axis by it would stand in the wrong place.
 */
function parseBoot(text: string): BootReading | undefined {
  const found = /^clock (\d{1,10}(?:\.\d{1,9})?) (\d{1,10}(?:\.\d{1,9})?) (.*)$/.exec(text.trim())
  const now = parseClock(found?.[3])
  if (found === null || now?.isExact !== true) return undefined
  const [before, after] = [Number(found[1]) * 1000, Number(found[2]) * 1000]
  return after < before ? undefined : { bootedAtMs: now.atMs - (before + after) / 2, withinMs: after - before }
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
  if (!(atMs >= 0 && atMs <= LAST_CLOCK_MS) || message === undefined) return undefined
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
