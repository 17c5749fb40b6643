import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseProbe } from '../../src/engine/observe/parse.ts'
import { HactlError } from '../../src/errors.ts'
import { parseYaml } from '../../src/yaml.ts'
import { PROBE_REQUEST } from '../support/probe-request.ts'

const folder = join(import.meta.dirname, '../../fixtures/probes')
const names = readdirSync(folder).flatMap(name => (name.endsWith('.txt') ? [name.slice(0, -4)] : []))
const answerOf = (name: string) => readFileSync(join(folder, `${name}.txt`), 'utf8')

interface ProbeCase {
  readonly expect?: Record<string, unknown>
  readonly error?: string
  readonly why?: string
}

function expectedOf(name: string): ProbeCase {
  const { value, problems } = parseYaml(readFileSync(join(folder, `${name}.yml`), 'utf8'))
  if (problems.length > 0) throw new Error(`${name}.yml: ${problems[0]?.message}`)
  return withUndefined(value) as ProbeCase
}

/** YAML has null where our values have undefined. */
function withUndefined(value: unknown): unknown {
  if (value === null) return undefined
  if (Array.isArray(value)) return value.map(withUndefined)
  return typeof value === 'object' ? Object.fromEntries(Object.entries(value).map(([key, below]) => [key, withUndefined(below)])) : value
}

function outcomeOf(text: string): unknown {
  try {
    return parseProbe('srv-1', text, PROBE_REQUEST)
  } catch (error) {
    if (!(error instanceof HactlError)) throw error
    return error
  }
}

describe('every answer in fixtures/probes', () => {
  test.for(names)('%s is read as its .yml says', name => {
    const { error, why, expect: facts } = expectedOf(name)
    expect(outcomeOf(answerOf(name))).toMatchObject(error === undefined ? { ...facts } : { code: error, server: 'srv-1', why: [why] })
  })

  // Every byte of the short ones; in the long ones, which are made of the same lines, every 37th and the end.
  test.for(names.filter(name => expectedOf(name).error === undefined))(
    '%s is refused where it is cut off at any byte, and never read as something absent',
    name => {
      const whole = answerOf(name)
      const closing = whole.lastIndexOf('@@end all') + '@@end all'.length
      const step = whole.length > 4000 ? 37 : 1
      for (let end = 0; end < closing; end += step) expect(outcomeOf(whole.slice(0, end))).toMatchObject({ code: 'E_PROBE_CUT' })
      for (let end = closing - 200; end < closing; end++) expect(outcomeOf(whole.slice(0, end))).toMatchObject({ code: 'E_PROBE_CUT' })
    },
  )
})

test('an empty answer is not taken for a server without anything', () => {
  expect(outcomeOf('')).toMatchObject({ code: 'E_PROBE_CUT', why: ['the closing mark is missing'] })
})

test('the output of a login shell before the answer is ignored', () => {
  expect(outcomeOf(`Welcome!\n${answerOf('fast-backup')}`)).toEqual(outcomeOf(answerOf('fast-backup')))
})
