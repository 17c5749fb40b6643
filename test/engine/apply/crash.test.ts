/** What a switch leaves behind when it is killed anywhere, and again while it is repaired: the real shell, with every moment kept. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Action } from '../../../src/state/plan.ts'
import { haproxyCfg, INVENTORY, RUN_ID, type ShellCluster, shellCluster } from '../../support/shell-cluster.ts'
import { fingerprint, movedFrom, serverAt, type ShellServer, shellServerLacks } from '../../support/shell-server.ts'
import { unlessLacking } from '../../support/lacking.ts'

let cluster: ShellCluster
/** Nothing is installed yet. */
let bare: ShellServer
/** Deployed once; the wanted state has changed since. */
let old: ShellServer
/** What an undisturbed deploy of that change comes to. */
let wanted: string

const actionsFor = async (server: ShellServer): Promise<readonly Action[]> => {
  const { plan, foreign } = await cluster.plan([server])
  if (foreign.length > 0) throw new Error(`${foreign[0]?.file.path} is taken for somebody else's`)
  return plan.servers[0]?.actions ?? []
}

/** Switches a copy of a server and keeps its state before each command that changes something, where kill -9 may come. */
async function momentsOf(server: ShellServer): Promise<{ readonly moments: ShellServer[]; readonly end: string }> {
  const actions = await actionsFor(server)
  const folder = cluster.emptyFolder()
  const acting = cluster.copy(server)
  expect((await cluster.prepare(acting, actions)).code).toBe(0)
  acting.prelude = `
n=100
moment() { n=$((n+1)); mkdir ${folder}/$n; cp -a ${acting.root} ${folder}/$n/; }
set -T
trap 'case $BASH_COMMAND in mv\\ *|rm\\ *|sysctl\\ *|systemctl\\ start*|systemctl\\ reload*|systemctl\\ enable*|systemctl\\ daemon*|*/record*|*/loaded/*) moment ;; esac' DEBUG`
  const result = await cluster.switch(acting, actions)
  expect(result).toMatchObject({ code: 0 })
  const moments = readdirSync(folder).map(name => movedFrom(acting.root, serverAt(join(folder, name, server.name), server.name)))
  return { moments, end: fingerprint(acting.root) }
}

/** One of each kind of moment. */
function distinct(moments: readonly ShellServer[], more: (server: ShellServer) => string): ShellServer[] {
  return [...new Map(moments.map(server => [`${fingerprint(server.root)}${more(server)}`, server])).values()]
}

describe('a switch that is killed', unlessLacking(shellServerLacks()), () => {
  beforeAll(async () => {
    cluster = shellCluster(['srv-1'])
    const [server] = cluster.servers
    if (server === undefined) throw new Error('no server')
    bare = cluster.copy(server)
    old = server
    await cluster.settle(old)
    cluster.files.set('haproxy.cfg', haproxyCfg('two'))
    cluster.files.set('inventory.yml', INVENTORY.replace('virtual_router_id: 66,', 'virtual_router_id: 66, advert_int: 0.5,'))
    const reference = cluster.copy(old)
    await cluster.settle(reference)
    wanted = fingerprint(reference.root)
  }, 60_000)
  afterAll(() => cluster.remove(), 60_000)

  test('at any moment, and then its repair and so on, ends as wanted after one complete run', async () => {
    const open = [old]
    const seen = new Set([fingerprint(old.root)])
    for (let state = open.shift(); state !== undefined; state = open.shift()) {
      const { moments, end } = await momentsOf(state)
      expect(end).toBe(wanted)
      for (const moment of moments) {
        const key = fingerprint(moment.root)
        if (seen.has(key) || key === wanted) continue
        seen.add(key)
        open.push(moment)
      }
    }
    expect(seen.size).toBeGreaterThan(10)
  }, 60_000)

  test('at any moment is put back: files, record of ownership, and what the services have loaded', async () => {
    const { moments } = await momentsOf(old)
    const begun = distinct(moments, server => server.read(`/var/lib/hactl/runs/${RUN_ID}/previous/record`) ?? '')
    expect(begun.length).toBeGreaterThan(10)
    const before = fingerprint(old.root)
    for (const server of begun) {
      const result = await cluster.restore(server)
      expect(result).toMatchObject({ code: 0 })
      expect(fingerprint(server.root)).toBe(before)
    }
  }, 60_000)

  test('in the first deploy knows its own files, although the inventory has changed since', async () => {
    const { moments } = await momentsOf(bare)
    cluster.files.set('haproxy.cfg', haproxyCfg('three'))
    try {
      // actionsFor throws where a file is taken for a foreign one.
      for (const server of distinct(moments, () => '')) expect(await actionsFor(server)).not.toEqual([])
    } finally {
      cluster.files.set('haproxy.cfg', haproxyCfg('two'))
    }
  }, 60_000)
})
