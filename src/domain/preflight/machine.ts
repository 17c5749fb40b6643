/** What each server must fulfil by itself, before anything is written to it. Pure. */
import type { ObservedNode } from '../../state/observed.ts'
import { unsafeFolders } from '../health.ts'
import { failed, type Finding, passed, unknown, warning } from './finding.ts'

/** Logs and reports of several servers are read side by side. */
const CLOCK_WARNING_MS = 5_000
/** apt refuses package lists that are "not valid yet", and TLS certificates that are not yet, or no longer, valid. */
const CLOCK_LIMIT_MS = 600_000
/** Room for both packages with their dependencies, their archives, and fresh package lists. */
const INSTALL_NEEDS_KIB = 128 * 1024
/** Room for files, their copies, and a history entry. */
const FILES_NEED_KIB = 8 * 1024

export function machineFindings(nodes: readonly ObservedNode[]): readonly Finding[] {
  return [
    ...nodes.flatMap(systemFindings),
    ...nodes.map(node => machineFinding(node, nodes)),
    ...clockFindings(nodes),
    ...nodes.map(diskFinding),
    ...nodes.map(dpkgFinding),
    ...nodes.map(programsFinding),
  ]
}

/** What makes it impossible for hactl to work on a server at all. */
export function systemFindings(node: ObservedNode): readonly Finding[] {
  const { facts, server } = node
  const family = [facts.os.id, ...facts.os.like.split(' ')]
  return [
    facts.uid === 0
      ? passed('root', server, 'root')
      : failed('root', {
          code: 'E_SUDO',
          server,
          what: `hactl works as uid ${facts.uid} here, not as root`,
          fix: 'set become: true, or log in as root',
        }),
    facts.dpkg && family.includes('debian')
      ? passed('system', server, facts.os.pretty)
      : failed('system', {
          code: 'E_OS_UNSUPPORTED',
          server,
          what: `${facts.os.pretty} is neither Debian nor Ubuntu`,
          why: ['hactl installs with apt and knows how Debian ships haproxy and keepalived'],
          fix: 'use a server with Debian 11 or Ubuntu 20.04, or one of their later releases',
        }),
    facts.systemd
      ? passed('systemd', server, 'runs')
      : failed('systemd', { code: 'E_NO_SYSTEMD', server, what: 'systemd does not run here', fix: 'use a server that systemd booted' }),
  ]
}

/** An equal machine-id alone is no proof, because cloned images share it. Two names for one machine share its network cards too. */
export function machineFinding(node: ObservedNode, nodes: readonly ObservedNode[]): Finding {
  const { server, facts } = node
  const earlier = nodes.slice(0, nodes.indexOf(node))
  const cards = (one: ObservedNode) => one.facts.linkAddresses.join(' ')
  const sameId = earlier.find(one => facts.machineId !== '' && one.facts.machineId === facts.machineId)
  if (sameId === undefined) return passed('machine', server, facts.machineId)
  const twin = earlier.find(one => one.facts.machineId === facts.machineId && cards(one) === cards(node) && facts.linkAddresses.length > 0)
  if (twin === undefined) {
    return warning(
      'machine',
      server,
      `it has the same machine id as ${sameId.server}: one was cloned from the other`,
      'rm /etc/machine-id /var/lib/dbus/machine-id; systemd-machine-id-setup, then reboot',
    )
  }
  return failed('machine', {
    code: 'E_SAME_MACHINE',
    server,
    what: `${server} and ${twin.server} are one machine`,
    why: [`both have the machine id ${facts.machineId} and the network cards ${facts.linkAddresses.join(', ')}`],
    fix: 'a machine cannot take over from itself: name different hosts',
  })
}

/** Compared with the median of all clocks. The controller's is one of them, because it may be the wrong one. */
function clockFindings(nodes: readonly ObservedNode[]): readonly Finding[] {
  const known = nodes.flatMap(node => (node.clockAheadMs === undefined ? [] : [node.clockAheadMs]))
  const sorted = [0, ...known].toSorted((a, b) => a - b)
  const middle = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0
  return nodes.map(node => {
    const { server, clockAheadMs } = node
    if (clockAheadMs === undefined) return unknown('clock', server, 'not compared')
    const offMs = clockAheadMs - middle
    const seconds = Math.round(Math.abs(offMs) / 1000)
    const found = `its clock is ${seconds} s ${offMs > 0 ? 'ahead of' : 'behind'} the others`
    const fix = 'timedatectl set-ntp true (systemd-timesyncd or chrony must be installed), or set it with date -s'
    if (Math.abs(offMs) < CLOCK_WARNING_MS) return passed('clock', server, 'as the others')
    if (Math.abs(offMs) < CLOCK_LIMIT_MS || !mustInstall(node)) return warning('clock', server, found, fix)
    return failed('clock', {
      code: 'E_CLOCK',
      server,
      what: found,
      why: ['apt refuses package lists that are not valid yet, and every TLS certificate has its dates'],
      fix,
    })
  })
}

function mustInstall(node: ObservedNode): boolean {
  return Object.values(node.packages).some(known => known.installed === undefined)
}

function diskFinding(node: ObservedNode): Finding {
  const needsKiB = mustInstall(node) ? INSTALL_NEEDS_KIB : FILES_NEED_KIB
  const mib = (kib: number) => `${Math.floor(kib / 1024)} MiB`
  const { freeVarKiB } = node.facts
  if (freeVarKiB === undefined) return unknown('disk', node.server, 'df did not report the free space under /var')
  if (freeVarKiB >= needsKiB) return passed('disk', node.server, `${mib(freeVarKiB)} free under /var`)
  return failed('disk', {
    code: 'E_DISK_FULL',
    server: node.server,
    what: `/var has only ${mib(freeVarKiB)} free`,
    why: [`${mib(needsKiB)} are needed${mustInstall(node) ? ' to install haproxy and keepalived' : ''}`],
    fix: 'apt-get clean; journalctl --vacuum-size=100M; du -xh /var | sort -h | tail shows what takes the space',
  })
}

function dpkgFinding(node: ObservedNode): Finding {
  if (node.facts.cloudInitRuns === true)
    return warning('dpkg', node.server, 'cloud-init is still setting it up, and may install packages', 'wait: cloud-init status --wait')
  if (!node.dpkgBroken) return passed('dpkg', node.server, 'no interrupted installation')
  return mustInstall(node)
    ? warning('dpkg', node.server, 'an installation was interrupted; deploy finishes it first', 'or now: dpkg --configure -a')
    : warning('dpkg', node.server, 'an installation was interrupted', 'dpkg --configure -a')
}

/** Whether root and keepalived may run what hactl puts there: keepalived looks at every folder above a script. */
export function programsFinding(node: ObservedNode): Finding {
  const [unsafe, ...others] = unsafeFolders(node)
  if (unsafe === undefined) return passed('programs', node.server, 'only root can change them')
  return failed('programs', {
    code: 'E_UNHEALTHY',
    server: node.server,
    what: unsafe.what,
    why: [unsafe.why, ...others.map(({ what, why }) => `${what}: ${why}`)],
    fix: `on ${node.server}: ${[unsafe, ...others].map(({ fix }) => fix).join('; ')}`,
  })
}
