import { describe, expect, test } from 'vitest'
import { parsePlaybook } from '../../src/engine/playbook.ts'
import { HactlError } from '../../src/errors.ts'
import { clusterFor, deployPlaybook, planModel } from '../support/model-cluster.ts'
import { modelServer } from '../support/model-server.ts'
import { FIREWALL_SCRIPT, FIREWALL_UNIT, MANAGED_PATHS } from '../../src/domain/paths.ts'

const stage = { stage: 'configure', rollout: 'master-last', tasks: ['file/haproxy.cfg'], gates: ['vip-answers'] }
const playbook = (more: Record<string, unknown>, base: Record<string, unknown> = stage) => ({
  playbook: 'deploy',
  version: 1,
  stages: [{ ...base, ...more }],
})

function problemsOf(value: unknown): readonly string[] {
  try {
    parsePlaybook(value, 'p.yml')
  } catch (error) {
    if (error instanceof HactlError && error.code === 'E_PLAYBOOK_INVALID') return error.why
    throw error
  }
  return []
}

describe('a playbook', () => {
  test.for([
    ['a word it does not know', playbook({ when: 'always' }), ['stages[0]: unknown key "when"']],
    ['a gate it does not know', playbook({ gates: ['vip-answer'] }), [expect.stringContaining('unknown gate "vip-answer"')]],
    ['one gate that is not in a list', playbook({ gates: 'vip-answers' }), ['stages[0].gates: a list of gates is needed']],
    ['another pace', playbook({ rollout: 'serial' }), ['stages[0].rollout: parallel or master-last']],
    ['a task twice', playbook({ tasks: ['file/a', 'file/a'] }), ['stages[0].tasks: file/a is listed twice']],
    ['tasks that are no list', playbook({ tasks: 'file/a' }), ['stages[0].tasks: a list of resource ids is needed']],
    [
      'a package where servers change one by one',
      playbook({ tasks: ['package/haproxy'] }),
      ['stages[0].tasks: package/haproxy: packages are installed in parallel, and everything else is settled master-last'],
    ],
    [
      'a file where all servers are prepared',
      playbook({ rollout: 'parallel' }),
      ['stages[0].tasks: file/haproxy.cfg: packages are installed in parallel, and everything else is settled master-last'],
    ],
    [
      'a second stage that would do it all again',
      { ...playbook({}), stages: [stage, { ...stage, tasks: ['file/keepalived.conf'] }] },
      ['stages[1].tasks: stages[0] settles the rest already'],
    ],
    ['no stages', { playbook: 'deploy', version: 1, stages: [] }, ['stages: a list with at least one stage is needed']],
    ['another version', { ...playbook({}), version: 2 }, ['version: only 1 is known']],
    ['a list for a mapping', [], ['the file is not a mapping']],
  ] as const)('with %s is refused', ([, value, problems]) => {
    expect(problemsOf(value)).toEqual(problems)
  })

  test('with several mistakes is refused once, with all of them', () => {
    expect(problemsOf({ stages: [{ tasks: 1 }], more: 1 })).toHaveLength(6)
  })
})

test('a resource that no stage settles is refused', async () => {
  const shipped = await deployPlaybook()
  const without = shipped.stages.map(one => ({ ...one, tasks: one.tasks.filter(task => task !== 'service/keepalived') }))
  const cluster = await clusterFor({})
  expect(() => planModel(cluster, { ...shipped, stages: without }, [modelServer('srv-1', 11)])).toThrow(
    expect.objectContaining({ code: 'E_PLAYBOOK_INVALID', why: ['no stage settles service/keepalived'] }),
  )
})

describe('the playbook that hactl ships', () => {
  test.for(['fast', 'classic'] as const)('names every resource of the %s profile, and none that is in neither', async profile => {
    const shipped = await deployPlaybook()
    const { plan } = planModel(await clusterFor({ profile }), shipped, [
      modelServer('srv-1', 11),
      modelServer('srv-2', 12),
      modelServer('srv-3', 13),
    ])
    const wanted = plan.servers[0] ?? { actions: [], unchanged: [] }
    const all = [...wanted.actions, ...wanted.unchanged].map(({ id }) => id)
    const tasksOf = shipped.stages.flatMap(one => one.tasks)
    expect(all.filter(id => !tasksOf.includes(id))).toEqual([])
    // A program that others call has a second task, for where it must not be there.
    const ids = all.map(id => id.replace(/^absent\//, 'file/'))
    // Of certificates there are as many as an inventory lists, and one task settles them all; without `firewall: open` nothing of it is
    // wanted, nor IPv6's parameter without such an address.
    const fastOnly = profile === 'classic' ? ['open-connections/service'] : []
    const others = ['package/nftables', 'file/certificates', 'sysctl/net.ipv6.ip_nonlocal_bind', ...fastOnly]
    const tasks = tasksOf.filter(task => !others.includes(task) && !/firewall|^absent\//.test(task))
    expect(tasksOf.filter(task => task.startsWith('absent/') && !tasks.includes(task.replace(/^absent\//, 'file/')))).toEqual([])
    expect(tasks.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(ids.toSorted((a, b) => (a < b ? -1 : 1)))
    const paths = MANAGED_PATHS.filter(path => path !== FIREWALL_SCRIPT && path !== FIREWALL_UNIT)
    expect(ids.filter(id => id.startsWith('file/'))).toHaveLength(paths.length)
  })
})
