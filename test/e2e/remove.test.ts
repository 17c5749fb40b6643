/**
 * What `hactl remove` gives back: to a server where haproxy ran and keepalived did not, to one where it was the other way round, and to one
 * that had files and no packages. Needs: any lab. Leaves: servers without hactl.
 */
import { beforeAll, expect, test } from 'vitest'
import { expectExit, labHaproxy, labInventory, resultOf } from './support/hactl.ts'
import { openLab, until } from './support/lab.ts'
import { workspaceFor } from './support/opening.ts'
import { ensureDeployed, preparations, services, snapshots } from './support/servers.ts'

const lab = openLab()
/** A port that is bound to the address by name makes the service for open connections raise one more kernel parameter. */
const inventory = () => {
  const bind = [':80', `${lab.vip}:8092`]
  return labInventory(lab, {
    vrrp_script: { interval: 3, timeout: 3, fall: 3 },
    haproxy: labHaproxy(lab, { frontends: [{ name: 'web', bind, mode: 'http', default_backend: 'app' }] }),
  })
}
// For what installs packages: seconds, on a busy machine minutes.
const PATIENCE_MS = 300_000
const OLD_VIP = `${lab.prefix}.202`
const work = workspaceFor(lab, inventory())

const OF_HACTL =
  '/var/lib/hactl /run/hactl /usr/local/bin/haproxy-service-check.sh /usr/local/lib/hactl /usr/local/sbin/hactl-* /etc/sysctl.d/*hactl* /etc/tmpfiles.d/hactl* /etc/apt/apt.conf.d/*hactl* /etc/rsyslog.d/*hactl* /etc/systemd/system/*/hactl*.conf /etc/systemd/system/hactl* /etc/systemd/system/*/hactl*'

/** A server as if hactl had never been there; `then` sets it up as another person might have. */
const before = (then: string) => `
systemctl stop keepalived haproxy 2>/dev/null
/usr/local/sbin/hactl-open-connections close
ip addr del ${lab.vip}/24 dev eth0 2>/dev/null
rm -rf ${OF_HACTL} /etc/keepalived/* /etc/haproxy/haproxy.cfg; rmdir /etc/systemd/system/*.service.d 2>/dev/null
sysctl -q -w net.ipv4.ip_nonlocal_bind=0
systemctl daemon-reload
${then}`

const PURGED = 'DEBIAN_FRONTEND=noninteractive apt-get -qy purge haproxy keepalived >/dev/null 2>&1; rm -rf /etc/haproxy /etc/keepalived'

// Unusual blanks, line ends, modes and owners.
const FILES = `
mkdir -p /etc/haproxy /etc/keepalived; chmod 0751 /etc/keepalived; chgrp adm /etc/keepalived
printf '# mine since 2019\\ndefaults\\n\\tmode http   \\n\\ttimeout connect 1s\\n\\ttimeout client 1s\\n\\ttimeout server 1s\\nfrontend old\\n\\tbind :8080\\n\\tmonitor-uri /\\n' >/etc/haproxy/haproxy.cfg
printf '! mine, too\\r\\nvrrp_instance OLD {\\n\\tinterface eth0   \\n\\tvirtual_router_id 77\\n\\tpriority 50\\n\\tvirtual_ipaddress {\\n%s/24\\n}\\n}' ${OLD_VIP} >/etc/keepalived/keepalived.conf
chmod 0604 /etc/haproxy/haproxy.cfg; chown games:adm /etc/haproxy/haproxy.cfg
chmod 0460 /etc/keepalived/keepalived.conf; chown daemon:mail /etc/keepalived/keepalived.conf`

const runs = (one: string, other: string) => `systemctl enable -q ${one}; systemctl start ${one}; systemctl disable -q ${other}`
const served = (server: string) => lab.sh(server, `ss -Htln '( sport = :80 or sport = :8080 )' | awk '{print $4}'`)

beforeAll(async () => {
  await ensureDeployed(lab, work)
  await Promise.all([
    lab.sh('srv-1', before(`${FILES}\n${runs('haproxy', 'keepalived')}`)),
    lab.sh('srv-2', before(`${PURGED}\n${FILES}`)),
    lab.sh('srv-3', before(`${FILES}\n${runs('keepalived', 'haproxy')}`)),
  ])
})

test('remove restores every file, mode, package and unit', { timeout: PATIENCE_MS }, async () => {
  await until('srv-3 holds its own address', 20_000, async () => (await lab.holders(OLD_VIP)).join() === 'srv-3')
  const [was, ran, prepared] = [await snapshots(lab), await services(lab), await preparations(lab)]
  expect(await served('srv-1')).toBe('0.0.0.0:8080\n')
  expectExit(await work.hactl(['deploy', '--yes', '--json', '--adopt'], { limitMs: PATIENCE_MS }), 0)
  expect(await served('srv-1')).toBe('0.0.0.0:80\n')
  expect(await lab.holders(OLD_VIP)).toEqual([])
  // There is something to take away.
  const set = (await snapshots(lab)).join('')
  for (const line of [/^table ip hactl$/m, /arp_ignore:1$/m, /arp_announce:2$/m, /tcp_fwmark_accept:1$/m]) expect(set).toMatch(line)
  const addresses = (await preparations(lab)).join('')
  for (const line of [`^8945:.* to ${lab.vip} .*lookup 8945`, `lo +inet ${lab.vip}/32 `]) expect(addresses).toMatch(new RegExp(line, 'm'))

  const run = await work.hactl(['remove', '--yes', '--json'])
  expectExit(run, 0)
  expect(await snapshots(lab)).toEqual(was)
  expect(await preparations(lab)).toEqual(prepared)
  expect(await services(lab)).toEqual(ran)
  expect(await served('srv-1')).toBe('0.0.0.0:8080\n')
  await until('srv-3 holds its own address again', 20_000, async () => (await lab.holders(OLD_VIP)).join() === 'srv-3')
  expect(await lab.everywhere(`ls -d ${OF_HACTL} 2>/dev/null; ip -o addr show to ${lab.vip}; true`)).toEqual(['', '', ''])
})

test('a second remove has nothing to do', async () => {
  const was = await snapshots(lab)
  const run = await work.hactl(['remove', '--yes', '--json'])
  expectExit(run, 0)
  expect(resultOf(run).servers).toMatchObject(lab.servers.map(({ name }) => ({ name, removed: [] })))
  expect(await snapshots(lab)).toEqual(was)
})
