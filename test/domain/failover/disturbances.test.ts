import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { DISTURBANCES, disturbanceFor } from '../../../src/domain/failover/disturbances.ts'
import type { Disturbance } from '../../../src/state/drill.ts'

const place = { interface: 'eth0', vip: '198.51.100.200' }

function known(name: string): Disturbance {
  const disturbance = disturbanceFor(name, place)
  if (disturbance === undefined) throw new Error(`there is no disturbance ${name}`)
  return disturbance
}

const syntaxOf = (script: string) => {
  const { status, stderr } = spawnSync('/bin/sh', ['-n', '-c', script], { encoding: 'utf8' })
  return { status, stderr }
}

describe.each(DISTURBANCES)('%s', name => {
  const { script, undo, confirm, needs } = known(name)

  test('is shell in all its parts', () => {
    for (const text of [script, undo, confirm, needs?.script ?? ':']) expect(syntaxOf(text)).toEqual({ status: 0, stderr: '' })
  })

  test('has an undo that systemd hands on as it stands: no word of it is a variable of its own', () => {
    expect(undo).not.toMatch(/\$\{|\$\$|%/)
  })

  test('touches nothing that would outlive a boot, and not all rules of the packet filter', () => {
    expect(`${script}\n${undo}`).not.toMatch(/systemctl (?:enable|disable|mask)|flush ruleset|iptables -F\s|ip link set/)
  })
})

test.each(['haproxy', 'keepalived'])('a hung %s is stopped by a signal and runs on by another', unit => {
  const { script, undo, confirm } = known(`hang-${unit}`)
  expect(script).toContain('STOP')
  expect(undo).toContain(`--signal=CONT ${unit}.service`)
  expect(confirm).toContain(`(${unit}) T `)
})

test('the loop of crashes is a unit of its own, which the undo ends before it starts haproxy', () => {
  const { script, undo, confirm } = known('crash-haproxy-repeatedly')
  expect(script).toMatch(/--unit=hactl-drill-loop .*-lt 8 .*sleep 1\.2/)
  expect(undo.indexOf('stop hactl-drill-loop')).toBeLessThan(undo.indexOf('start haproxy'))
  expect(confirm).toContain('! systemctl is-active --quiet hactl-drill-loop.service')
})

describe('cutting traffic', () => {
  test('VRRP alone is dropped, in the directions that were asked for', () => {
    expect(known('drop-vrrp').script).toMatch(
      /hook input[^}]*l4proto 112 drop[^}]*\}\s*chain outgoing[^}]*hook output[^}]*l4proto 112 drop/,
    )
    expect(known('drop-vrrp-in').script).not.toContain('hook output')
    expect(known('drop-vrrp-out').script).not.toContain('hook input')
  })

  test('everything on the interface but the port that SSH came in by', () => {
    const { script, severs } = known('drop-link')
    expect(script).toMatch(/iifname "eth0" tcp dport \$port accept\n.*\n +iifname "eth0" drop/)
    expect(script).toContain('arp saddr ip 198.51.100.200 drop')
    expect(severs).toBe(false)
  })

  test('SSH too, where that is wanted', () => {
    const { script, severs } = known('drop-link-and-ssh')
    expect(script).not.toContain('accept\n')
    expect(script).not.toContain('dport')
    expect(severs).toBe(true)
  })

  test('needs a packet filter, and says what to install where there is none', () => {
    expect(known('drop-vrrp').needs?.fix).toContain('apt-get install nftables')
  })

  test.each(['eth0; reboot', "eth0'", '', 'a-name-too-long-for-linux'])('an interface called %j is refused', name => {
    expect(() => disturbanceFor('drop-link', { ...place, interface: name })).toThrow(/no place for a drill/)
  })
})

test('a server that boots is helped up only once it has gone down', () => {
  const { script, undo, confirm, boots, severs } = known('kill-server')
  const [, mark] = /: >(\S+) && /.exec(script) ?? []
  expect(mark).toMatch(/^\/run\//)
  for (const text of [undo, confirm]) expect(text.startsWith(`[ ! -e ${mark} ] && `)).toBe(true)
  expect({ boots, severs }).toEqual({ boots: true, severs: true })
})
