/**
 * apt on servers that others use too: older packages, locks, conffiles changed by hand, needrestart, missing mirrors, and `hactl upgrade`
 * with all of them. Needs: nothing; resets the lab. Leaves: the fast profile, converged.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { copyName } from '../../src/engine/server-state/copy-name.ts'
import { expectExit, expectRefusal, labInventory, resultOf, type Run } from './support/hactl.ts'
import { openLab, until } from './support/lab.ts'
import { freshWorkspace } from './support/opening.ts'
import { expectNoHole, startPoller } from './support/poller.ts'
import { installOlder, services, snapshots, untilHeldBy } from './support/servers.ts'

const lab = openLab()
// apt refreshes its lists in most of these: on a busy machine that takes minutes.
const SLOW = { timeout: 300_000 }
const work = freshWorkspace(lab)
/** What the repositories have; every server begins with the same package under a lower version and with another conffile. */
let newest = ''

const FIRST = `apt-get -q update >/dev/null
${installOlder('haproxy')}
echo '# by hand' >>/etc/default/haproxy
apt-cache madison haproxy | head -n 1 | tr -d ' ' | cut -d '|' -f 2`

// needrestart told to restart by itself, and a service that it takes for outdated: its program was replaced while it ran.
const NEEDRESTART = `
DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends needrestart >/dev/null 2>&1
echo "\\$nrconf{restart} = 'a';" >/etc/needrestart/conf.d/e2e.conf
cp /usr/bin/sleep /usr/local/bin/e2e-outdated
systemd-run --quiet --unit=e2e-outdated /usr/local/bin/e2e-outdated infinity
rm /usr/local/bin/e2e-outdated && cp /usr/bin/sleep /usr/local/bin/e2e-outdated`

// An fcntl(2) lock, as dpkg's own. struct flock as 64-bit Linux has it.
const HOLD_LOCK = `
cat >/usr/local/bin/e2e-lock <<'PERL'
use Fcntl qw(:DEFAULT :flock :seek);
my $lock = pack("s s x4 q q l x4", F_WRLCK, SEEK_SET, 0, 0, 0);
open my $file, "+>>", "/var/lib/dpkg/lock-frontend" or die; fcntl($file, F_SETLK, $lock) or die;
sleep 60;
PERL
systemd-run --quiet --collect --unit=e2e-lock perl /usr/local/bin/e2e-lock
for i in $(seq 100); do grep -q ":$(stat -c %i /var/lib/dpkg/lock-frontend) " /proc/locks && exit 0; sleep 0.05; done; exit 1`

const pidOf = (unit: string) => lab.sh('srv-1', `systemctl show -p MainPID --value ${unit}`)
const versions = () => lab.everywhere("dpkg-query -W -f='${Version}' haproxy")
const upgrade = () => work.hactl(['upgrade', '--yes', '--json'])
const changedBy = (run: Run) => resultOf(run).servers?.map(server => server.changed)

beforeAll(async () => {
  newest = (await lab.everywhere(FIRST))[0]?.trim() ?? ''
  await lab.sh('srv-1', `${NEEDRESTART}\necho '# my own haproxy.cfg' >>/etc/haproxy/haproxy.cfg`)
})

describe('deploy', SLOW, () => {
  test('of a version that no repository has is refused, with nothing installed or changed anywhere', async () => {
    work.writeInventory(labInventory(lab, { packages: { keepalived: '1:9.*' } }))
    const before = await snapshots(lab)
    const run = await work.hactl(['deploy', '--yes', '--json', '--adopt'])
    expectRefusal(run, 5, 'E_PACKAGE_UNAVAILABLE', { what: /keepalived 1:9\.\*/, why: /1:\d/, fix: /packages:/ })
    expect(await snapshots(lab)).toEqual(before)
  })

  test("waits for a lock of apt's and names its holder; keeps the original of a conffile changed by hand; needrestart restarts nothing", async () => {
    work.writeInventory(labInventory(lab, { packages: { keepalived: '1:*' } }))
    const outdated = await pidOf('e2e-outdated')
    await lab.sh('srv-2', HOLD_LOCK)
    const running = work.start(['deploy', '--yes', '--json', '--adopt'])
    const note = await running.line('waiting for the lock', line => line.event === 'note' && line.server === 'srv-2')
    expect(note.text).toMatch(/^waiting for perl \(pid \d+\), which holds apt's lock$/)
    await lab.sh('srv-2', 'systemctl stop e2e-lock')
    const run = await running.ended
    expectExit(run, 0)
    for (const changed of changedBy(run) ?? [])
      expect(changed).toEqual(expect.arrayContaining(['package/keepalived', 'file/unattended-upgrades']))
    expect(await lab.sh('srv-1', `tail -n 1 /var/lib/hactl/original/${copyName('/etc/haproxy/haproxy.cfg')}`)).toBe(
      '# my own haproxy.cfg\n',
    )
    expect(await lab.sh('srv-1', 'grep -c "my own" /etc/haproxy/haproxy.cfg || true')).toBe('0\n')
    expect(await pidOf('e2e-outdated')).toBe(outdated)
    // An installed package is not replaced by a deploy.
    expect(new Set(await versions())).toEqual(new Set([`${newest}~e2e`]))
    expect(await lab.sh('srv-3', 'apt-config dump Unattended-Upgrade::Package-Blacklist')).toMatch(/"haproxy\$";\n.*"keepalived\$";/)
    await untilHeldBy(lab, 'srv-1')
  })
})

describe('upgrade', SLOW, () => {
  test('with a mirror that does not answer is refused, and the cluster still serves', async () => {
    await lab.sh(
      'srv-3',
      `cp -a /etc/apt/sources.list /root/; sed -i 's,https\\?://[^/ ]*,http://${lab.backends[0]?.host}:9,' /etc/apt/sources.list`,
    )
    const [poller, before] = [await startPoller(lab.vip), await services(lab)]
    const run = await upgrade()
    const seen = await poller.stop()
    await lab.sh('srv-3', 'mv /root/sources.list /etc/apt/')
    const result = expectRefusal(run, 5, 'E_PACKAGE_UNAVAILABLE', {
      what: /mirror does not answer/,
      why: /Failed to fetch/,
      fix: /apt-get update/,
    })
    expect(result.server).toBe('srv-3')
    expect(seen).toMatchObject({ failed: 0 })
    expect(await services(lab)).toEqual(before)
  })

  test('that fails on its first server stops there, leaves it drained, and says so', async () => {
    await lab.sh(
      'srv-3',
      'mkdir -p /run/systemd/system/haproxy.service.d; printf "[Service]\\nExecReload=\\nExecReload=/bin/false\\n" >/run/systemd/system/haproxy.service.d/e2e.conf; systemctl daemon-reload',
    )
    const poller = await startPoller(lab.vip)
    const run = await upgrade()
    const seen = await poller.stop()
    await lab.sh('srv-3', 'rm /run/systemd/system/haproxy.service.d/e2e.conf; systemctl daemon-reload')
    const result = expectRefusal(run, 6, 'E_COMMAND_FAILED', { why: /srv-3 stays drained[\s\S]*later servers keep/, fix: /hactl upgrade/ })
    expect(result.servers).toMatchObject([{ name: 'srv-3', changed: expect.arrayContaining(['package/haproxy']) }])
    expect(seen).toMatchObject({ failed: 0 })
    expect(await versions()).toEqual([`${newest}~e2e`, `${newest}~e2e`, newest])
    expect(await lab.holders()).toEqual(['srv-1'])
  })

  test('continues where it ended: the holder last and drained first, no client is refused, and changes by hand stay', async () => {
    const outdated = await pidOf('e2e-outdated')
    // keepalived's package restarts it, haproxy's only reloads.
    await lab.sh('srv-1', installOlder('keepalived'))
    await untilHeldBy(lab, 'srv-1')
    const poller = await startPoller(lab.vip)
    const run = await upgrade()
    const seen = await poller.stop()
    expectExit(run, 0)
    expect(changedBy(run)).toEqual([
      ['package/haproxy', 'package/keepalived', 'service/haproxy', 'service/keepalived'],
      ['package/haproxy', 'service/haproxy'],
      ['service/haproxy'],
    ])
    expect(run.lines.filter(line => line.event === 'wave-started').map(line => line.servers)).toEqual([['srv-3'], ['srv-2'], ['srv-1']])
    expect(seen.errors.filter(error => !/ECONNRESET|socket hang up/.test(error))).toEqual([])
    expectNoHole(seen)
    expect(new Set(await versions())).toEqual(new Set([newest]))
    expect(await lab.everywhere('tail -n 1 /etc/default/haproxy; cat /run/hactl/drain')).toEqual(Array(3).fill('# by hand\n0\n'))
    await untilHeldBy(lab, 'srv-1')
    expect((await work.hactl(['history'])).stdout).toMatch(/ upgrade by tester@/)
    // Not by needrestart, which would have, though it does not find it at every call.
    expect(await pidOf('e2e-outdated')).toBe(outdated)
    await until('needrestart has restarted it', 60_000, async () => {
      await lab.sh('srv-1', 'needrestart -r a -l >/dev/null 2>&1 </dev/null || true')
      return (await pidOf('e2e-outdated')) !== outdated
    })
  })

  test('with nothing to upgrade says so and touches nothing', async () => {
    const [files, before] = [await snapshots(lab), await services(lab)]
    const run = await work.hactl(['upgrade', '--yes'])
    expectExit(run, 0)
    expect(run.stdout).toMatch(/^nothing to upgrade/m)
    expect(await services(lab)).toEqual(before)
    expect(await snapshots(lab)).toEqual(files)
    expect((await work.hactl(['plan', '--exit-code', '--quiet'])).exit).toBe(0)
  })
})

test('a server whose apt reaches no mirror gets its packages from a folder here, and newer ones from there as well', SLOW, async () => {
  const pack = async (script: string) => {
    const folder = join(work.dir, 'debs')
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder)
    const tar = await lab.sh(
      'srv-1',
      `cd "$(mktemp -d)" && apt-get -q download keepalived >/dev/null 2>&1 && ${script} && tar -cz *.deb | base64 -w 0`,
    )
    expect(spawnSync('tar', ['-xz', '-C', folder], { input: Buffer.from(tar, 'base64') }).status).toBe(0)
  }
  // haproxy's own library too: a dependency that is not installed there must be carried as well.
  const library = (await lab.sh('srv-3', "dpkg-query -W -f='${Package}\\n' 'liblua5*'")).trim().split('\n')[0] ?? ''
  await lab.sh(
    'srv-3',
    `cp -a /etc/apt/sources.list /root/; : >/etc/apt/sources.list; DEBIAN_FRONTEND=noninteractive apt-get -qy purge haproxy keepalived ${library} >/dev/null 2>&1; rm -rf /var/lib/apt/lists/*`,
  )
  try {
    work.writeInventory(labInventory(lab, { packages: { from: 'debs' } }))
    await pack(
      `apt-get -q download haproxy ${library} >/dev/null 2>&1 && dpkg-deb -R haproxy_*.deb old && sed -i 's/^Version: .*/&~e2e/' old/DEBIAN/control && rm haproxy_*.deb && dpkg-deb -Zgzip -z1 -b old . >/dev/null`,
    )
    const deployed = await work.hactl(['deploy', '--yes', '--json'])
    expectExit(deployed, 0)
    expect(changedBy(deployed)?.[2]).toEqual(expect.arrayContaining(['package/haproxy', 'package/keepalived', 'service/haproxy']))
    expect(await versions()).toEqual([newest, newest, `${newest}~e2e`])
    await pack('apt-get -q download haproxy >/dev/null 2>&1')
    const upgraded = await upgrade()
    expectExit(upgraded, 0)
    expect(changedBy(upgraded)).toEqual([[], [], ['package/haproxy', 'service/haproxy']])
    expect(await versions()).toEqual(Array(3).fill(newest))
    expect(await lab.sh('srv-3', 'ls -A /var/cache/apt/hactl /var/lib/apt/lists 2>/dev/null || true')).not.toMatch(/\.deb|InRelease/)
    expect((await work.hactl(['plan', '--exit-code', '--quiet'])).exit).toBe(0)
  } finally {
    await lab.sh('srv-3', 'mv /root/sources.list /etc/apt/')
  }
})

test('servers that reach no mirror get what their apt asks for through hactl, at a first deploy and at an upgrade', SLOW, async () => {
  // Whatever the mirrors of this lab are: hactl is told of them, as an operator tells of his own.
  const asked = await lab.sh('srv-1', "apt-get indextargets --format '$(REPO_URI)' | sort -u")
  const mirrors = [...new Set(asked.trim().split('\n'))].map(uri => new URL(uri).host)
  work.writeInventory(labInventory(lab, { packages: { from: 'controller', mirrors } }))
  await lab.sh('srv-2', `${installOlder('haproxy')}`)
  const CUT =
    'ip route show default >/root/e2e-route; while ip route del default 2>/dev/null; do :; done; rm -rf /var/lib/apt/lists/*; ! timeout 20 apt-get -q -o Acquire::Retries=0 -o Acquire::http::Timeout=2 -o Acquire::https::Timeout=2 update -o APT::Update::Error-Mode=any >/dev/null 2>&1'
  await lab.sh('srv-3', 'DEBIAN_FRONTEND=noninteractive apt-get -qy purge haproxy keepalived >/dev/null 2>&1')
  await lab.everywhere(CUT)
  try {
    const deployed = await work.hactl(['deploy', '--yes', '--json'])
    expectExit(deployed, 0)
    expect(changedBy(deployed)?.[2]).toEqual(expect.arrayContaining(['package/haproxy', 'package/keepalived', 'service/haproxy']))
    expect(deployed.lines).toContainEqual(
      expect.objectContaining({
        event: 'note',
        server: 'srv-3',
        text: expect.stringMatching(/^this machine fetched packages for its apt and copied them over: \d+ files/),
      }),
    )
    await untilHeldBy(lab, 'srv-1')
    const poller = await startPoller(lab.vip)
    const upgraded = await upgrade()
    expectNoHole(await poller.stop())
    expectExit(upgraded, 0)
    expect(changedBy(upgraded)).toEqual([[], ['package/haproxy', 'service/haproxy'], []])
    expect(await versions()).toEqual(Array(3).fill(newest))
    // apt asks its own repositories, whose signatures it has checked, and knows them afterwards.
    expect(await lab.everywhere('ls /var/lib/apt/lists | grep -c Release; ls -A /var/cache/apt/hactl 2>/dev/null || true')).toEqual(
      Array(3).fill(expect.stringMatching(/^[1-9]\d*\n$/)),
    )
    expect((await work.hactl(['plan', '--exit-code', '--quiet'])).exit).toBe(0)
  } finally {
    await lab.everywhere('while read -r route; do ip route add $route; done </root/e2e-route; rm /root/e2e-route')
  }
})
