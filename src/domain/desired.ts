/** Cluster and facts -> what one server should be. The one place that lists what hactl puts on a server. */
import { createHash } from 'node:crypto'
import { shWith } from '../shell/sh.ts'
import type { AbsentFileResource, DesiredNode, FileResource, Resource } from '../state/desired.ts'
import { MEMBERS, PROGRAM_DIR } from '../state/places.ts'
import type { Cluster } from './cluster-types.ts'
import { firewallNeeds } from './firewall/needs.ts'
import { openingFor } from './firewall/open.ts'
import { renderServiceHooks, stopLimitSeconds } from './hand-over.ts'
import { handOverCompanion, renderHandOverUnit } from './hand-over-unit.ts'
import { renderCheckProgram, renderCheckScript } from './haproxy/check-script.ts'
import { renderHaproxyDropin } from './haproxy/hooks.ts'
import { renderKeepalivedConf } from './keepalived/config.ts'
import { renderKeepalivedDropin, renderTmpfilesConf } from './keepalived/hooks.ts'
import { renderMembers } from './members.ts'
import type { NodeFacts } from './node-facts.ts'
import { NFTABLES } from './open-connections/mode.ts'
import { OPEN_CONNECTIONS_PLACES, openConnectionsFiles, openConnectionsTool } from './open-connections/resources.ts'
import { PACKAGES, renderUnattendedConf } from './packages.ts'
import {
  CHECK_PROGRAM,
  CHECK_SCRIPT,
  FIREWALL_SCRIPT,
  FIREWALL_UNIT,
  GENERATED_LINE,
  HAND_OVER_UNIT,
  HAPROXY_CFG,
  HAPROXY_DROPIN,
  KEEPALIVED_CONF,
  KEEPALIVED_DROPIN,
  SERVICE_HOOKS,
  SYSCTL_CONF,
  TMPFILES_CONF,
  UNATTENDED_CONF,
} from './paths.ts'
import { MAKE_MISSING_TRACKERS, SAY_HAPROXY_RUNS, SAY_HAPROXY_RUNS_TO_KEEPALIVED, TRACKER_FILES } from './trackers.ts'

/** So that haproxy can bind the address on servers that do not hold it (evidence H3). */
const NONLOCAL_BIND = 'net.ipv4.ip_nonlocal_bind'
const NONLOCAL_BIND_6 = 'net.ipv6.ip_nonlocal_bind'

/** The kernel parameters that are 1 on every server of this cluster. */
export function kernelParameters(cluster: Cluster): readonly string[] {
  const hasIpv6 = cluster.instances.some(instance => instance.virtualAddresses.some(({ family }) => family === 6))
  return hasIpv6 ? [NONLOCAL_BIND, NONLOCAL_BIND_6] : [NONLOCAL_BIND]
}

const KEEPALIVED_MASKS = ['(auth_pass[ \\t]+)(\\S+)']
/** `stats auth USER:PASSWORD`, `user NAME [insecure-]password PASSWORD`, credentials in an http_auth header or a server's password. */
const HAPROXY_MASKS: readonly string[] = [
  '(^[ \\t]*stats[ \\t]+auth[ \\t]+[^:\\s]+:)(\\S+)',
  '(^[ \\t]*user[ \\t]+\\S+[ \\t]+(?:insecure-)?password[ \\t]+)(\\S+)',
  '([Aa]uthorization[ \\t]+["\']?(?:[Bb]asic|[Bb]earer)(?:[ \\t]|\\\\ )+)([^"\'\\s]+)',
]

/** Whether a haproxy.cfg contains a password, as far as these patterns find it. */
export function holdsPassword(haproxyCfg: string): boolean {
  return HAPROXY_MASKS.some(mask => new RegExp(mask, 'm').test(haproxyCfg))
}

// The whole file is masked: a diff only says that it changed.
const CERTIFICATE_MASKS = ['()([\\s\\S]+)']
const HAPROXY_LOADS = shWith('certificate.sh')`haproxy_loads`

/** The files that haproxy loads: its configuration and the certificates that hactl ships. */
export function haproxyLoadedHash(config: string, certificates: readonly { readonly path: string; readonly content: string }[]): string {
  return sha256([config, ...certificates.map(({ path, content }) => `${path} ${sha256(content)}\n`)].join(''))
}

/** Id of a certificate's resource. A playbook settles all of them with the task file/certificates. */
function certificateId(path: string): string {
  return `file/certificates/${path.slice(path.lastIndexOf('/') + 1)}`
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function file(id: string, path: string, content: string, more: Partial<FileResource> = {}): FileResource {
  return { kind: 'file', id, path, content, mode: '0644', owner: 'root', group: 'root', masks: [], verbatim: false, ...more }
}

/** The fast profile's own files. In classic they must be absent. */
function fastFiles(cluster: Cluster, facts: NodeFacts): readonly FileResource[] {
  const mode = facts.openConnections.mode.kind
  const limit = stopLimitSeconds(cluster, mode)
  return [
    // It makes the folder as well: keepalived 2.2.8 and later refuse, in -t, a track file whose folder does not exist (evidence T4).
    file('file/tmpfiles', TMPFILES_CONF, renderTmpfilesConf(), {
      validation: { argv: ['systemd-tmpfiles', '--create', '{}'], mustBeSilent: true, alsoStaged: [] },
    }),
    file('file/check-program', CHECK_PROGRAM, renderCheckProgram(), {
      mode: '0755',
      validation: { argv: ['perl', '-c', '{}'], mustBeSilent: false, alsoStaged: [] },
    }),
    file('file/service-hooks', SERVICE_HOOKS, renderServiceHooks(cluster, mode), {
      mode: '0755',
      validation: { argv: ['sh', '-n', '{}'], mustBeSilent: true, alsoStaged: [] },
    }),
    file('file/hand-over-unit', HAND_OVER_UNIT, renderHandOverUnit(limit)),
    file('file/haproxy-dropin', HAPROXY_DROPIN, renderHaproxyDropin(limit)),
    file('file/keepalived-dropin', KEEPALIVED_DROPIN, renderKeepalivedDropin()),
  ]
}

/** Programs that other files call are removed after those files, by a task of their own (playbooks/deploy.yml). */
export function absentFile(id: string, path: string): AbsentFileResource {
  return { kind: 'absent-file', id: path.startsWith(`${PROGRAM_DIR}/`) ? id.replace(/^file\//, 'absent/') : id, path }
}

/**
 * What opens the packet filter, where the inventory asks for it and the filter's other rules do not let the packets through already.
 * Without `open` nothing is changed: closing what was opened would cut off servers that work.
 */
function firewallResources(cluster: Cluster, serverName: string, facts: NodeFacts): readonly Resource[] {
  if (cluster.firewall !== 'open' || facts.firewall === undefined) return []
  const opening = openingFor(facts.firewall, firewallNeeds(cluster, serverName, facts))
  if (opening.kind === 'impossible') return []
  if (opening.kind === 'none') {
    return [
      { kind: 'absent-file', id: 'file/firewall', path: FIREWALL_SCRIPT },
      { kind: 'absent-file', id: 'file/firewall-unit', path: FIREWALL_UNIT },
    ]
  }
  const { titles, script, unit, isOpen } = opening
  return [
    unit === undefined
      ? { kind: 'absent-file', id: 'file/firewall-unit', path: FIREWALL_UNIT }
      : file('file/firewall-unit', FIREWALL_UNIT, unit),
    file('file/firewall', FIREWALL_SCRIPT, script, {
      mode: '0755',
      validation: { argv: ['sh', '-n', '{}'], mustBeSilent: true, alsoStaged: [] },
    }),
    {
      kind: 'own-tool',
      id: 'firewall/rules',
      title: `open the firewall for ${titles.join(', ')}`,
      script: FIREWALL_SCRIPT,
      isOpen,
      found: isOpen ? `the firewall lets ${titles.join(', ')} through` : 'rules are missing',
    },
  ]
}

/** What keeps open connections over a move, where the inventory wants it and the server can; else it must be absent. */
function openConnectionsResources(cluster: Cluster, server: string, facts: NodeFacts): readonly Resource[] {
  if (facts.openConnections.mode.kind === 'reset') return OPEN_CONNECTIONS_PLACES.map(({ id, path }) => absentFile(id, path))
  const files = openConnectionsFiles(cluster, server, facts)
  return [...files.map(({ id, path, content, ...more }) => file(id, path, content, more)), openConnectionsTool(facts)]
}

/**
 * Everything hactl wants on this server. Pure: the same cluster and facts give the same bytes.
 * Throws what renderKeepalivedConf throws.
 */
export function desiredNode(cluster: Cluster, serverName: string, facts: NodeFacts): DesiredNode {
  const fast = cluster.profile === 'fast'
  const keepalivedConf = renderKeepalivedConf(cluster, serverName, facts)
  const extra = fastFiles(cluster, facts)
  const certificates = cluster.certificates.map(({ path, text }) =>
    file(certificateId(path), path, text, {
      mode: '0600',
      masks: CERTIFICATE_MASKS,
      validation: { argv: [HAPROXY_LOADS, '{}'], mustBeSilent: false, alsoStaged: [] },
    }),
  )
  const resources: readonly Resource[] = [
    ...PACKAGES.map(name => {
      const pin = cluster.packages.pins[name]
      return { kind: 'package', id: `package/${name}`, name, ...(pin === undefined ? {} : { pin }) } as const
    }),
    ...(facts.openConnections.mode.kind === 'keep' && facts.openConnections.observed?.ability.kind === 'installable'
      ? [{ kind: 'package', id: `package/${NFTABLES}`, name: NFTABLES } as const]
      : []),
    cluster.packages.unattendedUpgrades
      ? { kind: 'absent-file', id: 'file/unattended-upgrades', path: UNATTENDED_CONF }
      : file('file/unattended-upgrades', UNATTENDED_CONF, renderUnattendedConf()),
    file('file/members', MEMBERS, renderMembers(cluster), { mode: '0600' }),
    file(
      'file/sysctl',
      SYSCTL_CONF,
      `${GENERATED_LINE}\n${kernelParameters(cluster)
        .map(key => `${key} = 1\n`)
        .join('')}`,
    ),
    ...kernelParameters(cluster).map(key => ({ kind: 'sysctl', id: `sysctl/${key}`, key, value: '1' }) as const),
    file('file/check-script', CHECK_SCRIPT, renderCheckScript(cluster), {
      mode: '0755',
      validation: { argv: ['sh', '-n', '{}'], mustBeSilent: true, alsoStaged: [] },
    }),
    ...(fast ? extra : extra.map(({ id, path }) => absentFile(id, path))),
    ...openConnectionsResources(cluster, serverName, facts),
    ...certificates,
    ...firewallResources(cluster, serverName, facts),
    file('file/haproxy.cfg', HAPROXY_CFG, cluster.haproxyConfig.text, {
      // HAProxy reads it as root, before it changes its user.
      mode: holdsPassword(cluster.haproxyConfig.text) ? '0640' : '0644',
      masks: HAPROXY_MASKS,
      verbatim: cluster.haproxyConfig.verbatim,
      validation: { argv: ['haproxy', '-c', '-f', '{}'], mustBeSilent: false, alsoStaged: certificates.map(({ path }) => path) },
    }),
    {
      kind: 'service',
      id: 'service/haproxy',
      unit: 'haproxy',
      loadedHash: haproxyLoadedHash(cluster.haproxyConfig.text, certificates),
      loads: [HAPROXY_CFG, ...certificates.map(({ path }) => path)],
      whenActive: fast ? [SAY_HAPROXY_RUNS] : [],
      ...(fast ? { companion: handOverCompanion('haproxy') } : {}),
    },
    file('file/keepalived.conf', KEEPALIVED_CONF, keepalivedConf, {
      mode: '0640',
      masks: KEEPALIVED_MASKS,
      validation: {
        argv: ['keepalived', '-t', '-f', '{}'],
        mustBeSilent: true,
        alsoStaged: [CHECK_SCRIPT],
        // On a first deploy no unit has made the folder of the track files yet (evidence T4).
        ...(fast ? { before: MAKE_MISSING_TRACKERS } : {}),
      },
    }),
    {
      kind: 'service',
      id: 'service/keepalived',
      unit: 'keepalived',
      loadedHash: sha256(keepalivedConf),
      loads: [KEEPALIVED_CONF],
      whenActive: fast ? [SAY_HAPROXY_RUNS_TO_KEEPALIVED] : [],
      ...(fast ? { companion: handOverCompanion('keepalived'), runtimeFiles: Object.values(TRACKER_FILES) } : {}),
    },
  ]
  return { server: serverName, resources }
}
