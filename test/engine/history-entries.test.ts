import { describe, expect, test } from 'vitest'
import { chooseEntry, mergeEntries } from '../../src/engine/history-entries.ts'
import { parseHistory, parseSnapshot, type RecordedEntry } from '../../src/engine/history.ts'
import { HactlError } from '../../src/errors.ts'

const entry = (id: string, changed: readonly string[] = ['file/haproxy.cfg']): RecordedEntry => ({
  id,
  owner: 'ops@desk',
  command: 'deploy',
  cluster: 'edge',
  source: 'inventory.yml 0123',
  changed,
  files: [],
})

const OLD = '20261101T100000Z-aaaaaa'
const MIDDLE = '20261102T100000Z-bbbbbb'
const NEW = '20261102T100001Z-aaaaaa'

describe('the history of several servers', () => {
  const merged = mergeEntries(
    new Map([
      ['srv-1', [entry(OLD), entry(MIDDLE), entry(NEW)]],
      ['srv-2', [entry(OLD), entry(NEW, ['package/haproxy'])]],
    ]),
  )

  test('is one list, newest first, with the servers that each run changed', () => {
    expect(merged.map(({ id, servers }) => [id, servers.map(server => server.name)])).toEqual([
      [NEW, ['srv-1', 'srv-2']],
      [MIDDLE, ['srv-1']],
      [OLD, ['srv-1', 'srv-2']],
    ])
    expect(merged[0]?.servers[1]?.changed).toEqual(['package/haproxy'])
  })

  test('gives the entry before the newest where none is named', () => {
    expect(chooseEntry(merged, undefined)).toBe(MIDDLE)
  })

  test('accepts the beginning of an id, and refuses one that fits several ids', () => {
    expect(chooseEntry(merged, '20261101')).toBe(OLD)
    expect(() => chooseEntry(merged, '20261102')).toThrow('2 entries')
  })

  test('says that there is nothing to go back to', () => {
    expect(() => chooseEntry([], undefined)).toThrow(HactlError)
    expect(() => chooseEntry(merged.slice(0, 1), undefined)).toThrow('only one entry')
    expect(() => chooseEntry(merged, '2019')).toThrow('no entry 2019')
  })
})

test('entries that are damaged or from a later version are left out of the history', () => {
  const good = JSON.stringify({ version: 1, ...entry(OLD) })
  const later = JSON.stringify({ version: 2, ...entry(NEW) })
  expect(parseHistory('srv-1', `${good}\n{"version":1,"id"\n${later}\n\n`).map(({ id }) => id)).toEqual([OLD])
})

describe('a snapshot', () => {
  const text = 'global\n    # ünïcode\n'
  const line = `file 640 root haproxy /etc/haproxy/haproxy.cfg ${Buffer.from(text).toString('base64')}`

  test('is read with modes as four digits and contents as they were', () => {
    expect(parseSnapshot(`entry ${OLD}\n${line}\n@@end\n`)).toEqual({
      id: OLD,
      files: [{ path: '/etc/haproxy/haproxy.cfg', mode: '0640', owner: 'root', group: 'haproxy', content: text }],
      lost: [],
    })
  })

  test('is not accepted when its end is missing', () => {
    expect(parseSnapshot(`entry ${OLD}\n${line}\n`)).toBeUndefined()
  })

  test('of a server without an entry that old has no id', () => {
    expect(parseSnapshot('@@end\n')).toEqual({ id: undefined, files: [], lost: [] })
  })
})

test('an entry comes with the checksums of the files that hactl owned after it', () => {
  const [one, two] = [`${'a'.repeat(64)}  /etc/haproxy/haproxy.cfg`, `${'b'.repeat(64)}  /etc/keepalived/keepalived.conf`]
  const lines = [JSON.stringify({ version: 1, ...entry(OLD) }), one, two, JSON.stringify({ version: 1, ...entry(NEW) }), two, 'no checksum']
  expect(
    parseHistory('srv-1', `${lines.join('\n')}\n`).map(({ id, files }) => [id, files.map(({ path, sha256 }) => `${sha256[0]} ${path}`)]),
  ).toEqual([
    [OLD, ['a /etc/haproxy/haproxy.cfg', 'b /etc/keepalived/keepalived.conf']],
    [NEW, ['b /etc/keepalived/keepalived.conf']],
  ])
})
