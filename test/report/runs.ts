/** Runs to make reports of: the timelines of fixtures/timelines, judged, with a journal. */
import { readdirSync, readFileSync } from 'node:fs'
import { judgeDrill } from '../../src/domain/failover/judge.ts'
import type { DrillAccount, FailoverRun } from '../../src/report/record.ts'
import { brokenOffVerdict, refusedVerdict } from '../../src/domain/failover/unjudged.ts'
import type { DrillCase } from '../../src/domain/failover/verdict.ts'
import { HactlError } from '../../src/errors.ts'
import type { DrillState, Sample, ServerJournal } from '../../src/state/drill.ts'

const FOLDER = new URL('../../fixtures/timelines/', import.meta.url)

export const TIMELINES: readonly string[] = readdirSync(FOLDER)
  .filter(name => name.endsWith('.ndjson'))
  .map(name => name.replace('.ndjson', ''))

type Line =
  | { readonly kind: 'case'; readonly situation: string; readonly about: DrillCase }
  | (DrillState & { readonly kind: 'before' })
  | (DrillState & { readonly kind: 'after' })
  | Sample

/** A fixture as a drill that was carried out. */
export function accountOf(name: string, over: Partial<DrillAccount> = {}): DrillAccount {
  const lines: readonly Line[] = readFileSync(new URL(`${name}.ndjson`, FOLDER), 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  const [first, ...rest] = lines
  if (first?.kind !== 'case') throw new Error(`${name}: the first line must be the case`)
  const samples = rest.filter(line => line.kind !== 'case' && line.kind !== 'before' && line.kind !== 'after')
  const before = rest.filter(line => line.kind === 'before')
  const after = rest.filter(line => line.kind === 'after')
  return {
    title: first.situation,
    verdict: judgeDrill(first.about, { samples, before, after }),
    about: first.about,
    asked: `http://${first.about.vip}:80/`,
    samples,
    journals: [],
    ...over,
  }
}

export function refusedAccount(): DrillAccount {
  return {
    title: 'HAProxy is stopped on the server that holds the address',
    verdict: refusedVerdict({ drill: 'haproxy-stop', vip: '198.51.100.200' }, ['srv-2: haproxy is not active']),
    about: undefined,
    asked: 'http://198.51.100.200:80/',
    samples: [],
    journals: [],
  }
}

/** A drill whose undo could not be confirmed: what was seen until `endMs` of the timeline. */
export function brokenOffAccount(name: string, endMs: number): DrillAccount {
  const whole = accountOf(name)
  const samples = whole.samples.filter(sample => (sample.kind === 'probe' ? sample.sentMs : sample.atMs) < endMs)
  if (whole.about === undefined) throw new Error(`${name} has no case`)
  const fault = new HactlError({
    code: 'E_UNDO_FAILED',
    what: 'haproxy could not be started',
    fix: 'on srv-1, as root: systemctl start haproxy',
  })
  return { ...whole, samples, verdict: brokenOffVerdict(whole.about, samples, fault) }
}

/** 14:00:00 UTC on a day in 2026. */
export const NOON = 1_767_276_000_000

/** srv-1 of the fixtures was 500 s up when the samples' axis began, srv-2 90 s. */
export function journalOf(server: string, lines: readonly (readonly [atMs: number, source: string, message: string])[]): ServerJournal {
  const uptimeMs = server === 'srv-1' ? 500_000 : 90_000
  return {
    server,
    lines: lines.map(([atMs, source, message]) => ({ atMs: NOON + atMs, source, message })),
    isCut: false,
    bootedAtMs: NOON - uptimeMs,
    problem: undefined,
  }
}

export function runOf(drills: readonly DrillAccount[], over: Partial<FailoverRun> = {}): FailoverRun {
  return {
    hactl: '1.2.3',
    cluster: 'edge',
    servers: ['srv-1', 'srv-2', 'srv-3'],
    beganAt: '2026-01-01T14:00:00.000Z',
    endedAt: '2026-01-01T14:00:31.250Z',
    maxOutageMs: 8480,
    exit: drills.some(drill => drill.verdict.verdict !== 'passed') ? 7 : 0,
    problems: [],
    drills,
    ...over,
  }
}

/** What an attacker who can write log lines may put into a journal. */
export const HOSTILE: readonly string[] = [
  '</script><script>window.pwned = 1</script>',
  '<img src=x onerror="window.pwned = 1">',
  '"><svg onload=window.pwned=1>',
  ']]></system-out><failure message="forged"/>',
  '``` end of the fence\n# a heading | a cell',
  '\u001B[2J\u001B]0;title\u0007 a terminal \u0000 \u0085 \u202Egnp.exe \uD800 \uFFFF',
  `${'x'.repeat(10_000)}`,
  'auth_pass s3cr3t-one and password=s3cr3t-two at http://ops:s3cr3t-three@192.0.2.1/',
]

/** A drill whose every text that a server can choose is hostile. */
export function hostileAccount(): DrillAccount {
  const account = accountOf('classic')
  return {
    ...account,
    title: HOSTILE[0] ?? '',
    samples: account.samples.map(sample => (sample.kind === 'probe' && !sample.ok ? { ...sample, error: HOSTILE[1] } : sample)),
    verdict: { ...account.verdict, notes: [...HOSTILE] },
    journals: [
      journalOf(
        'srv-1',
        HOSTILE.map((message, i) => [1000 + i, HOSTILE[2] ?? '', message]),
      ),
      { ...journalOf('srv-2', []), problem: HOSTILE[0] },
    ],
  }
}
