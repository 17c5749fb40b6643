import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { addressesOn } from '../../src/domain/drain.ts'
import { drillRefusals } from '../../src/domain/failover/drill.ts'
import { dropinProblems, holderProblems, nodeProblems, severalHoldersProblems } from '../../src/domain/health.ts'
import { CHECK_NAME, renderKeepalivedConf } from '../../src/domain/keepalived/config.ts'
import { KEEPALIVED_CONF } from '../../src/domain/paths.ts'
import { parseProbe } from '../../src/engine/observe/parse.ts'
import type { ObservedNode } from '../../src/state/observed.ts'
import { drainedNode } from '../support/drain-world.ts'
import { PROBE_REQUEST } from '../support/probe-request.ts'
import { classicWith, clusterWith, factsOf } from './example.ts'

const recorded = (name: string) => readFileSync(join(import.meta.dirname, `../../fixtures/probes/${name}.txt`), 'utf8')
const LEFT_OUT = expect.stringMatching(/^keepalived runs VRRP1 without chk_\w+, which it should track: /)

function withConf(node: ObservedNode, content: string | undefined): ObservedNode {
  const file = node.files[KEEPALIVED_CONF]
  if (file === undefined) throw new Error('no keepalived.conf was recorded')
  return { ...node, files: { ...node.files, [KEEPALIVED_CONF]: { ...file, content } } }
}

describe('a check that keepalived left out', () => {
  // vrrp_json.c is the same in 2.1.5, 2.2.7 and 2.3.3: an empty list is left out.
  test.each([
    ['fast-holder', clusterWith()],
    ['fast-backup', clusterWith()],
    ['classic-holder', classicWith()],
  ] as const)('is a problem of %s, which has none as it was recorded', (name, cluster) => {
    const whole = recorded(name)
    expect(nodeProblems(cluster, parseProbe('srv-1', whole, PROBE_REQUEST))).toEqual([])
    const without = whole.replace(/"track_script":\[[^\]]*\],/, '')
    expect(without).not.toBe(whole)
    const node = parseProbe('srv-1', without, PROBE_REQUEST)
    expect(nodeProblems(cluster, node)).toEqual([LEFT_OUT])
    expect(drillRefusals(cluster, [node])).toContainEqual(expect.stringContaining('which it should track'))
  })

  test('is a problem of a drained server, too', () => {
    const node = drainedNode(-254, 'FAULT', 254)
    expect(nodeProblems(clusterWith(), node)).toEqual([])
    const instances = node.instances.map(instance => ({ ...instance, trackScripts: [] }))
    expect(nodeProblems(clusterWith(), { ...node, instances })).toEqual([LEFT_OUT])
  })

  test('is judged by the configuration on the server, and not by the inventory', () => {
    const cluster = clusterWith()
    const node = drainedNode(0, 'BACKUP', 254)
    const facts = factsOf(cluster)['srv-1']
    if (facts === undefined) throw new Error('no facts of srv-1')
    const conf = renderKeepalivedConf(cluster, 'srv-1', facts)
    const problems = (content: string | undefined, trackScripts: readonly string[]) =>
      nodeProblems(cluster, { ...withConf(node, content), instances: node.instances.map(own => ({ ...own, trackScripts })) })
    expect(problems(conf, [])).toEqual([LEFT_OUT])
    expect(problems(conf, ['/usr/local/bin/haproxy-service-check.sh'])).toEqual([])
    // Built by hand: no check at all, one found through PATH, one that is defined nowhere.
    const untracked = conf.replace(/track_script \{[^}]*\}/, '')
    expect(problems(untracked, [])).toEqual([])
    const pidof = conf.replace(/script "[^"]*"/, 'script "pidof haproxy"')
    expect(problems(pidof, ["/usr/bin/pidof' 'haproxy"])).toEqual([])
    expect(problems(pidof, [])).toEqual([LEFT_OUT])
    expect(problems(conf.replace(`vrrp_script ${CHECK_NAME}`, 'vrrp_script chk_other'), [])).toEqual([LEFT_OUT])
    const two = conf.replace(/track_script \{/, 'track_script {\n chk_links\n')
    expect(problems(two, ['/usr/local/bin/haproxy-service-check.sh'])).toEqual([expect.stringContaining('without chk_links,')])
    // What cannot be read in full is not judged.
    expect(problems(`include /etc/keepalived/conf.d/*.conf\n${conf}`, [])).toEqual([])
    expect(problems(`@srv-2 vrrp_script x\n${conf}`, [])).toEqual([])
    expect(problems(undefined, [])).toEqual([])
  })
})

test('a server that does not run fast yet is healthy without its track files', () => {
  const node = { ...parseProbe('srv-1', recorded('classic-holder'), PROBE_REQUEST), trackers: {}, trackersWatched: false }
  expect(nodeProblems(clusterWith(), node)).toEqual([])
  const conf = node.files[KEEPALIVED_CONF]?.content ?? ''
  const watching = withConf(node, `${conf}\nvrrp_track_file drain {\n file /run/hactl/drain\n}\n`)
  expect(nodeProblems(clusterWith(), watching)).toEqual([expect.stringMatching(/^the track files .* are missing/)])
})

test('two holders are reported although a third server is out of sight; that nobody holds the address is not', () => {
  const cluster = clusterWith({ virtual_ipaddress: ['198.18.200.200/24'] })
  const at = (server: string, name: string) => parseProbe(server, recorded(name), PROBE_REQUEST)
  const both = [at('srv-1', 'fast-holder'), at('srv-2', 'fast-holder')]
  const none = [at('srv-1', 'fast-backup'), at('srv-2', 'fast-backup')]
  expect(severalHoldersProblems(cluster, both)).toEqual(['srv-1 and srv-2 hold 198.18.200.200'])
  expect(holderProblems(cluster, both)).toEqual(severalHoldersProblems(cluster, both))
  expect(severalHoldersProblems(cluster, none)).toEqual([])
  expect(holderProblems(cluster, none)).toContain('nobody holds 198.18.200.200')
})

test('a server that has given the address away and keeps it on lo for its open connections is no holder', () => {
  const cluster = clusterWith({ virtual_ipaddress: ['198.18.200.200/24'] })
  const holder = parseProbe('srv-1', recorded('fast-holder'), PROBE_REQUEST)
  const backup = parseProbe('srv-2', recorded('fast-backup'), PROBE_REQUEST)
  const kept = { interface: 'lo', family: 4, address: '198.18.200.200', prefix: 32 } as const
  const old = { ...backup, facts: { ...backup.facts, addresses: [kept, ...backup.facts.addresses] } }
  expect(severalHoldersProblems(cluster, [holder, old])).toEqual([])
  expect(addressesOn(cluster, holder)).toEqual(['198.18.200.200'])
  expect(addressesOn(cluster, old)).toEqual([])
})

describe('drop-ins', () => {
  const paths = ['/etc/systemd/system/haproxy.service.d/hactl.conf', '/etc/systemd/system/keepalived.service.d/hactl.conf']
  const probed = parseProbe('srv-1', recorded('fast-holder'), PROBE_REQUEST)
  const dropin = (content: string) => ({ ...probed.files[paths[0] ?? ''], content })
  const withDropins = (content: string, more: Record<string, unknown> = {}) => {
    const files = Object.fromEntries(paths.map(path => [path, dropin(content)]))
    return { ...probed, files: { ...probed.files, ...files, ...more } } as typeof probed
  }
  const calling = 'ExecStop=-/usr/local/lib/hactl/service-hooks.sh haproxy-stopping\n'

  test('that call a missing script hand nothing over', () => {
    expect(dropinProblems(withDropins(calling))).toEqual([
      expect.stringContaining('service-hooks.sh is missing: a stop hands no address over'),
    ])
    expect(dropinProblems(withDropins(calling, { '/usr/local/lib/hactl/service-hooks.sh': dropin('#!/bin/sh\n') }))).toEqual([])
  })

  test('that start a missing unit hand nothing over', () => {
    const starting = 'Wants=hactl-hand-over@haproxy.service\n'
    expect(dropinProblems(withDropins(starting))).toEqual([
      expect.stringContaining('hactl-hand-over@.service is missing: a stop hands no address over'),
    ])
    const unit = { '/etc/systemd/system/hactl-hand-over@.service': dropin('[Unit]\n') }
    expect(dropinProblems(withDropins(starting, unit))).toEqual([])
  })

  test('of an older version of hactl need no script', () => {
    expect(dropinProblems(withDropins('ExecStop=-/bin/sh -c "exit 0"\n'))).toEqual([])
  })
})
