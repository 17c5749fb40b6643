import { expect, test } from 'vitest'
import { probeScript } from '../../src/engine/observe/script.ts'
import { PROBE_REQUEST } from '../support/probe-request.ts'

// Written in one of two places, never in both.
const EITHER_OR = ['nft']

test('no two sections of the look at a server have one name: the later would stand for both', () => {
  const names = [...probeScript(PROBE_REQUEST).raw.matchAll(/^ *b ([a-z0-9-]+)$/gm)].map(match => match[1] ?? '')
  expect(names.length).toBeGreaterThan(15)
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual(EITHER_OR)
})
