/** What an upgrade would do to model servers, from what apt says it could do. */
import { beforeAll, describe, expect, test } from 'vitest'
import type { LoadedCluster } from '../../../src/app/load.ts'
import { planUpgrade, type UpgradePlan } from '../../../src/engine/operations/upgrade-plan.ts'
import type { UpgradeOutlook } from '../../../src/engine/apply/upgrade.ts'
import type { Playbook } from '../../../src/engine/playbook.ts'
import { clusterFor, deployPlaybook, NAMES, planModel, type Wish } from '../../support/model-cluster.ts'
import { modelServer, observeModel, stepsOf } from '../../support/model-server.ts'

const NOTHING: UpgradeOutlook = { upgrades: [], others: [], removed: [], held: [], started: 'no' }
const newer = (name: string, to: string): UpgradeOutlook => ({ ...NOTHING, upgrades: [{ name, from: '0.1', to }] })

let playbook: Playbook
beforeAll(async () => {
  playbook = await deployPlaybook()
})

/** Plans on servers on which `wish` was deployed, srv-1 holding the address; `then` is what the inventory says now. */
async function planned(outlooks: Readonly<Record<string, UpgradeOutlook>>, wish: Wish = {}, then?: LoadedCluster): Promise<UpgradePlan> {
  const loaded = await clusterFor(wish)
  const servers = NAMES.map((name, index) => modelServer(name, 11 + index))
  const { plan } = planModel(loaded, playbook, servers)
  for (const server of servers)
    for (const step of stepsOf(server, plan.servers.find(entry => entry.server === server.name)?.actions ?? [])) step()
  const observed = new Map(servers.map(server => [server.name, observeModel(server, server.name === 'srv-1' ? ['192.0.2.200'] : [])]))
  return planUpgrade((then ?? loaded).cluster, playbook, observed, new Map(NAMES.map(name => [name, outlooks[name] ?? NOTHING])))
}

const everywhere = (outlook: UpgradeOutlook) => Object.fromEntries(NAMES.map(name => [name, outlook]))
const idsOf = ({ plan }: UpgradePlan) => plan.servers.map(server => server.actions.map(action => action.id))

describe('an upgrade', () => {
  test('replaces the package and starts its service, on one server at a time with the holder last', async () => {
    const upgrade = await planned(everywhere(newer('haproxy', '2.6.99-1')))
    expect(idsOf(upgrade)).toEqual(NAMES.map(() => ['package/haproxy', 'service/haproxy']))
    expect(upgrade.plan).toMatchObject({ waves: [['srv-3'], ['srv-2'], ['srv-1']], outageMs: 0, changeClass: 'local' })
    expect(upgrade.plan.servers[0]?.actions).toEqual([
      expect.objectContaining({ kind: 'install-package', from: '0.1', version: '2.6.99-1', pin: '2.6.99-1' }),
      expect.objectContaining({ kind: 'service', unit: 'haproxy', steps: ['start', 'stamp'] }),
    ])
  })

  test('gives a turn only to servers that need one', async () => {
    const upgrade = await planned({ 'srv-2': newer('keepalived', '1:2.2.99-1') })
    expect(idsOf(upgrade)).toEqual([[], ['package/keepalived', 'service/keepalived'], []])
    expect(upgrade.plan.waves).toEqual([['srv-2']])
  })

  test('has nothing to do where apt has nothing newer', async () => {
    const upgrade = await planned({})
    expect(upgrade.plan).toMatchObject({ waves: [], changeClass: 'none', warnings: [] })
  })

  test('renders the files for the version that will run, and tries every file that a program checks', async () => {
    const wish = { nopreempt: false, advert_int: 0.2 }
    const then = await clusterFor({ ...wish }, '# two\n')
    const upgrade = await planned({ 'srv-3': newer('haproxy', '2.8.1-1') }, wish, then)
    expect(idsOf(upgrade)[2]).toEqual(['package/haproxy', 'file/haproxy.cfg', 'service/haproxy'])
    const trials = upgrade.trials.get('srv-3') ?? []
    expect(trials.map(({ path }) => path)).toEqual(expect.arrayContaining(['/etc/haproxy/haproxy.cfg', '/etc/keepalived/keepalived.conf']))
    expect(trials.find(({ path }) => path.endsWith('haproxy.cfg'))?.after).toMatch(/^# two/)
    // Changes that the other servers need are reported and not made.
    expect(upgrade.plan.warnings).toEqual(
      ['srv-1', 'srv-2'].map(server => expect.stringMatching(new RegExp(`^${server}: nothing to upgrade; .*file/haproxy\\.cfg`))),
    )
  })

  test('of a server that an earlier upgrade left half done starts what must run', async () => {
    const upgrade = await planned({ 'srv-3': { ...newer('keepalived', '1:2.2.99-1'), started: 'drained' } })
    expect(upgrade.plan.warnings).toEqual(['srv-3: an earlier upgrade ended half way; this one finishes it'])
  })

  test('of the classic profile stops keepalived to hand over, and says what that costs', async () => {
    const upgrade = await planned(everywhere(newer('haproxy', '2.6.99-1')), { profile: 'classic' })
    expect(idsOf(upgrade)[0]).toEqual(['package/haproxy', 'service/haproxy', 'service/keepalived'])
    expect(upgrade.plan.outageMs).toBeGreaterThan(0)
  })

  test('is refused where the inventory has changes that all servers need together', async () => {
    const then = await clusterFor({ virtual_ipaddress: ['192.0.2.200/24', '192.0.2.201/24'] })
    await expect(planned(everywhere(newer('haproxy', '2.6.99-1')), {}, then)).rejects.toMatchObject({
      code: 'E_UNHEALTHY',
      fix: expect.stringContaining('hactl deploy first'),
    })
  })

  test('is refused where apt would remove something for it', async () => {
    await expect(planned({ 'srv-2': { ...newer('haproxy', '2.8.1-1'), removed: ['my-haproxy-module'] } })).rejects.toMatchObject({
      code: 'E_PACKAGE_UNAVAILABLE',
      server: 'srv-2',
      message: 'apt would remove my-haproxy-module during the upgrade',
    })
  })

  test('says what is held and what is installed additionally', async () => {
    const upgrade = await planned({ 'srv-1': { ...newer('haproxy', '2.8.1-1'), held: ['keepalived'], others: ['liblua5.4-0 5.4.6-1'] } })
    expect(upgrade.plan.warnings).toEqual([
      'srv-1: keepalived is held by apt-mark and stays as it is',
      'srv-1: apt also installs liblua5.4-0 5.4.6-1',
    ])
  })
})
