import { describe, expect, test } from 'vitest'
import { haproxyWords, parseBindAddress, parseHaproxySections, readBinds } from '../../../src/domain/haproxy/read.ts'

describe('words of a line', () => {
  test.for([
    ['  bind :80  # comment', ['bind', ':80']],
    ['http-request set-header X "a b # c"', ['http-request', 'set-header', 'X', 'a b # c']],
    ["acl x path 'it\\s'", ['acl', 'x', 'path', 'it\\s']],
    ['acl x path a\\ b\\#c', ['acl', 'x', 'path', 'a b#c']],
    ['# nothing', []],
  ] as const)('%s', ([line, words]) => {
    expect(haproxyWords(line)).toEqual(words)
  })
})

describe('the mode of a section', () => {
  const modes = (text: string) => Object.fromEntries(parseHaproxySections(text).map(s => [s.name ?? s.kind, s.mode]))

  test('is its own, else that of the defaults before it, else tcp', () => {
    expect(modes('frontend a\ndefaults\n mode http\nfrontend b\nfrontend c\n mode tcp\ndefaults\nfrontend d\n')).toEqual({
      a: 'tcp',
      defaults: 'tcp',
      b: 'http',
      c: 'tcp',
      d: 'tcp',
    })
  })

  test('is that of the defaults it names', () => {
    expect(modes('defaults web\n mode http\ndefaults db\n mode tcp\nfrontend a from web\nfrontend b\n')).toMatchObject({
      a: 'http',
      b: 'tcp',
    })
  })
})

describe('a bind address', () => {
  test.for([
    [':80', undefined, 80],
    ['*:80', undefined, 80],
    ['0.0.0.0:80', undefined, 80],
    ['[::]:443', undefined, 443],
    [':::443', undefined, 443],
    ['ipv4@192.0.2.1:80', '192.0.2.1', 80],
    ['[2001:DB8::1]:80', '2001:db8::1', 80],
    [':8000-8010', undefined, 8000],
  ] as const)('%s', ([text, address, port]) => {
    expect(parseBindAddress(text)).toMatchObject({ address, port })
  })

  test.for(['/run/x.sock', 'unix@/run/x.sock', 'fd@3', ':0', 'abns@x'])('%s gives none', text => {
    expect(parseBindAddress(text)).toBeUndefined()
  })
})

test('binds of frontend and listen sections are found, several on one line, and nothing else', () => {
  const text =
    'global\n stats socket :9999\nlisten a\n mode http\n bind 127.0.0.1:1,192.0.2.1:2 ssl crt x\nbackend b\n server s 192.0.2.9:3\nfrontend c\n bind 192.0.2.200:4 transparent\n'
  expect(readBinds(text).map(b => [b.section, b.address, b.port, b.loopback, b.mode, b.ssl, b.transparent])).toEqual([
    ['a', '127.0.0.1', 1, true, 'http', true, false],
    ['a', '192.0.2.1', 2, false, 'http', true, false],
    ['c', '192.0.2.200', 4, false, 'tcp', false, true],
  ])
})
