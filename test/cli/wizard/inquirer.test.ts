import { PassThrough } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { createPrompter } from '../../../src/cli/wizard/inquirer.ts'
import type { Prompter } from '../../../src/cli/wizard/prompter.ts'

/** A person at the terminal, who types when the screen shows the awaited text. */
function terminal() {
  const input = new PassThrough()
  const output = new PassThrough()
  const controller = new AbortController()
  let screen = ''
  const waiting: { readonly text: string; readonly keys: string }[] = []
  output.on('data', (chunk: Buffer) => {
    screen += stripVTControlCharacters(chunk.toString('utf8'))
    const next = waiting[0]
    if (next === undefined || !screen.includes(next.text)) return
    waiting.shift()
    screen = ''
    // The question listens only once it is on the screen.
    setImmediate(() => input.write(next.keys))
  })
  return {
    prompter: createPrompter({ input, output, signal: controller.signal }),
    controller,
    when: (text: string, keys: string) => waiting.push({ text, keys }),
    shown: () => screen,
  }
}

test('a refused answer is asked for again, with the reason', async () => {
  const { prompter, when } = terminal()
  when('Virtual address', 'x\r')
  when('not an address', '\u0015192.0.2.200\r')
  const answer = await prompter.input({
    message: 'Virtual address',
    problem: text => (text === '192.0.2.200' ? undefined : 'not an address'),
  })
  expect(answer).toBe('192.0.2.200')
})

test('Enter takes the default of a yes/no question', async () => {
  const { prompter, when } = terminal()
  when('Apply these changes?', '\r')
  expect(await prompter.confirm({ message: 'Apply these changes?', fallback: false })).toBe(false)
})

test('a choice gives its value', async () => {
  const { prompter, when } = terminal()
  when('second', '\u001B[B\r')
  const choices = [
    { value: 'a', label: 'first' },
    { value: 'b', label: 'second' },
  ]
  expect(await prompter.select({ message: 'Which?', choices, fallback: 'a' })).toBe('b')
})

test('a password is never shown on the screen', async () => {
  const { prompter, when, shown } = terminal()
  when('sudo password', 'hunter2\r')
  expect(await prompter.password({ message: 'sudo password' })).toBe('hunter2')
  expect(shown()).not.toContain('hunter2')
})

test('Ctrl+C at a question is an interrupt', async () => {
  const { prompter, when } = terminal()
  when('Apply', '\u0003')
  await expect(prompter.confirm({ message: 'Apply?', fallback: false })).rejects.toMatchObject({ code: 'E_INTERRUPTED' })
})

test.for([
  ['a yes/no question', (prompter: Prompter) => prompter.confirm({ message: 'Apply?', fallback: false })],
  ['a password', (prompter: Prompter) => prompter.password({ message: 'Apply?' })],
  ['a text', (prompter: Prompter) => prompter.input({ message: 'Apply?', problem: () => undefined })],
] as const)('Ctrl+D at %s is an interrupt too', async ([, ask]) => {
  const { prompter, when } = terminal()
  when('Apply', '\u0004')
  await expect(ask(prompter)).rejects.toMatchObject({ code: 'E_INTERRUPTED' })
})

test('a signal ends the question that is open', async () => {
  const { prompter, controller } = terminal()
  const asked = prompter.confirm({ message: 'Apply?', fallback: false })
  controller.abort('SIGTERM')
  await expect(asked).rejects.toMatchObject({ code: 'E_INTERRUPTED' })
})
