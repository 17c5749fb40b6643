import { HactlError } from '../../errors.ts'
import type {
  Facts,
  InterfaceAddress,
  Listener,
  LockInfo,
  Neighbour,
  ObservedFile,
  ObservedFirewall,
  ObservedInstance,
  ObservedNode,
  ObservedPackage,
  ObservedService,
  Unit,
} from '../../state.ts'
import { assertKnownFormat } from '../server-state/format.ts'
import { parseClock, parseFreeKiB, parseOpensslTime, parseWhole } from './said.ts'
import type { ProbeRequest } from './script.ts'

/**
 * Reads a probe's answer. Throws E_PROBE_CUT when the closing mark is missing: a cut answer says nothing about what is absent; and
 * E_STATE_FORMAT where a newer version of hactl was at work.
 */
export function parseProbe(server: string, stdout: string, request: ProbeRequest): ObservedNode {
  const sections = parseSections(server, stdout)
  const text = (name: string) => sections.get(name) ?? ''
  assertKnownFormat(server, text('format'))
  const facts = parseFacts(text('facts'), text('os'), text('addresses'), text('links'))
  const installed = parseInstalled(text('packages'))
  const candidates = parseCandidates(text('candidates'))
  const owned = parseOwned(text('owned'))
  const trackers = parseTrackers(text('trackers'))
  const asked = sections.has('trackers-asked') ? parseTrackers(text('trackers-asked')) : trackers
  const changing = request.trackers.filter(path => asked[path] !== trackers[path])
  const held = parseHeld(text('held'), changing, trackers)
  return {
    server,
    facts,
    packages: Object.fromEntries(
      request.packages.map(name => [name, { installed: installed.get(name), ...(candidates.get(name) ?? { candidate: undefined }) }]),
    ),
    dpkgBroken: text('updates').trim() !== '' || text('audit').trim() !== '',
    aptListsStale: sections.has('lists') && text('lists').trim() === '',
    files: parseFiles(sections, request.paths, owned),
    ...(text('record').trim() === '' ? {} : { ownedPaths: [...owned.keys()] }),
    services: parseServices(text('services'), text('loaded')),
    sysctls: Object.fromEntries(linesOf(text('sysctls')).map(line => splitOnce(line, ' '))),
    instances: parseInstances(text('instances')),
    checkStatus: parseWhole(text('check').trim(), 0, 255),
    trackers,
    ...parseWatched(linesOf(text('watched'))),
    ...(held === undefined ? {} : { trackersHeld: held }),
    ...(changing.length === 0 ? {} : { trackersChanging: changing }),
    lock: parseLock(text('lock')),
    residue: linesOf(text('residue')),
    checkFolders: parseFolders(text('folders')),
    certificates: parseCertificates(text('certificates'), facts.clockMs),
    leftRuns: linesOf(text('runs')),
    neighbours: parseNeighbours(text('neighbours')),
    ...(sections.has('static') ? { staticAddresses: parseStatic(text('static'), request.virtualAddresses) } : {}),
    ...(sections.has('listeners') ? { listeners: linesOf(text('listeners')).flatMap(parseListener) } : {}),
    ...(sections.has('firewall') ? { firewall: parseFirewall(sections) } : {}),
  }
}

function parseFolders(text: string): ObservedNode['checkFolders'] {
  return linesOf(text).flatMap(line => {
    const [, mode, owner, group, path] = /^(\d+) (\S+) (\S+) \d+ (.+)$/.exec(line) ?? []
    return mode === undefined || owner === undefined || group === undefined || path === undefined ? [] : [{ path, mode, owner, group }]
  })
}

/** One whose end is not known, or on a server whose clock is not, is left out: nothing can be said of it. */
function parseCertificates(text: string, clockMs: number | undefined): ObservedNode['certificates'] {
  return linesOf(text).flatMap((line): ObservedNode['certificates'] => {
    const absent = /^none (.+)$/.exec(line)?.[1]
    if (absent !== undefined) return [{ path: absent, secondsLeft: undefined }]
    const [, end, path] = /^end (\S+ +\S+ \S+ \d+ \S+) (.+)$/.exec(line) ?? []
    const endSeconds = end === undefined ? undefined : parseOpensslTime(end)
    if (path === undefined || endSeconds === undefined || clockMs === undefined) return []
    return [{ path, secondsLeft: endSeconds - Math.floor(clockMs / 1000) }]
  })
}

function parseWatched(answers: readonly string[]): Pick<ObservedNode, 'trackersWatched'> {
  return answers.length === 0 ? {} : { trackersWatched: !answers.includes('no') }
}

function parseTrackers(text: string): Record<string, string> {
  return Object.fromEntries(linesOf(text).map(line => splitOnce(line, ' ')))
}

/**
 * The track files of keepalived's data dump (dump_track_file in track_file.c, 2.1.0 to 2.4.3; dump_vfile in vrrp_data.c, 2.0.19): "File =" and
 * "Status =" on lines of their own. undefined unless the next heading follows, which proves that none is missing. Only files that did not
 * change while the dump was asked for and read.
 */
function parseHeld(
  text: string,
  changing: readonly string[],
  now: Readonly<Record<string, string>>,
): Readonly<Record<string, number>> | undefined {
  const lines = linesOf(text)
  if (lines.length < 2 || !lines.at(-1)?.startsWith('------<')) return undefined
  const held: Record<string, number> = {}
  let path: string | undefined
  for (const line of lines) {
    path = /^\s+File = (\/\S+)$/.exec(line)?.[1] ?? path
    const status = /^\s+Status = (-?\d{1,10})$/.exec(line)?.[1]
    if (status === undefined || path === undefined) continue
    if (now[path] !== undefined && !changing.includes(path)) held[path] = Number(status)
    path = undefined
  }
  return held
}

function parseSections(server: string, stdout: string): Map<string, string> {
  const sections = new Map<string, string>()
  let name: string | undefined
  let body: string[] = []
  let complete = false
  for (const line of stdout.split('\n')) {
    if (name === undefined) {
      if (line.startsWith('@@begin ')) {
        name = line.slice('@@begin '.length)
        body = []
      } else if (line === '@@end all') complete = true
    } else if (line === `@@end ${name}`) {
      sections.set(name, body.join('\n'))
      name = undefined
    } else body.push(line)
  }
  if (!complete || name !== undefined) {
    throw new HactlError({
      code: 'E_PROBE_CUT',
      server,
      what: 'the facts of this server are incomplete: its answer ended early',
      why: [name === undefined ? 'the closing mark is missing' : `the answer stopped in the section "${name}"`],
      fix: 'run again; if it happens again, look at the disk space and the login messages of this server',
    })
  }
  return sections
}

function linesOf(text: string): string[] {
  return text.split('\n').filter(line => line.trim() !== '')
}

function splitOnce(line: string, separator: string): [string, string] {
  const at = line.indexOf(separator)
  return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + separator.length)]
}

/** uid_t has 32 bits. */
const MOST_UID = 4_294_967_295

function parseFacts(factsText: string, osText: string, addressText: string, linkText: string): Facts {
  const fact = new Map(linesOf(factsText).map(line => splitOnce(line, ' ')))
  const os = new Map(
    linesOf(osText).map(line => {
      const [key, value] = splitOnce(line, '=')
      return [key, value.replace(/^["']|["']$/g, '')]
    }),
  )
  return {
    machineId: fact.get('machine-id') ?? '',
    bootId: fact.get('boot-id') ?? '',
    hostname: fact.get('hostname') ?? '',
    uid: parseWhole(fact.get('uid'), 0, MOST_UID) ?? -1,
    os: {
      id: os.get('ID') ?? '',
      like: os.get('ID_LIKE') ?? '',
      version: os.get('VERSION_ID') ?? '',
      codename: os.get('VERSION_CODENAME') ?? '',
      pretty: os.get('PRETTY_NAME') ?? 'an unknown system',
    },
    systemd: fact.get('systemd') === 'yes',
    dpkg: fact.get('dpkg') === 'yes',
    container: fact.get('container') ?? 'none',
    addresses: linesOf(addressText).flatMap(parseAddress),
    linkAddresses: linesOf(linkText).flatMap(line => /link\/ether ([0-9a-f:]{17})/.exec(line)?.[1] ?? []),
    clockMs: parseClock(fact.get('clock'))?.atMs,
    freeVarKiB: parseFreeKiB(fact.get('free')),
    ...(fact.get('cloud-init') === 'runs' ? { cloudInitRuns: true } : {}),
  }
}

// ip-address(8), -oneline: "2: eth0    inet 198.51.100.11/24 brd ... scope global eth0\ ..."
function parseAddress(line: string): InterfaceAddress[] {
  const match = /^\d+:\s+(\S+)\s+(inet6?)\s+([0-9a-fA-F.:]+)(?:\s+peer\s+\S+)?(?:\/(\d+))?\s/.exec(line)
  if (match === null) return []
  const [, name = '', family, address = '', prefix] = match
  return [
    {
      interface: name.replace(/@.*$/, ''),
      family: family === 'inet6' ? 6 : 4,
      address,
      prefix: prefix === undefined ? (family === 'inet6' ? 128 : 32) : Number(prefix),
    },
  ]
}

// grep(1) -H: "/etc/netplan/50-vip.yaml:      - 192.0.2.200/24". In all of these files # begins a comment, in NetworkManager's and networkd's ; too.
function parseStatic(text: string, addresses: readonly string[]): readonly { readonly address: string; readonly path: string }[] {
  const found = linesOf(text).flatMap(line => {
    const [path, setting] = splitOnce(line, ':')
    if (/^\s*[#;]/.test(setting)) return []
    const words = setting.split(/[^0-9A-Fa-f.:]+/)
    return addresses.filter(address => words.includes(address)).map(address => ({ address, path }))
  })
  return found.filter((one, at) => found.findIndex(other => other.address === one.address && other.path === one.path) === at)
}

function parseNeighbours(text: string): Neighbour[] {
  return linesOf(text).flatMap(line => {
    const match = /^(\S+) dev \S+ .*lladdr ([0-9a-f:]{17})/.exec(line)
    return match === null ? [] : [{ address: match[1] ?? '', linkAddress: match[2] ?? '' }]
  })
}

// ss(8) -Hltnp: 'LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=321,fd=6))'; "*:80" is one socket for both families.
function parseListener(line: string): Listener[] {
  const match = /^\S+\s+\d+\s+\d+\s+(\S+):(\d+)\s+\S+(?:\s+users:\(\("([^"]*)")?/.exec(line)
  if (match === null) return []
  const host = (match[1] ?? '').replace(/%.*$/, '').replace(/^\[(.*)\]$/, '$1')
  const families: Listener['families'] = host === '*' ? [4, 6] : host.includes(':') ? [6] : [4]
  const address = ['*', '0.0.0.0', '::'].includes(host) ? undefined : host
  return [{ address, families, port: Number(match[2]), process: match[3] }]
}

function parseFirewall(sections: ReadonlyMap<string, string>): ObservedFirewall {
  const lines = linesOf(sections.get('firewall') ?? '')
  return {
    ufw: lines.find(line => line.startsWith('ufw '))?.slice('ufw '.length),
    firewalld: lines.includes('firewalld'),
    netfilterPersistent: lines.includes('netfilter-persistent'),
    opensAtBoot: lines.includes('opens-at-boot'),
    nft: sections.get('nft'),
    iptables: sections.get('iptables'),
    ip6tables: sections.get('ip6tables'),
    ufwRules: linesOf(sections.get('ufw-rules') ?? ''),
  }
}

function parseInstalled(text: string): Map<string, string> {
  return new Map(
    linesOf(text).flatMap(line => {
      const [name = '', status, version] = line.split(' ')
      return status === 'installed' && version !== undefined ? [[name, version] as const] : []
    }),
  )
}

// apt-cache(8) policy: "haproxy:\n  Installed: (none)\n  Candidate: 2.6.12-1\n  Version table:\n     2.6.12-1 500\n        500 http://..."
function parseCandidates(text: string): Map<string, Pick<ObservedPackage, 'candidate' | 'available'>> {
  const known = new Map<string, { candidate: string | undefined; available: string[] }>()
  let current = { candidate: undefined as string | undefined, available: [] as string[] }
  for (const line of linesOf(text)) {
    const name = /^(\S+):$/.exec(line)?.[1]
    if (name !== undefined) {
      current = { candidate: undefined, available: [] }
      known.set(name, current)
    }
    const candidate = /^\s+Candidate: (\S+)$/.exec(line)?.[1]
    if (candidate !== undefined && candidate !== '(none)') current.candidate = candidate
    const version = /^ (?:\*\*\*| {3}) (\S+)(?: -?\d+)?$/.exec(line)?.[1]
    if (version !== undefined) current.available.push(version)
  }
  return known
}

/** The record of what hactl wrote: "SHA256  PATH" per line, as sha256sum(1) prints it. */
function parseOwned(text: string): Map<string, string> {
  return new Map(
    linesOf(text).flatMap(line => {
      const match = /^([0-9a-f]{64}) {2}(\/.+)$/.exec(line)
      return match === null ? [] : [[match[2] ?? '', match[1] ?? ''] as const]
    }),
  )
}

function parseFiles(
  sections: ReadonlyMap<string, string>,
  paths: readonly string[],
  owned: ReadonlyMap<string, string>,
): Record<string, ObservedFile | undefined> {
  const text = (name: string) => sections.get(name) ?? ''
  const sums = checksumsOf(text('sums'))
  const md5 = checksumsOf(text('md5'))
  const links = new Map(linesOf(text('symlinks')).map(line => splitOnce(line, ' ')))
  const shipped = new Map(
    linesOf(text('conffiles')).flatMap(line => {
      const match = /^ ?(\/\S+) ([0-9a-f]{32})/.exec(line)
      return match === null ? [] : [[match[1] ?? '', match[2] ?? ''] as const]
    }),
  )
  const stats = new Map(
    linesOf(text('stats')).map(line => {
      const [mode = '', owner = '', group = '', , ...path] = line.split(' ')
      return [path.join(' '), { mode: mode.padStart(4, '0'), owner, group }] as const
    }),
  )
  return Object.fromEntries(
    paths.map(path => {
      const stat = stats.get(path)
      const sha256 = sums.get(path)
      if (stat === undefined || sha256 === undefined) return [path, undefined]
      const md5sum = md5.get(path)
      return [
        path,
        {
          path,
          sha256,
          ...stat,
          ...(links.has(path) ? { linkTo: links.get(path) } : {}),
          content: decodeContent(sections.get(`content ${path}`)),
          pristineConffile: md5sum !== undefined && shipped.get(path) === md5sum,
          ownedSha256: owned.get(path),
        },
      ]
    }),
  )
}

function checksumsOf(text: string): Map<string, string> {
  return new Map(
    linesOf(text).flatMap(line => {
      const match = /^\\?([0-9a-f]+) [ *](\/.*)$/.exec(line)
      return match === null ? [] : [[match[2] ?? '', match[1] ?? ''] as const]
    }),
  )
}

function decodeContent(base64: string | undefined): string | undefined {
  if (base64 === undefined) return undefined
  const bytes = Buffer.from(base64, 'base64')
  const text = bytes.toString('utf8')
  return Buffer.from(text, 'utf8').equals(bytes) ? text : undefined
}

/** proc(5), pid_max: at most 2^22. */
const MOST_PID = 4_194_304

function parseServices(text: string, loadedText: string): Record<Unit, ObservedService> {
  const loaded = new Map(linesOf(loadedText).map(line => splitOnce(line, ' ')))
  const byUnit = new Map<string, Map<string, string>>()
  for (const block of text.split(/\n\s*\n/)) {
    const properties = new Map(linesOf(block).map(line => splitOnce(line, '=')))
    const id = properties.get('Id')
    if (id !== undefined) byUnit.set(id.replace(/\.service$/, ''), properties)
  }
  const service = (unit: Unit): ObservedService => {
    const properties = byUnit.get(unit)
    const stamp = loaded.get(unit)
    return {
      unit,
      load: properties?.get('LoadState') ?? 'not-found',
      active: properties?.get('ActiveState') ?? 'inactive',
      sub: properties?.get('SubState') ?? 'dead',
      unitFile: properties?.get('UnitFileState') ?? '',
      needsDaemonReload: properties?.get('NeedDaemonReload') === 'yes',
      mainPid: parseWhole(properties?.get('MainPID'), 0, MOST_PID) ?? 0,
      loadedHash: stamp === undefined || stamp === '' ? undefined : stamp,
    }
  }
  return { haproxy: service('haproxy'), keepalived: service('keepalived') }
}

/** Some thirty thousand years. */
const LONGEST_SECONDS = 999_999_999_999

/** A lock of unknown age counts as a living run's. */
function parseLock(text: string): LockInfo | undefined {
  const lines = linesOf(text)
  if (lines.length === 0) return undefined
  const value = new Map(lines.map(line => splitOnce(line, ' ')))
  return {
    id: value.get('id') ?? '',
    owner: value.get('owner') ?? 'somebody',
    reason: value.get('reason') ?? 'unknown',
    ageSeconds: parseWhole(value.get('age'), -LONGEST_SECONDS, LONGEST_SECONDS) ?? 0,
  }
}

const STATES = ['INIT', 'BACKUP', 'MASTER', 'FAULT'] as const

/**
 * keepalived's JSON dump (vrrp/vrrp_json.c): an array of {data, stats}, or {vrrp: [...]} with json_version 2.
 * An unreadable dump gives no instances: the callers treat "keepalived runs but shows no instance" as unhealthy.
 */
export function parseInstances(text: string): ObservedInstance[] {
  let dump: unknown
  try {
    dump = JSON.parse(text)
  } catch {
    return []
  }
  const list = Array.isArray(dump) ? dump : isRecord(dump) && Array.isArray(dump['vrrp']) ? dump['vrrp'] : []
  return list.flatMap((entry: unknown) => {
    const data = isRecord(entry) && isRecord(entry['data']) ? entry['data'] : undefined
    if (data === undefined) return []
    const number = (key: string) => {
      const value = Number(data[key] ?? 0)
      return Number.isFinite(value) ? value : 0
    }
    const string = (key: string) => {
      const value = data[key]
      return typeof value === 'string' ? value : ''
    }
    const strings = (key: string) => (Array.isArray(data[key]) ? data[key].map(String) : [])
    const version = number('version')
    return [
      {
        name: string('iname'),
        interface: string('ifp_ifname'),
        virtualRouterId: number('vrid'),
        state: STATES[number('state')] ?? 'UNKNOWN',
        basePriority: number('base_priority'),
        effectivePriority: number('effective_priority'),
        advertIntMs: Math.round(number('adver_int') * 1000),
        version: version === 2 || version === 3 ? version : undefined,
        nopreempt: data['nopreempt'] === true,
        ...(number('preempt_delay') > 0 ? { delaysPreempt: true } : {}),
        virtualAddresses: strings('vips').map(vip => (vip.split(' ')[0] ?? '').replace(/\/\d+$/, '')),
        trackScripts: strings('track_script').map(script => script.replace(/^'|'$/g, '')),
        ...parseAdverts(isRecord(entry) ? entry['stats'] : undefined),
      },
    ]
  })
}

/** keepalived, vrrp_check_packet(): what makes an advert count as none. */
const REFUSALS = [
  'packet_len_err',
  'advert_interval_err',
  'ip_ttl_err',
  'invalid_type_rcvd',
  'addr_list_err',
  'invalid_authtype',
  'authtype_mismatch',
  'auth_failure',
] as const

function parseAdverts(stats: unknown): Pick<ObservedInstance, 'adverts' | 'refusedAdverts'> {
  if (!isRecord(stats)) return {}
  const count = (key: string) => {
    const value = Number(stats[key] ?? 0)
    return Number.isSafeInteger(value) && value > 0 ? value : 0
  }
  return {
    adverts: count('advert_rcvd') + count('advert_sent'),
    refusedAdverts: Object.fromEntries(REFUSALS.map(key => [key, count(key)] as const).filter(([, times]) => times > 0)),
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
