import { expect, test } from 'vitest'
import { renderError } from '../../../src/cli/view/error.ts'
import { styleFor } from '../../../src/cli/view/style.ts'
import { HactlError } from '../../../src/errors.ts'

const view = { columns: 80, verbose: false, style: styleFor(false) }

test('a long first line is wrapped on a terminal and keeps its code', () => {
  const text = renderError(new HactlError({ code: 'E_GATE', what: 'word '.repeat(30).trim(), fix: 'x' }), view)
  const lines = text.split('\n')
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80)
  expect(text).toContain('[E_GATE]')
  expect(text.replaceAll(/\s+/g, ' ')).toBe(`${'word '.repeat(30)}[E_GATE] fix x `)
})

test('a command to copy stays in one line where the output goes to a file', () => {
  const fix = `ssh-copy-id ${'deploy@198.51.100.12 '.repeat(8)}`.trim()
  const text = renderError(new HactlError({ code: 'E_SSH_AUTH', what: 'refused', fix }), { ...view, columns: Number.POSITIVE_INFINITY })
  expect(text).toContain(fix)
})

test('several reasons have one label', () => {
  expect(renderError(new HactlError({ code: 'E_GATE', what: 'x', why: ['one', 'two'] }), view)).toBe(
    `x${' '.repeat(70)}[E_GATE]\n  why   one\n        two\n`,
  )
})

test('text from a server cannot move the cursor', () => {
  const text = renderError(new HactlError({ code: 'E_GATE', what: 'said \u001B[2J', why: ['\u001B]0;x\u0007'] }), view)
  expect(text).not.toContain('\u001B')
  expect(text).toContain('said \\x1b[2J')
})

test('--verbose shows the chain of causes', () => {
  const root = new Error('read ECONNRESET')
  const error = new HactlError({ code: 'E_CONNECTION_LOST', what: 'lost', cause: new Error('exec failed', { cause: root }) })
  expect(renderError(error, view)).not.toContain('ECONNRESET')
  const verbose = renderError(error, { ...view, verbose: true })
  expect(verbose).toContain('cause Error: exec failed')
  expect(verbose).toContain('cause Error: read ECONNRESET')
})
