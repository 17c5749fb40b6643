/** What is wrong with a server or the cluster, judged by what runs. Pure: gates, status and the refusal of drills share it. */
import type { ObservedInstance } from '../state/instance.ts'
import type { ObservedNode } from '../state/observed.ts'
import { isHeld } from './addresses.ts'
import type { Cluster } from './cluster-types.ts'
import { handOverUnitOf } from './hand-over-unit.ts'
import { contextOf } from './keepalived/lint-context.ts'
import { CHECK_SCRIPT, HAND_OVER_UNIT, HAPROXY_DROPIN, KEEPALIVED_CONF, KEEPALIVED_DROPIN, TRACK_DIR, SERVICE_HOOKS } from './paths.ts'
import { isDrained, TRACKER_FILES, tracksDrain } from './trackers.ts'

/**
 * What is broken on this server; empty where it is healthy. The texts are worded to follow the server's name.
 * A drained server counts as healthy, although it takes nothing over while another server can.
 */
export function nodeProblems(cluster: Cluster, node: ObservedNode): readonly string[] {
  const problems: string[] = []
  const { haproxy, keepalived } = node.services
  const wrongTrackers = trackerValueProblems(cluster, node)
  const leftOffsets = leftOffsetProblems(cluster, node)
  if (haproxy.active !== 'active') problems.push(`haproxy is ${haproxy.active}`)
  else if (node.checkStatus === undefined) problems.push('the check script is missing')
  else if (node.checkStatus !== 0) problems.push('haproxy does not answer its check')
  if (keepalived.active !== 'active') problems.push(`keepalived is ${keepalived.active}`)
  else {
    if (node.instances.length === 0) problems.push('keepalived runs, but shows no instance')
    problems.push(...refusedProblems(node))
    for (const wanted of cluster.instances) {
      const instance = node.instances.find(own => own.name === wanted.name)
      if (instance === undefined) {
        if (node.instances.length > 0) problems.push(`keepalived does not know ${wanted.name}`)
      } else {
        problems.push(...untrackedProblems(node, instance))
        if (instance.state === 'FAULT' && (isGivenUp(node) || leftOffsets.length > 0)) continue
        // Problems that follow from a wrong track file are not reported beside it.
        if (wrongTrackers.length > 0 && instance.state !== 'INIT' && instance.state !== 'UNKNOWN') continue
        if (instance.state !== 'MASTER' && instance.state !== 'BACKUP') problems.push(`${wanted.name} is in state ${instance.state}`)
        else problems.push(...trackerProblems(cluster, wanted.name, node))
      }
    }
    problems.push(...wrongTrackers, ...leftOffsets)
  }
  return problems
}

/** Answers that are not keepalived's: whoever made what is there keeps keepalived from answering, and would be believed. */
function refusedProblems(node: ObservedNode): readonly string[] {
  return (node.answersRefused ?? []).map(
    path => `keepalived cannot answer: ${path} is not a file that only root can write (rm -rf ${path} on ${node.server})`,
  )
}

/** A value in the form in which hactl's hooks write it; undefined for any other text, which is not compared. */
function trackerValue(text: string | undefined): number | undefined {
  return text !== undefined && /^-?\d{1,4}$/.test(text) ? Number(text) : undefined
}

/**
 * Track files that differ from what runs: keepalived has another value than the file, because the file was written without its watch
 * noticing, or haproxy_down says that a running haproxy is down, as keepalived 2.2.8 to 2.3.2 write it where init_file is set.
 */
function trackerValueProblems(cluster: Cluster, node: ObservedNode): readonly string[] {
  if (cluster.profile !== 'fast' || node.services.keepalived.active !== 'active') return []
  // Where the watch is dead, no value agrees, and the dead watch is what is reported.
  if (node.files[KEEPALIVED_CONF]?.content?.includes(TRACK_DIR) !== true || node.trackersWatched === false) return []
  const down = TRACKER_FILES.haproxy_down
  // Where the file changed, haproxy stopped or started after its state was read.
  const isFalselyDown =
    node.services.haproxy.active === 'active' &&
    node.checkStatus === 0 &&
    node.trackersChanging?.includes(down) !== true &&
    (trackerValue(node.trackers[down]) ?? 0) !== 0
  const differing = Object.entries(TRACKER_FILES).flatMap(([name, path]) => {
    const [says, holds] = [trackerValue(node.trackers[path]), node.trackersHeld?.[path]]
    // If keepalived read again a file that is itself wrong, the server would give the addresses up.
    if (says === undefined || holds === undefined || says === holds || (isFalselyDown && path === down) || isLeft(node, path)) return []
    return [
      `keepalived holds ${holds} for ${name}, and ${path} says ${says} (systemctl reload keepalived on ${node.server} reads it again)`,
    ]
  })
  if (!isFalselyDown) return differing
  const costs = node.trackersHeld?.[down] === 0 ? 'at its next reload keepalived gives the addresses up' : 'keepalived holds no address'
  return [...differing, `${down} says that haproxy is down, and it runs: ${costs} (echo 0 >${down} on ${node.server})`]
}

/**
 * Offsets of a hand-over that is over: both services run, and no hook will write the file before the next stop. Until then the server takes
 * over last, or with -254 never.
 */
function leftOffsetProblems(cluster: Cluster, node: ObservedNode): readonly string[] {
  if (cluster.profile !== 'fast' || node.files[KEEPALIVED_CONF]?.content?.includes(TRACK_DIR) !== true) return []
  return [TRACKER_FILES.haproxy_offset, TRACKER_FILES.keepalived_offset]
    .filter(path => isLeft(node, path))
    .map(path => {
      const value = node.trackers[path]
      const costs = Number(value) < -253 ? 'this server takes nothing over' : 'this server takes over only where no other one can'
      return `${path} says ${value} although both services run: ${costs} (echo 0 >${path} on ${node.server})`
    })
}

/** Whether a hook has left its offset in this file. A service that starts or stops is not active, and after a crash a timer writes the file. */
function isLeft(node: ObservedNode, path: string): boolean {
  const { haproxy, keepalived } = node.services
  return (
    (path === TRACKER_FILES.keepalived_offset || (path === TRACKER_FILES.haproxy_offset && node.isDamped !== true)) &&
    haproxy.active === 'active' &&
    keepalived.active === 'active' &&
    node.trackersChanging?.includes(path) !== true &&
    (trackerValue(node.trackers[path]) ?? 0) < 0
  )
}

/** keepalived takes an offset below -253 as FAULT: a drain hands over that way where no server preempts. */
function isGivenUp(node: ObservedNode): boolean {
  return isDrained(node) && Number(node.trackers[TRACKER_FILES.drain]) < -253
}

/** keepalived's JSON quotes each word of a command, and has the full path of a script that was found through PATH. */
function programOf(command: string): string {
  const path = command.replace(/^['"]/, '').split(/['"\s]/)[0] ?? ''
  return path.slice(path.lastIndexOf('/') + 1)
}

/**
 * Checks that an instance tracks by this server's own keepalived.conf and not by the daemon's view. keepalived leaves out a check that
 * it cannot find, run or trust, says so in its log only, and holds the address without it (evidence K5). Included files, and lines that
 * apply to some servers only, are not judged. Track files are not in that view (vrrp_json.c up to 2.3.3).
 */
function untrackedProblems(node: ObservedNode, instance: ObservedInstance): readonly string[] {
  const content = node.files[KEEPALIVED_CONF]?.content
  if (content === undefined || /^\s*@/m.test(content)) return []
  const { conf, instances } = contextOf(content)
  if (conf.includes.length > 0 || conf.problems.length > 0) return []
  const wanted = (instances.find(own => own.name === instance.name)?.trackers ?? []).filter(tracker => tracker.kind === 'script')
  // Where the number is right, none is missing, under whatever name keepalived runs them.
  if (instance.trackScripts.length >= new Set(wanted.map(tracker => tracker.name)).size) return []
  const tracked = new Set(instance.trackScripts.map(programOf))
  const missing = wanted.filter(({ definition }) => definition === undefined || !tracked.has(programOf(definition.command)))
  const names = (missing.length > 0 ? missing : wanted).map(tracker => tracker.name)
  return [
    `keepalived runs ${instance.name} without ${missing.length > 0 ? '' : 'one of '}${names.join(', ')}, which it should track: that check moves no address (journalctl -u keepalived shows why it was left out)`,
  ]
}

/** keepalived's own effective priority compared with the track files: where they differ, its watch on them is dead (evidence T5). */
export function trackerProblems(cluster: Cluster, name: string, node: ObservedNode): readonly string[] {
  const instance = node.instances.find(own => own.name === name)
  if (cluster.profile !== 'fast' || instance === undefined) return []
  // Where the inventory says fast and the server does not run it yet, that is drift and no problem.
  if (node.files[KEEPALIVED_CONF]?.content?.includes(TRACK_DIR) === false) return []
  const missing = Object.entries(TRACKER_FILES).filter(([, path]) => node.trackers[path] === undefined)
  if (missing.length > 0)
    return [`the track files ${missing.map(([file]) => file).join(', ')} are missing: keepalived no longer learns the state of haproxy`]
  if (node.trackersWatched === false) return ["keepalived's watch on its track files is dead: it no longer learns the state of haproxy"]
  const offsets = [TRACKER_FILES.haproxy_offset, TRACKER_FILES.keepalived_offset, TRACKER_FILES.drain]
  if (offsets.some(path => node.trackersChanging?.includes(path))) return []
  const offset = offsets.reduce((sum, path) => sum + (Number(node.trackers[path] ?? 0) || 0), 0)
  // A check with a weight set by the operator adds to the priority as well, and its state is not known here.
  if (cluster.check.weight !== 0) return []
  const expected = Math.min(254, Math.max(1, instance.basePriority + offset))
  return expected === instance.effectivePriority
    ? []
    : [`${name} has priority ${instance.effectivePriority}, its track files say ${expected}: keepalived's watch on them is dead`]
}

/** Why a virtual address is not held as it should be: exactly one server carries it, and that one is the only master. `nodes` are all servers. */
export function holderProblems(cluster: Cluster, nodes: readonly ObservedNode[]): readonly string[] {
  return cluster.instances.flatMap(instance => {
    const masters = nodes
      .filter(node => node.instances.some(own => own.name === instance.name && own.state === 'MASTER'))
      .map(node => node.server)
    return instance.virtualAddresses.flatMap(({ address }) => {
      const holders = carriersOf(nodes, address)
      if (holders.length === 0) return [`nobody holds ${address}`, ...takenAway(masters, instance.name, address)]
      if (holders.length > 1) return [severalHold(holders, address)]
      if (masters.length !== 1 || masters[0] !== holders[0])
        return [`${holders[0]} holds ${address}, but ${masters.join(' and ') || 'nobody'} is master of ${instance.name}`]
      return []
    })
  })
}

/** The part of holderProblems that is certain although `nodes` lack some of the servers: an address that more than one of them carries. */
export function severalHoldersProblems(cluster: Cluster, nodes: readonly ObservedNode[]): readonly string[] {
  return cluster.instances
    .flatMap(instance => instance.virtualAddresses)
    .map(({ address }) => ({ address, holders: carriersOf(nodes, address) }))
    .filter(({ holders }) => holders.length > 1)
    .map(({ address, holders }) => severalHold(holders, address))
}

/** Those of the servers that hold the address. */
function carriersOf(nodes: readonly ObservedNode[], address: string): readonly string[] {
  return nodes.filter(node => isHeld(node.facts.addresses, address)).map(node => node.server)
}

function severalHold(holders: readonly string[], address: string): string {
  return `${holders.join(' and ')} hold ${address}`
}

/** Addresses that are about to move: a server that preempts has a higher effective priority than the master, by keepalived's own view. */
export function movingProblems(cluster: Cluster, nodes: readonly ObservedNode[]): readonly string[] {
  return cluster.instances.flatMap(({ name, nopreempt }) => {
    if (nopreempt) return []
    const views = nodes.flatMap(node => node.instances.filter(own => own.name === name).map(own => ({ server: node.server, ...own })))
    const master = views.find(view => view.state === 'MASTER')
    if (master === undefined) return []
    return views
      .filter(view => view.state === 'BACKUP' && !view.nopreempt && view.effectivePriority > master.effectivePriority)
      .map(
        view =>
          `${view.server} (priority ${view.effectivePriority}) will take ${name} over from ${master.server} (${master.effectivePriority})`,
      )
  })
}

const DAY_SECONDS = 86_400
/** keepalived adds an address once: an address that another program removes is missing until keepalived is started again. */
function takenAway(masters: readonly string[], instance: string, address: string): readonly string[] {
  return masters.map(
    server =>
      `${server} is master of ${instance} and does not have ${address}: something took it away, or keepalived could not add it (journalctl -u keepalived); systemctl restart keepalived on ${server}`,
  )
}

/** A certificate that expires sooner than this is reported. Automatic renewal is usually done 30 days before. */
const CERTIFICATE_WARNING_DAYS = 21

/** Certificates that have expired, expire soon, or are missing. */
export function certificateProblems(node: ObservedNode): readonly string[] {
  return node.certificates.flatMap(({ path, secondsLeft }) => {
    if (secondsLeft === undefined) return [`there is no certificate in ${path}`]
    const days = Math.floor(Math.abs(secondsLeft) / DAY_SECONDS)
    const span = days === 1 ? '1 day' : `${days} days`
    if (secondsLeft <= 0) return [`the certificate ${path} expired ${span} ago`]
    return days < CERTIFICATE_WARNING_DAYS ? [`the certificate ${path} expires in ${span}`] : []
  })
}

/** A folder that other users than root may write to: what is wrong with it, why that matters, and the command that fixes it. */
export interface UnsafeFolder {
  readonly what: string
  readonly why: string
  readonly fix: string
}

/**
 * Folders above hactl's programs that other users than root may write to. Root runs these programs. With enable_script_security keepalived
 * runs no check from such a folder, and says so in its log only (keepalived 2.2.7: "Unsafe permissions found for script ... - disabling").
 */
export function unsafeFolders(node: ObservedNode): readonly UnsafeFolder[] {
  return node.programFolders.flatMap(({ path, mode, owner, group }) => {
    const bits = Number.parseInt(mode, 8)
    const unsafe = (what: string) => [
      {
        what,
        why: isAbove(path, CHECK_SCRIPT)
          ? 'keepalived runs no check of haproxy from there'
          : "other users can change programs of hactl's that root runs from there",
        fix: `chown root:root ${path} && chmod go-w ${path}`,
      },
    ]
    if (owner !== 'root') return unsafe(`${path} belongs to ${owner}`)
    if ((bits & 0o002) !== 0) return unsafe(`every user may write to ${path}`)
    return (bits & 0o020) !== 0 && group !== 'root' ? unsafe(`group ${group} may write to ${path}`) : []
  })
}

function isAbove(folder: string, path: string): boolean {
  return path.startsWith(folder === '/' ? folder : `${folder}/`)
}

/** A unit that runs now, but will not run after the next boot or after its next stop. */
export function bootProblems(node: ObservedNode): readonly string[] {
  return Object.values(node.services).flatMap(({ unit, load, unitFile }) => {
    if (load === 'masked') return [`${unit} is masked: once it stops, nothing starts it again (systemctl unmask ${unit})`]
    return load === 'loaded' && unitFile !== 'enabled' ? [`${unit} is ${unitFile || 'not enabled'}: it does not start at boot`] : []
  })
}

/** Drop-ins, or what they start or call, that are missing on a server whose keepalived relies on them: a stop then hands nothing over. */
export function dropinProblems(node: ObservedNode): readonly string[] {
  if (!tracksDrain(node)) return []
  const dropins = [HAPROXY_DROPIN, KEEPALIVED_DROPIN]
  // The drop-ins of older versions of hactl call no script, or start no unit.
  const names = (name: string) => dropins.some(path => node.files[path]?.content?.includes(name) === true)
  return [...dropins, ...(names(handOverUnitOf('haproxy')) ? [HAND_OVER_UNIT] : []), ...(names(SERVICE_HOOKS) ? [SERVICE_HOOKS] : [])]
    .filter(path => node.files[path] === undefined)
    .map(path => `${path} is missing: a stop hands no address over, and keepalived does not learn of a crash`)
}

/** Fewer refused adverts than this, or a smaller part of all adverts, are normal after a change of all servers at once. */
const REFUSED_TOLD = 30
const REFUSED_PART = 0.01

/** keepalived's counters, in the operator's words: what differs on the server that sent the advert. */
const REFUSALS: Readonly<Record<string, string>> = {
  auth_failure: 'a different auth_pass',
  authtype_mismatch: 'a different auth_type',
  invalid_authtype: 'an unknown auth_type',
  addr_list_err: 'different virtual addresses',
  advert_interval_err: 'a different advert_int',
  packet_len_err: 'a different length',
  ip_ttl_err: 'a TTL other than 255',
  invalid_type_rcvd: 'no advert at all',
}

/**
 * Adverts with this instance's number that keepalived refused: another router has the same number, or a peer has other settings (evidence
 * V11, V13). The counters run since keepalived started, so the cause may be over: this is worth knowing, and no problem.
 */
export function advertNotices(node: ObservedNode): readonly string[] {
  return node.instances.flatMap(({ name, virtualRouterId, adverts = 0, refusedAdverts = {} }) => {
    const times = Object.values(refusedAdverts).reduce((sum, count) => sum + count, 0)
    if (times < REFUSED_TOLD || times < adverts * REFUSED_PART) return []
    const reasons = Object.entries(refusedAdverts).map(([key, count]) => `${count} with ${REFUSALS[key] ?? key}`)
    return [
      `keepalived has refused ${times} adverts for ${name} since it started (${reasons.join(', ')}): another router on this network has virtual_router_id ${virtualRouterId}, or a server has different settings`,
    ]
  })
}

/**
 * IPv4 addresses of the cluster that somebody has put on lo, so that haproxy can bind them: there they count as held by nobody, and Linux
 * answers for them on every interface unless arp_ignore says otherwise. A service that keeps open connections has some there, and sets arp_ignore.
 */
export function loopbackNotices(cluster: Cluster, node: ObservedNode): readonly string[] {
  if (node.openConnections?.service !== undefined) return []
  const virtual = cluster.instances.flatMap(instance => instance.virtualAddresses.map(vip => vip.address))
  return node.facts.addresses
    .filter(({ interface: link, family, address }) => link === 'lo' && family === 4 && virtual.includes(address))
    .map(
      ({ address, prefix }) =>
        `${address} is on lo: without arp_ignore this server answers for it beside its holder (ip address del ${address}/${prefix} dev lo)`,
    )
}
