/** From fresh servers to a converged cluster and through its changes. Needs: nothing; resets the lab. Leaves: the fast profile, converged. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { expectExit, labHaproxy, labInventory, type Line, resultOf, vrrpInstance } from './support/hactl.ts'
import { openLab, SERVERS, watchHolders } from './support/lab.ts'
import { freshWorkspace } from './support/opening.ts'
import { startPoller } from './support/poller.ts'
import { countCommands, ensureDeployed, journalCursors, journalSince, liveFiles, services, snapshots, trackers } from './support/servers.ts'

const lab = openLab()
const APPS = ['app-1', 'app-2']
const work = freshWorkspace(lab)

const waves = (lines: readonly Line[]) => lines.filter(line => line.event === 'wave-started').map(line => line.servers)

describe('on servers where nothing was ever installed', () => {
  test('plan shows everything and changes nothing, with one ssh command per server', async () => {
    const before = await snapshots(lab, '/etc /usr/local /var/lib')
    const commands = await countCommands(lab)
    const run = await work.hactl(['plan', '--json'])
    expectExit(run, 0)
    const result = resultOf(run)
    expect(result.servers?.map(server => server.name)).toEqual(SERVERS)
    for (const server of result.servers ?? [])
      expect(server.changed).toEqual(expect.arrayContaining(['package/haproxy', 'file/keepalived.conf', 'service/keepalived']))
    expect(run.lines.find(line => line.id === 'file/keepalived.conf')?.diff).toContain(`+        ${lab.vip}/24`)
    expect(await commands()).toEqual([1, 1, 1])
    await lab.everywhere('rm /etc/ssh/sshd_config.d/e2e.conf && systemctl reload ssh')
    expect(await snapshots(lab, '/etc /usr/local /var/lib')).toEqual(before)
  })

  test('plan --exit-code says with 2 that changes are pending', async () => {
    expect((await work.hactl(['plan', '--exit-code', '--quiet'])).exit).toBe(2)
  })

  test('status says with 7 that nobody holds the address', async () => {
    const run = await work.hactl(['status', '--json'])
    expect(run.exit).toBe(7)
    expect(resultOf(run).servers?.map(server => [server.reachable, server.haproxy, server.holds])).toEqual(
      SERVERS.map(() => [true, 'inactive', []]),
    )
  })

  test('deploy makes a cluster that answers', async () => {
    const run = await work.hactl(['deploy', '--yes', '--json'])
    expectExit(run, 0)
    const result = resultOf(run)
    expect(result).toMatchObject({ event: 'result', command: 'deploy', exit: 0, holder: { [lab.vip]: 'srv-1' } })
    for (const server of result.servers ?? []) {
      expect(server.changed).toEqual(
        expect.arrayContaining(['package/haproxy', 'package/keepalived', 'file/haproxy.cfg', 'service/haproxy']),
      )
      expect(server.unchanged).toBe(0)
    }
    expect(await lab.holders()).toEqual(['srv-1'])
    const poller = await startPoller(lab.vip)
    await new Promise(resolve => setTimeout(resolve, 500))
    expect(await poller.stop()).toMatchObject({ failed: 0, backends: APPS })
  })

  test('every file exists with owner and mode, and nothing else is left behind', async () => {
    const stats = await lab.everywhere(
      'stat -c "%a %U:%G %n" /etc/haproxy/haproxy.cfg /etc/keepalived/keepalived.conf /usr/local/bin/haproxy-service-check.sh ' +
        '/etc/systemd/system/haproxy.service.d/hactl.conf /etc/systemd/system/keepalived.service.d/hactl.conf /etc/tmpfiles.d/hactl.conf ' +
        '/etc/sysctl.d/90-hactl.conf /etc/apt/apt.conf.d/52hactl-unattended-upgrades /run/hactl; cat /proc/sys/net/ipv4/ip_nonlocal_bind',
    )
    for (const text of stats)
      expect(text.trim().split('\n')).toEqual([
        '644 root:root /etc/haproxy/haproxy.cfg',
        '640 root:root /etc/keepalived/keepalived.conf',
        '755 root:root /usr/local/bin/haproxy-service-check.sh',
        '644 root:root /etc/systemd/system/haproxy.service.d/hactl.conf',
        '644 root:root /etc/systemd/system/keepalived.service.d/hactl.conf',
        '644 root:root /etc/tmpfiles.d/hactl.conf',
        '644 root:root /etc/sysctl.d/90-hactl.conf',
        '644 root:root /etc/apt/apt.conf.d/52hactl-unattended-upgrades',
        '755 root:root /run/hactl',
        '1',
      ])
    const units = await lab.everywhere(
      'systemctl is-enabled haproxy keepalived; systemctl is-active haproxy keepalived; systemctl --failed --no-legend',
    )
    for (const text of units) expect(text).toBe('enabled\nenabled\nactive\nactive\n')
    const kept = await lab.everywhere(
      'ls /var/lib/hactl/runs /var/lib/hactl/lock 2>/dev/null | grep -v : ; find /etc /usr/local -name "*.hactl-new"',
    )
    expect(kept).toEqual(['', '', ''])
    const checked = await lab.everywhere('haproxy -c -q -f /etc/haproxy/haproxy.cfg; keepalived -t -f /etc/keepalived/keepalived.conf 2>&1')
    expect(checked).toEqual(['', '', ''])
  })

  test('each haproxy_down says that haproxy runs, and nobody is drained', async () => {
    for (const text of await trackers(lab))
      expect(text.trim().split('\n')).toEqual(['drain 0', 'haproxy_down 0', 'haproxy_offset 0', 'keepalived_offset 0'])
  })
})

describe('on a converged cluster', () => {
  test('plan is empty, and --exit-code gives 0', async () => {
    const run = await work.hactl(['plan', '--exit-code', '--json'])
    expect(run.exit).toBe(0)
    expect(resultOf(run).servers?.map(server => server.changed)).toEqual([[], [], []])
  })

  test('deploy does nothing: no change, no service action, the same processes', async () => {
    const [before, files, cursors] = [await services(lab), await snapshots(lab), await journalCursors(lab)]
    const run = await work.hactl(['deploy', '--yes', '--json'])
    expectExit(run, 0)
    expect(resultOf(run).servers?.map(server => server.changed)).toEqual([[], [], []])
    expect(run.lines.filter(line => line.event === 'action-started' || line.event === 'lock-taken')).toEqual([])
    expect(await services(lab)).toEqual(before)
    expect(await snapshots(lab)).toEqual(files)
    expect((await journalSince(lab, cursors, 'haproxy')).join('')).toBe('')
    expect((await journalSince(lab, cursors, 'keepalived')).join('')).toBe('')
  })

  test('status reports a healthy cluster', async () => {
    const run = await work.hactl(['status', '--json'])
    expectExit(run, 0)
    expect(
      resultOf(run).servers?.map(server => [server.name, server.state, server.holds, server.haproxy, server.keepalived, server.drift]),
    ).toEqual([
      ['srv-1', 'MASTER', [lab.vip], 'healthy', 'active', []],
      ['srv-2', 'BACKUP', [], 'healthy', 'active', []],
      ['srv-3', 'BACKUP', [], 'healthy', 'active', []],
    ])
  })

  test('a new haproxy.cfg goes to one server at a time, the holder last, and no probe is lost', async () => {
    work.writeInventory(labInventory(lab, { haproxy: labHaproxy(lab, { defaults: ['timeout client 50s'] }) }))
    const [before, poller] = [await services(lab), await startPoller(lab.vip)]
    const run = await work.hactl(['deploy', '--yes', '--json'])
    const seen = await poller.stop()
    expectExit(run, 0)
    const order = waves(run.lines)
    expect(order).toHaveLength(3)
    expect(order.at(-1)).toEqual(['srv-1'])
    expect(resultOf(run).servers?.map(server => server.changed)).toEqual(SERVERS.map(() => ['file/haproxy.cfg', 'service/haproxy']))
    expect(seen).toMatchObject({ failed: 0, backends: APPS })
    // A reload: the master process stays.
    expect(await services(lab)).toEqual(before)
    expect(await lab.everywhere('grep -c "timeout client 50s" /etc/haproxy/haproxy.cfg')).toEqual(['1\n', '1\n', '1\n'])
  })

  test('a change by hand is shown by status and fixed by deploy', async () => {
    await lab.sh('srv-2', 'echo "# by hand" >>/etc/haproxy/haproxy.cfg; chmod 0644 /etc/keepalived/keepalived.conf')
    await lab.sh('srv-3', 'systemctl disable --quiet haproxy; sysctl -q -w net.ipv4.ip_nonlocal_bind=0')
    const looked = await work.hactl(['status', '--json'])
    // The disabled unit, not the drift.
    expectExit(looked, 5)
    const status = resultOf(looked)
    expect(status.servers?.map(server => [server.name, server.problems?.length])).toEqual([
      ['srv-1', 0],
      ['srv-2', 0],
      ['srv-3', 1],
    ])
    const drift = (name: string) => status.servers?.find(server => server.name === name)?.drift.toSorted()
    expect(drift('srv-1')).toEqual([])
    expect(drift('srv-2')).toEqual(expect.arrayContaining(['file/haproxy.cfg', 'file/keepalived.conf']))
    expect(drift('srv-3')).toEqual(['service/haproxy', 'sysctl/net.ipv4.ip_nonlocal_bind'])
    const run = await work.hactl(['deploy', '--yes', '--json'])
    expectExit(run, 0)
    expect(await lab.sh('srv-2', 'tail -n 1 /etc/haproxy/haproxy.cfg; stat -c %a /etc/keepalived/keepalived.conf')).not.toMatch(
      /by hand|644/,
    )
    expect(await lab.sh('srv-3', 'systemctl is-enabled haproxy; cat /proc/sys/net/ipv4/ip_nonlocal_bind')).toBe('enabled\n1\n')
    expect((await work.hactl(['plan', '--exit-code', '--quiet'])).exit).toBe(0)
  })

  test('--limit changes the named server only, and the rest follows later', async () => {
    work.writeInventory(labInventory(lab))
    const limited = await work.hactl(['deploy', '--yes', '--json', '--limit', 'srv-2'])
    expectExit(limited, 0)
    expect(resultOf(limited).servers?.map(server => [server.name, server.changed])).toEqual([
      ['srv-2', ['file/haproxy.cfg', 'service/haproxy']],
    ])
    expect(resultOf(await work.hactl(['plan', '--json'])).servers?.map(server => server.changed.length)).toEqual([2, 0, 2])
    // Without root's key: a user that sudo lets through, then one that it asks.
    const asUser = (user: string, more: object = {}) =>
      labInventory(lab, { ssh: { user, identity_file: lab.key, known_hosts: lab.known_hosts }, ...more })
    work.writeInventory(asUser('ops'))
    const ops = await work.hactl(['deploy', '--yes', '--json', '--limit', 'srv-3'])
    expectExit(ops, 0)
    work.writeInventory(asUser('deploy', { become_password: { file: lab.sudo_password_file } }))
    const deploy = await work.hactl(['deploy', '--yes', '--json'])
    expectExit(deploy, 0)
    expect(resultOf(deploy).servers?.map(server => server.changed.length)).toEqual([2, 0, 0])
    work.writeInventory(asUser('deploy'))
    const password = readFileSync(lab.sudo_password_file, 'utf8').trim()
    const asked = await work.hactl(['plan', '-K', '--no-color'], { answers: [{ question: 'sudo password', answer: password }] })
    expectExit(asked, 0)
    expect(asked.stdout).toContain('nothing to change')
    expect(asked.stdout).not.toContain(password)
  })

  test('a haproxy.cfg of the operator is shipped byte for byte, and works', async () => {
    const text = [
      '# mine: tabs,	trailing spaces',
      'defaults',
      '\tmode http',
      '\ttimeout connect 2s',
      '\ttimeout client 30s   ',
      '\ttimeout server 30s',
      'listen web',
      '\tbind *:80',
      ...lab.backends.map(({ name, host }) => `\tserver ${name} ${host}:80 check`),
      '# the end: ü',
      '',
    ].join('\n')
    work.write('haproxy.cfg', text)
    work.writeInventory(labInventory(lab, { haproxy: { config: 'haproxy.cfg' } }))
    const poller = await startPoller(lab.vip)
    const run = await work.hactl(['deploy', '--yes', '--json'])
    const seen = await poller.stop()
    expectExit(run, 0)
    expect(await lab.everywhere('cat /etc/haproxy/haproxy.cfg')).toEqual([text, text, text])
    expect(seen).toMatchObject({ failed: 0, backends: APPS })
    const status = resultOf(await work.hactl(['status', '--json']))
    expect(status.servers?.map(server => server.haproxy)).toEqual(['healthy', 'healthy', 'healthy'])
  })

  test('a second address goes to all servers together: never two holders for longer than a second', async () => {
    const second = `${lab.prefix}.201`
    work.writeInventory(
      labInventory(lab, { vrrp_instances: [vrrpInstance(lab, { virtual_ipaddress: [`${lab.vip}/24`, `${second}/24`] })] }),
    )
    const [holders, poller] = [await watchHolders(lab), await startPoller(lab.vip)]
    const run = await work.hactl(['deploy', '--yes', '--json'])
    const [held, seen] = [await holders.stop(), await poller.stop()]
    expectExit(run, 0)
    expect(waves(run.lines)).toEqual([SERVERS])
    expect(held.twoHoldersMs).toBeLessThan(1000)
    expect({ failed: seen.failed, errors: seen.errors, moves: held.moves }).toMatchObject({ failed: 0 })
    expect(await lab.holders(second)).toEqual(['srv-1'])
    expect(await lab.holders()).toEqual(['srv-1'])
  })

  test('going back to one address removes the other on every server', async () => {
    work.writeInventory(labInventory(lab))
    const run = await ensureDeployed(lab, work)
    expect(resultOf(run).holder).toEqual({ [lab.vip]: 'srv-1' })
    expect(await lab.holders(`${lab.prefix}.201`)).toEqual([])
    expect(new Set(await liveFiles(lab)).size).toBe(3)
    expect((await work.hactl(['plan', '--exit-code', '--quiet'])).exit).toBe(0)
  })
})
