import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { SERVICE_JOURNAL } from '../../src/domain/journal.ts'
import { journalScript, parseJournalLine, readJournal } from '../../src/engine/journal.ts'
import { HactlError } from '../../src/errors.ts'
import type { Session } from '../../src/ports.ts'

const entry = (fields: Record<string, unknown>) => JSON.stringify({ __REALTIME_TIMESTAMP: '1767276000123456', ...fields })

/** A session that answers every script with these lines. */
function sessionOf(lines: readonly string[], result: { readonly code?: number; readonly stderr?: string } = {}): Session {
  return {
    server: 'srv-1',
    peer: '192.0.2.11:22',
    patience: 1,
    async run(_script, { onLine }) {
      for (const line of lines) onLine?.(line)
      return { code: 0, stdout: '', stderr: '', durationMs: 1, ...result }
    },
    async close() {},
  }
}

describe('a journal line', () => {
  test('has a time, a source and a message', () => {
    expect(parseJournalLine(entry({ SYSLOG_IDENTIFIER: 'Keepalived_vrrp', MESSAGE: '(VRRP1) Entering MASTER STATE' }))).toEqual({
      atMs: 1_767_276_000_123.456,
      source: 'Keepalived_vrrp',
      message: '(VRRP1) Entering MASTER STATE',
    })
  })

  test('that is no text is read from bytes', () => {
    expect(parseJournalLine(entry({ MESSAGE: [27, 91, 50, 74, 0xc3, 0xa4] }))).toMatchObject({ source: 'unknown', message: '\u001B[2Jä' })
    expect(parseJournalLine(entry({ MESSAGE: ['one', 'two'] }))?.message).toBe('one two')
  })

  test('of endless length is cut', () => {
    expect(parseJournalLine(entry({ MESSAGE: 'x'.repeat(1_000_000) }))?.message).toHaveLength(10_000)
  })

  test.for(['-1', '1e400', '9'.repeat(40), '253402300800000000', 'soon'])('has no time where it says %j', at => {
    expect(parseJournalLine(entry({ MESSAGE: 'hello', __REALTIME_TIMESTAMP: at }))).toBeUndefined()
  })

  test.for(['', 'clock 1 2', '{', '[]', 'null', '7', entry({}), entry({ MESSAGE: null }), '{"MESSAGE":"no time"}'])(
    'is not made of %j',
    text => {
      expect(parseJournalLine(text)).toBeUndefined()
    },
  )
})

describe('the journal of a server', () => {
  test('is read in one exec, with the time at which the server booted by the tightest reading of its clock', async () => {
    const clock = [
      'clock 500.00 501.20 1767276000 900000000',
      'clock 500.24 500.26 1767276000 000000000',
      'clock 502.00 502.30 1767276002 0',
    ]
    const journal = await readJournal(sessionOf([...clock, entry({ MESSAGE: 'hello' })]), SERVICE_JOURNAL, 8000)
    expect(journal).toMatchObject({ server: 'srv-1', isCut: false, bootedAtMs: 1_767_276_000_000 - 500_250, problem: undefined })
    expect(journal.lines.map(line => line.message)).toEqual(['hello'])
  })

  test('leaves out what keepalived logs whenever hactl asks for its state', async () => {
    const looks = ['VRRP data', 'VRRP as json', 'parent data'].map(what =>
      entry({ MESSAGE: `Printing ${what} for process(1383) on signal` }),
    )
    expect(
      (await readJournal(sessionOf([...looks, entry({ MESSAGE: 'hello' })]), SERVICE_JOURNAL, 8000)).lines.map(line => line.message),
    ).toEqual(['hello'])
  })

  // uutils' date in Ubuntu 26.04 took %s%3N for all nine digits; busybox's has no fractions; the others are no clock's.
  test.for([
    'clock 500.00 500.01 1767276000 %N',
    'clock 500.00 500.01 1767276000',
    'clock 500.00 500.01 1767276000123456789 0',
    'clock 500.00 500.01 1767276000 1234567890',
    'clock 500.00 500.01 -5 0',
    `clock 500.00 500.01 ${'9'.repeat(400)} 0`,
    `clock ${'9'.repeat(400)} ${'9'.repeat(400)} 1767276000 0`,
    'clock 500.01 500.00 1767276000 0',
    'clock 500.00 500.01 date: invalid format',
  ])('whose clock says %j is laid on no axis, and is shown all the same', async clock => {
    const journal = await readJournal(sessionOf([clock, entry({ MESSAGE: 'hello' })]), SERVICE_JOURNAL, 8000)
    expect(journal).toMatchObject({ bootedAtMs: undefined, problem: undefined, lines: [{ message: 'hello' }] })
  })

  test('ends with its last 200 lines', async () => {
    const lines = Array.from({ length: 201 }, (_, i) => entry({ MESSAGE: `line ${i}` }))
    const journal = await readJournal(sessionOf(lines), SERVICE_JOURNAL, 8000)
    expect(journal.isCut).toBe(true)
    expect(journal.lines).toHaveLength(200)
    expect(journal.lines[0]?.message).toBe('line 1')
  })

  test('that cannot be read gives a note and no error', async () => {
    expect(await readJournal(sessionOf([], { code: 1, stderr: 'x\nNo journal files were found.\n' }), SERVICE_JOURNAL, 8000)).toMatchObject(
      {
        lines: [],
        problem: 'No journal files were found.',
      },
    )
    const lost: Session = {
      ...sessionOf([]),
      run: () => Promise.reject(new HactlError({ code: 'E_CONNECTION_LOST', what: 'the connection was lost' })),
    }
    expect((await readJournal(lost, SERVICE_JOURNAL, 8000)).problem).toBe('the connection was lost')
  })

  test("is asked for by the server's own time, bounded, and without haproxy's requests", () => {
    const folder = mkdtempSync(join(tmpdir(), 'hactl-journal-'))
    try {
      writeFileSync(join(folder, 'journalctl'), '#!/bin/sh\necho "journalctl $*"\n', { mode: 0o755 })
      writeFileSync(join(folder, 'date'), '#!/bin/sh\ncase $1 in +%s) echo 1700000010 ;; *) echo "1700000010 5" ;; esac\n', { mode: 0o755 })
      const env = { PATH: `${folder}:${process.env['PATH'] ?? ''}` }
      const asked = execFileSync('sh', ['-c', journalScript(SERVICE_JOURNAL, 8200).raw], { env, encoding: 'utf8' })
        .split('\n')
        .at(-2)
      expect(asked).toMatch(/ --lines=201 --since=@1700000000 _SYSTEMD_UNIT=keepalived[.]service [+] _PID=1 /)
      expect(asked).not.toContain('PRIORITY=6')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
