import { describe, expect, test } from 'vitest'
import { child, listOf, parseKeepalivedConf, valueOf } from '../../../src/domain/keepalived/parse.ts'

describe('keepalived.conf as a tree', () => {
  test('keeps words, blocks and their line numbers', () => {
    const { nodes, problems } = parseKeepalivedConf('global_defs {\n  router_id lb\n}\nvrrp_instance VRRP1 {\n  priority 100\n}\n')
    expect(problems).toEqual([])
    expect(nodes).toEqual([
      { line: 1, words: ['global_defs'], children: [{ line: 2, words: ['router_id', 'lb'], children: undefined }] },
      { line: 4, words: ['vrrp_instance', 'VRRP1'], children: [{ line: 5, words: ['priority', '100'], children: undefined }] },
    ])
  })

  test('leaves out comments of both kinds, also behind words', () => {
    const { nodes } = parseKeepalivedConf('! all of it\n# and this\npriority 100 # not this\nstate MASTER ! nor this\n')
    expect(nodes.map(n => n.words)).toEqual([
      ['priority', '100'],
      ['state', 'MASTER'],
    ])
  })

  test('holds quoted words together, comment characters and all', () => {
    const { nodes } = parseKeepalivedConf('script "/bin/check #1 {x}"\nnotify \'a b\'\n')
    expect(nodes.map(n => n.words)).toEqual([
      ['script', '/bin/check #1 {x}'],
      ['notify', 'a b'],
    ])
  })

  test('accepts a brace on a line of its own, and several blocks on one line', () => {
    const { nodes, problems } = parseKeepalivedConf('vrrp_instance A\n{\n virtual_ipaddress { 192.0.2.200 }\n}\n')
    expect(problems).toEqual([])
    expect(nodes).toHaveLength(1)
    expect(listOf(nodes[0], 'virtual_ipaddress').map(n => n.words)).toEqual([['192.0.2.200']])
  })

  test('names braces that do not match, by line', () => {
    expect(parseKeepalivedConf('a {\n b 1\n').problems).toEqual([{ line: 1, message: 'the block opened here is never closed' }])
    expect(parseKeepalivedConf('a {\n}\n}\n').problems).toEqual([{ line: 3, message: 'a closing brace without an open block' }])
    expect(parseKeepalivedConf('script "x\n').problems).toEqual([{ line: 1, message: 'a quote is opened and not closed on this line' }])
  })

  test('reports included files', () => {
    expect(parseKeepalivedConf('include /etc/keepalived/conf.d/*.conf\n').includes).toEqual([
      { line: 1, path: '/etc/keepalived/conf.d/*.conf' },
    ])
  })

  test('finds children and their values', () => {
    const [instance] = parseKeepalivedConf('vrrp_instance A {\n priority 7\n nopreempt\n}\n').nodes
    expect(valueOf(instance, 'priority')).toBe('7')
    expect(child(instance, 'nopreempt')?.line).toBe(3)
    expect(valueOf(instance, 'advert_int')).toBeUndefined()
  })
})
