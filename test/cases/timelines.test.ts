/** Every fixtures/timelines/*.ndjson is a test: its first line says what the samples below it must be judged as. A new file is a new test. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { judgeDrill } from '../../src/domain/failover/judge.ts'
import type { DrillCase } from '../../src/domain/failover/verdict.ts'
import type { DrillState, Sample } from '../../src/state/drill.ts'

const FOLDER = new URL('../../fixtures/timelines/', import.meta.url)

interface CaseLine {
  readonly kind: 'case'
  readonly situation: string
  readonly about: DrillCase
  /** Parts of the verdict, null for undefined; `codes`: those of its findings, in order. */
  readonly expect: Readonly<Record<string, unknown>>
}

type BeforeLine = DrillState & { readonly kind: 'before' }
type AfterLine = DrillState & { readonly kind: 'after' }
type Line = CaseLine | BeforeLine | AfterLine | Sample

describe.each(readdirSync(FOLDER).filter(name => name.endsWith('.ndjson')))('%s', name => {
  const lines: readonly Line[] = readFileSync(new URL(name, FOLDER), 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  const [first, ...rest] = lines
  if (first?.kind !== 'case') throw new Error(`${name}: the first line must be the case`)
  const before = rest.filter(line => line.kind === 'before')
  const after = rest.filter(line => line.kind === 'after')
  const samples = rest.filter(line => line.kind === 'probe' || line.kind === 'holder' || line.kind === 'mark' || line.kind === 'connection')

  test(`${first.situation}`, () => {
    const { findings, ...verdict } = judgeDrill(first.about, { samples, before, after })
    const seen: Readonly<Record<string, unknown>> = { ...verdict, codes: findings.map(finding => finding.code) }
    const wanted = Object.entries(first.expect)
    expect(wanted.length).toBeGreaterThan(0)
    expect(Object.fromEntries(wanted.map(([key]) => [key, seen[key] ?? null]))).toEqual(first.expect)
  })
})
