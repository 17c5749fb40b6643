import { describe, expect, test } from 'vitest'
import { formerMembers, parseMembers, renderMembers } from '../../src/domain/members.ts'
import { MEMBERS } from '../../src/state/places.ts'
import type { ObservedNode } from '../../src/state/observed.ts'
import { modelServer, observeModel } from '../support/model-server.ts'
import { clusterWith } from './example.ts'

const cluster = (...servers: readonly (readonly [string, string])[]) =>
  clusterWith({}, { servers: servers.map(([name, host]) => ({ name, host })) })

const ONE = ['srv-1', '192.0.2.11'] as const
const TWO = ['srv-2', '192.0.2.12'] as const
const THREE = ['srv-3', '192.0.2.13'] as const

/** A server that was deployed with `list`; its address ends in `number`. */
function remembering(name: string, number: number, list: string): ObservedNode {
  const server = modelServer(name, number)
  server.files.set(MEMBERS, { content: list, mode: '0600' })
  return observeModel(server)
}

const former = (now: ReturnType<typeof cluster>, ...nodes: readonly ObservedNode[]) =>
  formerMembers(now, nodes).map(({ name, host }) => `${name} ${host}`)

describe('the list of members', () => {
  const all = renderMembers(cluster(ONE, TWO, THREE))

  test('is read as it was written, and other lines are ignored', () => {
    expect(parseMembers(all)).toEqual([ONE, TWO, THREE].map(([name, host]) => ({ name, host })))
    expect(parseMembers('# a b\n\nsrv-1\nsrv-1 192.0.2.11 more\n')).toEqual([])
  })

  test('names a server that left the inventory, once', () => {
    const nodes = [remembering('srv-1', 11, all), remembering('srv-2', 12, all)]
    expect(former(cluster(ONE, TWO), ...nodes)).toEqual(['srv-3 192.0.2.13'])
    expect(former(cluster(ONE, TWO, THREE), ...nodes)).toEqual([])
  })

  test('recognizes a server that was renamed, or whose host is written in another way', () => {
    const nodes = [remembering('srv-1', 11, all), observeModel(modelServer('srv-3', 13))]
    expect(former(cluster(ONE, TWO, ['lb-3', '192.0.2.13']), ...nodes)).toEqual([])
    expect(former(cluster(ONE, TWO, ['srv-3', 'lb-3.example.com']), ...nodes)).toEqual([])
    expect(former(cluster(ONE, TWO, ['srv-3', 'lb-3.example.com']), remembering('srv-1', 11, all))).toEqual([])
    expect(former(cluster(ONE, TWO, THREE), remembering('srv-1', 11, 'srv-3 lb-3.example.com\n'))).toEqual([])
  })

  test('distinguishes a machine from another one that took its name', () => {
    const elsewhere = cluster(ONE, TWO, ['srv-3', '192.0.2.33'])
    expect(former(elsewhere, remembering('srv-1', 11, all))).toEqual(['srv-3 192.0.2.13'])
    expect(former(elsewhere, remembering('srv-1', 11, all), observeModel(modelServer('srv-3', 33)))).toEqual(['srv-3 192.0.2.13'])
  })

  test('recognizes a server that is reached by another address than before, also where only some lists have the new one', () => {
    const tunnelled = cluster(ONE, TWO, ['srv-3', '127.0.0.1'])
    expect(former(tunnelled, remembering('srv-1', 11, all), remembering('srv-3', 13, all))).toEqual([])
    expect(former(tunnelled, remembering('srv-1', 11, all), remembering('srv-3', 13, renderMembers(tunnelled)))).toEqual([])
    // What was srv-2 is called srv-3 now: that is not how the old srv-3 is reached.
    const swapped = cluster(ONE, ['srv-3', '192.0.2.12'])
    expect(former(swapped, remembering('srv-1', 11, all), remembering('srv-3', 12, all))).toEqual(['srv-3 192.0.2.13'])
  })
})
