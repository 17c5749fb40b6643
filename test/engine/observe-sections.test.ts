import { expect, test } from 'vitest'
import { probeScript } from '../../src/engine/observe/script.ts'
import { PROBE_REQUEST } from '../support/probe-request.ts'

// Written in one of two places, never in both.
const EITHER_OR = ['nft']

test('no two sections of a look at a server have the same name: the later would replace the earlier', () => {
  const names = [...probeScript(PROBE_REQUEST, 1).raw.matchAll(/^ *b ([a-z0-9-]+)$/gm)].map(match => match[1] ?? '')
  expect(names.length).toBeGreaterThan(15)
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual(EITHER_OR)
})
