import { expect, test } from 'vitest'
import { parseDrill } from '../../src/engine/drill-file.ts'
import { HactlError } from '../../src/errors.ts'

const vocabulary = { disturbances: ['stop-haproxy'], events: ['haproxy-stop'] }
const GOOD = `drill: my-drill
version: 1
title: HAProxy is stopped
disturb: stop-haproxy
on: holder
expect: { taker: next, holders: 1, event: haproxy-stop }
destructive: false
`

function faultsOf(text: string): readonly string[] {
  try {
    parseDrill(text, 'my-drill.yml', vocabulary)
  } catch (error) {
    if (error instanceof HactlError && error.code === 'E_PLAYBOOK_INVALID') return error.why
    throw error
  }
  return []
}

test('a drill file is read: what is disturbed where, and what must be seen', () => {
  expect(parseDrill(GOOD, 'my-drill.yml', vocabulary)).toEqual({
    name: 'my-drill',
    title: 'HAProxy is stopped',
    disturb: 'stop-haproxy',
    on: 'holder',
    expect: { taker: 'next', holders: 1, event: 'haproxy-stop' },
    destructive: false,
  })
})

test.each([
  { why: 'an unknown key', text: `${GOOD}shell: rm -rf /\n`, fault: /^line 8: shell: unknown key; known: drill, / },
  { why: 'an unknown key inside', text: GOOD.replace('taker:', 'takes:'), fault: /^line 6: expect\.takes: unknown key/ },
  {
    why: 'an unknown disturbance',
    text: GOOD.replace('stop-haproxy', 'format-disk'),
    fault: /^line 4: disturb: must be one of: stop-haproxy$/,
  },
  {
    why: 'an unknown event',
    text: GOOD.replace('event: haproxy-stop', 'event: full-moon'),
    fault: /^line 6: expect\.event: must be one of/,
  },
  {
    why: 'text for a number',
    text: GOOD.replace('holders: 1', 'holders: "1"'),
    fault: /^line 6: expect\.holders: must be one of: 1, 2, either$/,
  },
  { why: 'another version', text: GOOD.replace('version: 1', 'version: 2'), fault: /^line 2: version: must be one of: 1$/ },
  { why: 'a name that is no word', text: GOOD.replace('my-drill', '"../x"'), fault: /^line 1: drill: a name/ },
  { why: 'a title of two lines', text: GOOD.replace('HAProxy is stopped', '"two\\nlines"'), fault: /^line 3: title: one line/ },
  { why: 'a key that stands twice', text: `${GOOD}on: holder\n`, fault: /^line 8: .*twice/ },
  { why: 'a list instead of a mapping', text: '- 1\n', fault: /a mapping with the keys drill, / },
  { why: 'nothing at all', text: '', fault: /a mapping with the keys drill, / },
])('$why is refused with its place', ({ text, fault }) => {
  expect(faultsOf(text)).toContainEqual(expect.stringMatching(fault))
})

test('all faults are reported at once', () => {
  expect(faultsOf('drill: x\n').length).toBeGreaterThanOrEqual(5)
})
