/** What a look may be answered with from memory. The looks here are functions that say what they saw; the servers are folders. */
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { sh } from '../../src/shell/sh.ts'
import { rememberedLook } from './remembered-looks.ts'
import { tempFolder } from './temp-folder.ts'

const RUN = '20260101T000000Z-000001'
const OTHER_RUN = '20260102T000000Z-0000ff'
const LOCK = 'var/lib/hactl/lock'

describe('a look', () => {
  const folder = tempFolder()
  let folders = 0
  let first: string
  let real: number
  const write = (root: string, path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  /** A server that no other test has, with a lock of that run. */
  const serverOf = (run: string, name = `server of ${folders}`) => {
    const root = join(folder(), `${folders++}`, 'srv-1')
    write(root, 'etc/name', name)
    write(root, `${LOCK}/info`, `id ${run}\n`)
    write(root, `${LOCK}/beat`, '')
    return root
  }
  const look = async (root: string, said = '', { script = sh`true`, meanwhile = () => {} } = {}) => {
    const { stdout } = await rememberedLook(root, script, async () => {
      real++
      meanwhile()
      return { code: 0, stdout: said, stderr: '', durationMs: 1 }
    })
    return stdout
  }
  beforeEach(() => {
    real = 0
    first = serverOf(RUN)
  })

  test('gets the answer of an earlier one at the same state', async () => {
    await look(first, 'seen\n')
    expect(await look(first, 'never said')).toBe('seen\n')
    expect(real).toBe(1)
  })

  test.for<[string, (root: string) => void]>([
    ['a file', root => write(root, 'etc/name', 'another')],
    ['a file of hactl', root => write(root, `${LOCK}/info`, 'id other\n')],
    ['what keepalived answered last', root => write(root, 'tmp/keepalived.json', '[]')],
    [
      'the services of another server',
      root => ['haproxy', 'keepalived'].forEach(unit => write(root, `../srv-2/world/units/${unit}/active`, '')),
    ],
  ])('is real again once %s has changed', async ([, change]) => {
    await look(first, 'before')
    change(first)
    expect(await look(first, 'after')).toBe('after')
  })

  test('is real where the script is another one', async () => {
    await look(first, 'one')
    expect(await look(first, 'two', { script: sh`false` })).toBe('two')
  })

  test('is not remembered where something changed the server meanwhile', async () => {
    await look(first, 'before', { meanwhile: () => write(first, 'etc/new', '') })
    expect(await look(first, 'after')).toBe('after')
    write(first, 'etc/name', 'as it is now')
    await look(first, 'third')
    expect(await look(first, 'fourth')).toBe('third')
  })

  test('is answered in the names of the runs that this server knows', async () => {
    const second = serverOf(OTHER_RUN, `server of ${folders - 1}`)
    await look(first, `id ${RUN}\n`)
    expect(await look(second, 'never said')).toBe(`id ${OTHER_RUN}\n`)
    expect(real).toBe(1)
  })

  test('is answered with the age that the lock has now', async () => {
    await look(first, '@@begin lock\nage 0\n')
    const then = Date.now() / 1000 - 1000
    utimesSync(join(first, LOCK, 'beat'), then, then)
    const [, age] = /^age (\d+)$/m.exec(await look(first)) ?? []
    expect(Number(age)).toBeGreaterThanOrEqual(999)
    expect(real).toBe(1)
  })

  test('is answered with the time that it is now', async () => {
    await look(first, 'clock 5 0\n')
    const [, seconds] = /^clock (\d+) \d+$/m.exec(await look(first)) ?? []
    expect(Number(seconds)).toBeGreaterThan(1000)
  })
})
