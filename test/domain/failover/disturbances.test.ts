import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DISTURBANCES, disturbanceFor } from '../../../src/domain/failover/disturbances.ts'
import type { Script } from '../../../src/ports.ts'
import { systemdWord } from '../../../src/shell/sh.ts'
import type { Disturbance } from '../../../src/state/drill.ts'

const place = { interface: 'eth0', vip: '198.51.100.200' }

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hactl-drill-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

function known(name: string): Disturbance {
  const disturbance = disturbanceFor(name, place)
  if (disturbance === undefined) throw new Error(`there is no disturbance ${name}`)
  return disturbance
}

/** What a script calls, with what it sends there: every program that drills use is played, and those in `failing` end with 1. */
function calls({ raw }: Script, failing: readonly string[] = []): string {
  const log = join(folder, 'log')
  writeFileSync(log, '')
  for (const name of ['systemctl', 'systemd-run', 'nft', 'iptables', 'ip6tables', 'sleep', 'kill', 'sync']) {
    const reads = name === 'nft' ? 'case "$*" in "-f -") cat >>"$LOG" ;; esac\n' : ''
    writeFileSync(join(folder, name), `#!/bin/sh\necho "${name} $*" >>"$LOG"\n${reads}exit ${failing.includes(name) ? 1 : 0}\n`, {
      mode: 0o755,
    })
  }
  const env = { PATH: `${folder}:${process.env['PATH'] ?? ''}`, LOG: log, SSH_CONNECTION: '192.0.2.1 40000 192.0.2.11 2222' }
  const { stderr } = spawnSync('/bin/sh', ['-c', `/bin/sh -c "$1"`, 'sh', raw], { encoding: 'utf8', env })
  return readFileSync(log, 'utf8') + stderr
}

const syntaxOf = ({ raw }: Script) => {
  const { status, stderr } = spawnSync('/bin/sh', ['-n', '-c', raw], { encoding: 'utf8' })
  return { status, stderr }
}

describe.each(DISTURBANCES)('%s', name => {
  const { script, undo, confirm, needs } = known(name)

  test('consists of valid shell', () => {
    for (const text of [script, undo, confirm, needs?.script ?? undo]) expect(syntaxOf(text)).toEqual({ status: 0, stderr: '' })
  })

  test('has an undo that systemd passes on unchanged, without expanding variables', () => {
    expect(systemdWord(undo).raw.replaceAll('$$', '')).not.toMatch(/[$]/)
  })

  test('changes nothing that would last over a boot, and never all rules of the packet filter', () => {
    expect(`${script.raw}\n${undo.raw}`).not.toMatch(/systemctl (?:enable|disable|mask)|flush ruleset|iptables -F\s|ip link set/)
  })
})

test('a hung haproxy is stopped by one signal and continued by another', () => {
  const { script, undo } = known('hang-haproxy')
  expect(calls(script)).toBe('systemctl kill --signal=STOP haproxy.service\n')
  expect(calls(undo)).toMatch(/^systemctl kill --signal=CONT haproxy[.]service\n[^]*systemctl start haproxy[.]service\n$/)
})

test('the loop of crashes is a unit of its own, which the undo ends before it starts haproxy', () => {
  const { script, undo, confirm } = known('crash-haproxy-repeatedly')
  expect(calls(script)).toMatch(/^systemd-run .*--unit=hactl-drill-loop [^]*crash_repeatedly 8 1[.]2$/m)
  expect(calls(undo)).toMatch(/^systemctl stop hactl-drill-loop[.]service\n[^]*systemctl start haproxy[.]service\n$/)
  expect(calls(confirm)).toContain('systemctl is-active --quiet hactl-drill-loop.service')
})

describe('cutting traffic', () => {
  test('VRRP alone is dropped, in the directions that were asked for', () => {
    expect(calls(known('drop-vrrp').script)).toMatch(
      /table inet hactl_drill \{[^]*hook input[^}]*l4proto 112 drop[^}]*\}\s*chain outgoing[^}]*hook output[^}]*l4proto 112 drop[^}]*\}\s*\}/,
    )
    expect(calls(known('drop-vrrp-in').script)).not.toContain('hook output')
    expect(calls(known('drop-vrrp-out').script)).not.toContain('hook input')
  })

  test('uses iptables where nft does not work', () => {
    expect(calls(known('drop-vrrp-in').script, ['nft'])).toContain('iptables -w 5 -A HACTL_DRILL -p 112 -j DROP\n')
    expect(calls(known('drop-link').script, ['nft'])).toMatch(
      /iptables -w 5 -A HACTL_DRILL -i eth0 -p tcp --dport 2222 -j ACCEPT[^]*iptables -w 5 -A HACTL_DRILL -i eth0 -j DROP/,
    )
  })

  test('drops everything on the interface except the port of SSH', () => {
    const { script, severs } = known('drop-link')
    const sent = calls(script)
    expect(sent).toMatch(/iifname "eth0" tcp dport 2222 accept\n.*\n +iifname "eth0" drop/)
    expect(sent).toMatch(/table arp hactl_drill \{[^}]*oifname "eth0" arp saddr ip 198[.]51[.]100[.]200 drop/)
    expect(sent).toMatch(/table netdev hactl_drill \{[^}]*egress device "eth0"[^}]*arp saddr ip 198[.]51[.]100[.]200 drop/)
    expect(severs).toBe(false)
  })

  test('drops SSH too, where that is wanted', () => {
    const { script, severs } = known('drop-link-and-ssh')
    const sent = calls(script)
    expect(sent).toContain('iifname "eth0" drop')
    expect(sent).not.toContain('accept\n')
    expect(sent).not.toContain('dport')
    expect(severs).toBe(true)
  })

  test('is undone as a whole, with either filter', () => {
    const { undo } = known('drop-link')
    for (const family of ['inet', 'arp', 'netdev']) expect(calls(undo)).toContain(`nft delete table ${family} hactl_drill\n`)
    expect(calls(undo)).toContain('iptables -w 5 -X HACTL_DRILL\n')
  })

  test('needs a packet filter, and says what to install where there is none', () => {
    expect(known('drop-vrrp').needs?.fix).toContain('apt-get install nftables')
  })

  test.each(['eth0; reboot', "eth0'", '', 'a-name-too-long-for-linux'])('an interface called %j is refused', name => {
    expect(() => disturbanceFor('drop-link', { ...place, interface: name })).toThrow(/no place for a drill/)
  })
})

test('services of a server that boots are started only once it has gone down', () => {
  const { script, undo, confirm, boots, severs } = known('kill-server')
  const [, mark] = /: >'(\S+)' && /.exec(script.raw) ?? []
  expect(mark).toMatch(/^\/run\//)
  for (const text of [undo, confirm]) expect(text.masked.startsWith(`[ ! -e '${mark}' ] && `)).toBe(true)
  expect({ boots, severs }).toEqual({ boots: true, severs: true })
})

test('a drill that stops haproxy does not wait for connections that clients have open', () => {
  expect(calls(known('stop-haproxy').script)).toBe('systemctl stop --no-block haproxy.service\n')
})
