/** The state of a server, read on it and not through hactl: for "nothing was changed", "the same process still runs" and the like. */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Lab, labFolder, SERVERS, until } from './lab.ts'
import type { Run, Workspace } from './hactl.ts'

const FOLDERS =
  '/etc/haproxy /etc/keepalived /etc/systemd /etc/sysctl.d /etc/tmpfiles.d /etc/default /etc/apt /etc/rsyslog.d /usr/local /var/lib/hactl'

const PARAMETERS = ['ip_nonlocal_bind', 'conf/eth0/arp_ignore', 'conf/eth0/arp_announce', 'tcp_fwmark_accept']
const HACTL_TABLES = "nft list tables 2>/dev/null | awk '$3 ~ /^hactl/ { print $1, $2, $3 }'"

/**
 * Everything that a deploy may change: files, packages, units, kernel parameters and the packet filter's tables, as one text per server. What
 * changes by itself is not in it. `folders` are those to look into.
 */
export function snapshots(lab: Lab, folders = FOLDERS): Promise<readonly string[]> {
  return lab.everywhere(`
find ${folders} -xdev -type f -print0 2>/dev/null | sort -z | xargs -0 sha256sum
find ${folders} -xdev -printf '%m %u %g %p %l\\n' 2>/dev/null | sort
dpkg-query -W
systemctl list-unit-files --no-legend --no-pager
systemctl list-units --all --no-legend --no-pager --plain 'haproxy*' 'keepalived*' 'hactl*'
(cd /proc/sys/net/ipv4 && grep -H . ${PARAMETERS.join(' ')})
${HACTL_TABLES}
ls /run/hactl 2>/dev/null; true`)
}

/** What the service for open connections sets up in a server's kernel so that it can go on serving an address. It changes for seconds after a move. */
export function preparations(lab: Lab): Promise<readonly string[]> {
  return lab.everywhere('for f in -4 -6; do ip $f rule show; ip $f route show table 8945; done 2>/dev/null; ip -o addr show dev lo')
}

/** Checksums of what hactl puts live on a server; what it keeps for itself under /var/lib/hactl does not count. */
export function liveFiles(lab: Lab): Promise<readonly string[]> {
  return lab.everywhere(
    'for f in /etc/haproxy/haproxy.cfg /etc/keepalived/keepalived.conf /usr/local/bin/haproxy-service-check.sh /etc/sysctl.d/90-hactl.conf ' +
      '/etc/tmpfiles.d/hactl.conf /etc/systemd/system/*.service.d/hactl.conf; do [ -e "$f" ] && sha256sum "$f"; done; true',
  )
}

/** "haproxy active 1234 keepalived active 1300" per server. */
export function services(lab: Lab): Promise<readonly string[]> {
  return lab.everywhere(
    "for u in haproxy keepalived; do echo $u $(systemctl is-active $u) $(systemctl show -p MainPID --value $u); done | tr '\\n' ' '",
  )
}

/** A place in a server's journal, to read from. */
export async function journalCursors(lab: Lab): Promise<readonly string[]> {
  const shown = await lab.everywhere('journalctl -q -n 1 --show-cursor --no-pager | tail -n 1')
  return shown.map(line => line.replace('-- cursor: ', '').trim())
}

/** What the journal of each server says about a unit since then, without what keepalived logs whenever hactl asks for its state. */
export async function journalSince(lab: Lab, cursors: readonly string[], unit: string): Promise<readonly string[]> {
  const said = await Promise.all(
    SERVERS.map((server, index) => lab.sh(server, `journalctl -q --no-pager -o cat -u ${unit} --after-cursor='${cursors[index] ?? ''}'`)),
  )
  return said.map(text => text.replace(/^Printing .* on signal\n/gm, ''))
}

/** Makes sshd log every command that it is asked to run. */
export async function countCommands(lab: Lab): Promise<() => Promise<readonly number[]>> {
  await lab.everywhere("echo 'LogLevel VERBOSE' >/etc/ssh/sshd_config.d/e2e.conf && systemctl reload ssh && sleep 0.3")
  const cursors = await journalCursors(lab)
  return async () =>
    (await journalSince(lab, cursors, 'ssh')).map(text => text.split('\n').filter(line => /Starting session: command/.test(line)).length)
}

/** Nothing of a drill is left on any server: units, timers. Units that a deploy leaves belong there. */
export async function residue(lab: Lab): Promise<string> {
  const left = await lab.everywhere(
    'systemctl list-units --all --no-legend --plain "hactl-*" | awk \'{print $1}\' | grep -vE "^(hactl-hand-over@.*|hactl-open-connections)[.]service$"; ls /run/systemd/transient 2>/dev/null | grep ^hactl- || true',
  )
  return left.join('').trim()
}

/** The track files and marks under /run/hactl with their contents. */
export function trackers(lab: Lab): Promise<readonly string[]> {
  return lab.everywhere(
    'cd /run/hactl && for f in * .[!.]*; do case $f in open-connections.*) ;; *) [ -e "$f" ] && echo "$f $(cat "$f")" ;; esac; done; true',
  )
}

/** Deploys the inventory, which is quick where it is deployed already. A lab that a deploy cannot fix is reset. */
export async function ensureDeployed(lab: Lab, workspace: Workspace, env: Readonly<Record<string, string>> = {}): Promise<Run> {
  await lab.heal()
  const deploy = () => workspace.hactl(['deploy', '--yes', '--json', '--adopt'], { env })
  const first = await deploy()
  if (first.exit === 0) return first
  // A reset removes what the test before left behind, so the output is kept in a file first.
  appendFileSync(join(labFolder, 'e2e-resets.log'), `${new Date().toISOString()}\n${first.stdout.slice(-2000)}\n${first.stderr}\n`)
  await lab.reset()
  const second = await deploy()
  if (second.exit !== 0) throw new Error(`the lab cannot be deployed:\n${first.stdout}${first.stderr}\n${second.stdout}${second.stderr}`)
  return second
}

/** Waits until one server holds the address, and that it is this one. */
export async function untilHeldBy(lab: Lab, server: string, limitMs = 20_000): Promise<void> {
  await until(`${server} alone holds ${lab.vip}`, limitMs, async () => (await lab.holders()).join() === server)
}

/** A certificate for this name with its key, made on a server: neither is in the tree. */
export function makePem(lab: Lab, name: string): Promise<string> {
  const openssl = `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 -subj /CN=${name}`
  return lab.sh('srv-1', `cd $(mktemp -d) && ${openssl} -keyout key -out crt 2>/dev/null && cat crt key`)
}

/**
 * Shell lines that replace an installed package by the one from the repositories, repacked under a lower version and with another
 * conffile, as a server has it that was set up some time ago. A tilde sorts before everything (deb-version(7)).
 */
export function installOlder(name: string): string {
  return `
cd "$(mktemp -d)" && apt-get -q download ${name} >/dev/null 2>&1 && dpkg-deb -R ${name}_*.deb old
sed -i 's/^Version: .*/&~e2e/' old/DEBIAN/control && echo '# as it was packaged then' >>old/etc/default/${name}
dpkg-deb -Zgzip -z1 -b old older.deb >/dev/null
NEEDRESTART_SUSPEND=1 DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends --allow-downgrades -o Dpkg::Options::=--force-confold ./older.deb >/dev/null 2>&1`
}
