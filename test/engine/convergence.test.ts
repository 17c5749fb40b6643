/** Hundreds of plans and their results on model servers, with crashes and edits in between. */
import { beforeAll, describe, expect, test, vi } from 'vitest'
import type { LoadedCluster } from '../../src/app/load.ts'
import { HAND_OVER_UNIT, HAPROXY_CFG, HAPROXY_DROPIN, KEEPALIVED_CONF, MANAGED_PATHS, SERVICE_HOOKS } from '../../src/domain/paths.ts'
import type { Playbook } from '../../src/engine/playbook.ts'
import type { Action } from '../../src/state/plan.ts'
import { clusterFor, deployPlaybook, NAMES, planModel, type Wish } from '../support/model-cluster.ts'
import { copyOfModel, lies, type ModelServer, modelServer, stepsOf, textOfModel } from '../support/model-server.ts'

// Hundreds of plans: seconds on a busy machine.
vi.setConfig({ testTimeout: 60_000 })

let playbook: Playbook
beforeAll(async () => {
  playbook = await deployPlaybook()
})

const bare = () => NAMES.map((name, index) => modelServer(name, 11 + index))

function plansFor(loaded: LoadedCluster, servers: readonly ModelServer[]): readonly (readonly [ModelServer, readonly Action[]])[] {
  const { plan, foreign } = planModel(loaded, playbook, servers)
  if (foreign.length > 0) throw new Error(`${foreign[0]?.file.path} is taken for somebody else's`)
  return servers.map(each => [each, plan.servers.find(({ server }) => server === each.name)?.actions ?? []])
}

function actionsFor(loaded: LoadedCluster, servers: readonly ModelServer[], server: ModelServer): readonly Action[] {
  return plansFor(loaded, servers).find(([each]) => each === server)?.[1] ?? []
}

function deploy(loaded: LoadedCluster, servers: readonly ModelServer[]): void {
  for (const [server, actions] of plansFor(loaded, servers)) for (const step of stepsOf(server, actions)) step()
}

/** Everything still to do, and every service that does not run what its files say; empty where the server has converged. */
function leftOver(loaded: LoadedCluster, servers: readonly ModelServer[]): readonly string[] {
  return plansFor(loaded, servers).flatMap(([server, actions]) => [...actions.map(({ id }) => `${server.name} ${id}`), ...lies(server)])
}

/** Deploys to one server but is killed after `steps` steps. Returns whether there were so many. */
function crash(loaded: LoadedCluster, servers: readonly ModelServer[], server: ModelServer, steps: number): boolean {
  return crashIn(actionsFor(loaded, servers, server), server, steps)
}

/** As crash, with the plan made before. */
function crashIn(actions: readonly Action[], server: ModelServer, steps: number): boolean {
  const all = stepsOf(server, actions)
  for (const step of all.slice(0, steps)) step()
  return steps <= all.length
}

describe('a deploy that ends', () => {
  test.for<[string, Wish]>([
    ['fast', { profile: 'fast' }],
    ['classic', { profile: 'classic' }],
    ['of two servers', { servers: ['srv-1', 'srv-2'] }],
    ['of an IPv6 address', { virtual_ipaddress: ['2001:db8::200/64'] }],
    ['with nopreempt', { nopreempt: true }],
  ])('%s leaves nothing to do', async ([, wish]) => {
    const loaded = await clusterFor(wish)
    const servers = bare().filter(({ name }) => loaded.cluster.servers.some(server => server.name === name))
    deploy(loaded, servers)
    expect(leftOver(loaded, servers)).toEqual([])
  })
})

describe('a deploy that changes how long a stop of haproxy waits', () => {
  test.for<[string, Wish, Wish]>([
    ['stop_timeout', { stop_timeout: 20 }, { stop_timeout: 600 }],
    ['reset to keep', { open_connections: 'reset' }, { open_connections: 'keep' }],
    ['keep to reset', { open_connections: 'keep' }, { open_connections: 'reset' }],
  ])('lets systemd read it, and neither restarts nor reloads haproxy or keepalived: %s', async ([, before, wanted]) => {
    const servers = bare()
    deploy(await clusterFor(before), servers)
    const loaded = await clusterFor(wanted)
    for (const [, actions] of plansFor(loaded, servers)) {
      const units = actions.flatMap(action => (action.kind === 'service' ? [{ unit: action.unit, steps: action.steps }] : []))
      expect(units).toEqual([
        { unit: 'haproxy', steps: ['daemon-reload'] },
        { unit: 'keepalived', steps: ['daemon-reload'] },
      ])
      const written = actions.flatMap(action => (action.kind === 'write-file' ? [action.path] : []))
      expect(written).toEqual(expect.arrayContaining([HAND_OVER_UNIT, HAPROXY_DROPIN, SERVICE_HOOKS]))
    }
    deploy(loaded, servers)
    expect(leftOver(loaded, servers)).toEqual([])
  })
})

describe('a deploy that is killed', () => {
  const changes: readonly [string, Wish | undefined, Wish][] = [
    ['a first deploy', undefined, {}],
    ['a new list of addresses', {}, { virtual_ipaddress: ['192.0.2.200/24', '192.0.2.201/24'] }],
    ['classic to fast', { profile: 'classic' }, { profile: 'fast' }],
    ['fast to classic', { profile: 'fast' }, { profile: 'classic' }],
  ]
  test.for(changes)('after any step, and after any step of the next one too, is finished by a third: %s', async ([, before, wanted]) => {
    const loaded = await clusterFor(wanted, '# two\n')
    const start = bare()
    if (before !== undefined) deploy(await clusterFor(before, '# one\n'), start)
    let runs = 0
    // The others are as at the start: what is to do follows from this server alone, and need not be seen twice.
    const finished = new Set<string>()
    for (let first = 0; ; first++) {
      const once = start.map(copyOfModel)
      if (!crash(loaded, once, once[0] as ModelServer, first)) break
      const next = actionsFor(loaded, once, once[0] as ModelServer)
      for (let second = 0; ; second++) {
        const twice = once.map(copyOfModel)
        const server = twice[0] as ModelServer
        if (!crashIn(next, server, second)) break
        runs++
        const state = textOfModel(server)
        if (finished.has(state)) continue
        finished.add(state)
        deploy(loaded, twice)
        expect(leftOver(loaded, twice)).toEqual([])
      }
    }
    expect(runs).toBeGreaterThan(50)
    expect(finished.size).toBeGreaterThan(10)
  })

  test('never leaves an empty plan for a service that runs something else', async () => {
    const loaded = await clusterFor({ advert_int: 0.5 }, '# two\n')
    const start = bare()
    deploy(await clusterFor({}, '# one\n'), start)
    for (let steps = 0; ; steps++) {
      const servers = start.map(copyOfModel)
      const server = servers[0] as ModelServer
      if (!crash(loaded, servers, server, steps)) break
      expect(lies(server).length > 0 && actionsFor(loaded, servers, server).length === 0).toBe(false)
    }
  })
})

describe('random histories', () => {
  test.for(Array.from({ length: 25 }, (_, seed) => seed + 1))(
    'of crashes, hand edits and other inventories end as wanted (seed %i)',
    async seed => {
      const random = randomOf(seed)
      const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
      const wish = (): Wish => ({
        profile: pick(['fast', 'fast', 'classic']),
        virtual_router_id: pick([66, 67]),
        virtual_ipaddress: pick([['192.0.2.200/24'], ['192.0.2.200/24', '192.0.2.201/24'], ['2001:db8::200/64']]),
        advert_int: pick([1, 2]),
      })
      const servers = bare()
      for (let round = 0; round < 6; round++) {
        const loaded = await clusterFor(wish(), `# ${Math.floor(random() * 3)}\n`)
        for (const server of servers) {
          const dice = random()
          if (dice < 0.5) crash(loaded, servers, server, Math.floor(random() * 30))
          else if (dice < 0.9) editByHand(server, pick)
        }
      }
      const loaded = await clusterFor(wish())
      deploy(loaded, servers)
      expect(leftOver(loaded, servers)).toEqual([])
    },
  )
})

/** What an operator may do without hactl; files only where hactl has its own by now. */
function editByHand(server: ModelServer, pick: <T>(list: readonly T[]) => T): void {
  const path = pick(MANAGED_PATHS)
  const unit = pick(['haproxy', 'keepalived'] as const)
  const service = server.services[unit]
  const config = unit === 'haproxy' ? HAPROXY_CFG : KEEPALIVED_CONF
  switch (pick(['edit', 'edit and load', 'remove', 'stop', 'disable', 'reboot'])) {
    case 'edit':
      if (server.owned.has(path) && server.files.has(path)) server.files.set(path, { content: `# by hand ${server.name}\n`, mode: '0600' })
      return
    case 'edit and load':
      if (!server.owned.has(config) || !service.isActive) return
      server.files.set(config, { content: '# by hand\n', mode: '0644' })
      service.loaded = '# by hand\n'
      return
    case 'remove':
      server.files.delete(path)
      return
    case 'stop':
      service.isActive = false
      service.loaded = undefined
      return
    case 'disable':
      service.isEnabled = false
      return
    case 'reboot':
      server.trackers.clear()
      for (const each of Object.values(server.services)) {
        each.isActive = each.isEnabled
        each.loaded = each.isActive
          ? server.files.get(each === server.services.haproxy ? HAPROXY_CFG : KEEPALIVED_CONF)?.content
          : undefined
        each.dropIn = server.files.get(
          `/etc/systemd/system/${each === server.services.haproxy ? 'haproxy' : 'keepalived'}.service.d/hactl.conf`,
        )?.content
      }
  }
}

/** mulberry32: the same seed gives the same history everywhere. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
