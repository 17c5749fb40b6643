/**
 * A server as a value that carries out a plan's actions: files, hactl's own records, and what each service has really loaded. It replaces
 * the switch script, which test/engine/apply runs itself, where thousands of runs are wanted.
 */
import { createHash } from 'node:crypto'
import { handOverUnitOf } from '../../src/domain/hand-over-unit.ts'
import { HAND_OVER_UNIT, HAPROXY_CFG, KEEPALIVED_CONF, MANAGED_PATHS, OPEN_CONNECTIONS_SCRIPT } from '../../src/domain/paths.ts'
import { TRACKER_FILES } from '../../src/domain/trackers.ts'
import type { InterfaceAddress } from '../../src/state/machine.ts'
import type { ObservedFile, ObservedNode, ObservedService } from '../../src/state/observed.ts'
import type { ObservedOpenConnections } from '../../src/state/open-connections.ts'
import type { Action } from '../../src/state/plan.ts'
import type { Unit } from '../../src/state/units.ts'

interface ModelFile {
  readonly content: string
  readonly mode: string
  readonly isPristine?: boolean
}

interface ModelService {
  isEnabled: boolean
  isActive: boolean
  mask: '' | 'masked' | 'masked-runtime'
  /** The text that the daemon runs; undefined where it does not run. */
  loaded: string | undefined
  /** The drop-in that systemd has read. */
  dropIn: string | undefined
  /** The unit file of its companion that systemd has read. */
  companionFile: string | undefined
  hasCompanion: boolean
  stamp: string | undefined
}

export interface ModelServer {
  readonly name: string
  readonly addresses: readonly InterfaceAddress[]
  readonly files: Map<string, ModelFile>
  readonly owned: Map<string, string>
  readonly packages: Set<string>
  readonly sysctls: Map<string, string>
  readonly trackers: Map<string, string>
  readonly services: Record<Unit, ModelService>
  /** hactl's own scripts that were opened, with their text at that time. */
  readonly opened: Map<string, string | undefined>
  /** Why it cannot keep open connections; empty where it can. */
  readonly lacks: Set<string>
}

const VERSIONS: Readonly<Record<string, string>> = { haproxy: '2.6.12-1', keepalived: '1:2.2.7-1' }
const CONFIG: Readonly<Record<Unit, string>> = { haproxy: HAPROXY_CFG, keepalived: KEEPALIVED_CONF }
const UNITS: readonly Unit[] = ['haproxy', 'keepalived']
const sums = new Map<string, string>()
/** Thousands of looks at the same few texts. */
const sha256 = (text: string) => {
  const sum = sums.get(text) ?? createHash('sha256').update(text).digest('hex')
  sums.set(text, sum)
  return sum
}
const dropInOf = (unit: Unit) => `/etc/systemd/system/${unit}.service.d/hactl.conf`

/** After its installation: neither haproxy nor keepalived. `number` is the last part of its address: 192.0.2.11 for 11. */
export function modelServer(name: string, number: number): ModelServer {
  const service = (): ModelService => ({
    isEnabled: false,
    isActive: false,
    mask: '',
    loaded: undefined,
    dropIn: undefined,
    companionFile: undefined,
    hasCompanion: false,
    stamp: undefined,
  })
  return {
    name,
    addresses: [
      { interface: 'eth0', family: 4, address: `192.0.2.${number}`, prefix: 24 },
      { interface: 'eth0', family: 6, address: `2001:db8::${number}`, prefix: 64 },
    ],
    files: new Map(),
    owned: new Map(),
    packages: new Set(),
    sysctls: new Map([['net.ipv4.ip_nonlocal_bind', '0']]),
    trackers: new Map(),
    services: { haproxy: service(), keepalived: service() },
    opened: new Map(),
    lacks: new Set(),
  }
}

/** What hactl does to a server, as single steps: a crash may come between any two. */
export function stepsOf(server: ModelServer, actions: readonly Action[]): readonly (() => void)[] {
  const installs = actions.filter(action => action.kind === 'install-package')
  const rest = actions.filter(action => action.kind !== 'install-package')
  const forgotten = rest.flatMap(action =>
    action.kind === 'service' && (action.steps.includes('reload') || action.steps.includes('start')) ? [action.unit] : [],
  )
  return [
    ...installs.map(
      ({ name }) =>
        () =>
          install(server, name),
    ),
    ...forgotten.map(unit => () => {
      server.services[unit].stamp = undefined
    }),
    ...rest.flatMap(action => actionSteps(server, action)),
  ]
}

function install(server: ModelServer, name: string): void {
  server.packages.add(name)
  const service = UNITS.find(unit => unit === name)
  if (service !== undefined) server.services[service].isEnabled = true
  if (name === 'haproxy' && !server.files.has(HAPROXY_CFG))
    server.files.set(HAPROXY_CFG, { content: '# as packaged\n', mode: '0644', isPristine: true })
}

function actionSteps(server: ModelServer, action: Action): readonly (() => void)[] {
  switch (action.kind) {
    case 'install-package':
      return []
    case 'write-file':
      return [
        () => server.owned.set(action.path, sha256(action.after)),
        () => server.files.set(action.path, { content: action.after, mode: action.mode }),
      ]
    case 'own-file':
      return [
        () => server.files.set(action.path, { content: server.files.get(action.path)?.content ?? '', mode: action.mode }),
        () => server.owned.set(action.path, action.sha256),
      ]
    case 'remove-file':
      return [() => server.opened.delete(action.path), () => server.files.delete(action.path), () => server.owned.delete(action.path)]
    case 'set-sysctl':
      return [() => server.sysctls.set(action.key, action.value)]
    case 'open-tool':
      return [() => server.opened.set(action.script, server.files.get(action.script)?.content)]
    case 'service':
      return action.steps.map(step => () => serviceStep(server, action.unit, step, action.loadedHash, action.whenActive.length > 0))
  }
}

function serviceStep(
  server: ModelServer,
  unit: Unit,
  step: Extract<Action, { kind: 'service' }>['steps'][number],
  loadedHash: string,
  makesTrackers: boolean,
): void {
  const service = server.services[unit]
  switch (step) {
    case 'daemon-reload':
      for (const each of UNITS) {
        const read = server.services[each]
        read.dropIn = server.files.get(dropInOf(each))?.content
        read.companionFile = server.files.get(HAND_OVER_UNIT)?.content
        read.hasCompanion &&= read.companionFile !== undefined
      }
      return
    case 'enable':
      service.isEnabled = true
      return
    case 'start':
    case 'reload':
      service.isActive = true
      if (step === 'start') service.hasCompanion ||= service.dropIn?.includes(`Wants=${handOverUnitOf(unit)}`) === true
      service.loaded = server.files.get(CONFIG[unit])?.content
      if (unit === 'keepalived' && makesTrackers) for (const path of Object.values(TRACKER_FILES)) server.trackers.set(path, '0')
      return
    case 'start-companion':
      service.hasCompanion = service.companionFile !== undefined
      return
    case 'stamp':
      service.stamp = loadedHash
      return
  }
}

/** What a probe of it would report. `holds`: the virtual addresses that it has now. */
export function observeModel(server: ModelServer, holds: readonly string[] = []): ObservedNode {
  return {
    server: server.name,
    facts: {
      machineId: server.name,
      bootId: 'boot',
      hostname: server.name,
      uid: 0,
      os: { id: 'debian', like: '', version: '12', codename: 'bookworm', pretty: 'Debian GNU/Linux 12 (bookworm)' },
      systemd: true,
      dpkg: true,
      container: 'none',
      addresses: [
        ...server.addresses,
        ...holds.map(address => ({ interface: 'eth0', family: address.includes(':') ? 6 : 4, address, prefix: 32 }) as const),
      ],
      linkAddresses: [`02:00:00:00:00:${server.name.slice(-1).padStart(2, '0')}`],
      clockMs: 0,
      freeVarKiB: 1_000_000,
    },
    packages: Object.fromEntries(
      UNITS.map(name => [name, { installed: server.packages.has(name) ? VERSIONS[name] : undefined, candidate: undefined }]),
    ),
    dpkgBroken: false,
    aptListsStale: false,
    files: Object.fromEntries(MANAGED_PATHS.map(path => [path, observedFile(server, path)])),
    services: { haproxy: observedService(server, 'haproxy'), keepalived: observedService(server, 'keepalived') },
    ownUnits: Object.fromEntries(
      UNITS.filter(unit => server.services[unit].hasCompanion).map(unit => [
        handOverUnitOf(unit),
        { active: 'active', needsDaemonReload: server.services[unit].companionFile !== server.files.get(HAND_OVER_UNIT)?.content },
      ]),
    ),
    sysctls: Object.fromEntries(server.sysctls),
    instances: [],
    checkStatus: undefined,
    trackers: Object.fromEntries(server.trackers),
    lock: undefined,
    residue: [],
    programFolders: [],
    certificates: [],
    leftRuns: [],
    neighbours: [],
    openConnections: observedOpenConnections(server),
  }
}

function observedOpenConnections({ opened, files, lacks }: ModelServer): ObservedOpenConnections {
  const [why] = lacks
  const able = { ability: why === undefined ? ({ kind: 'able' } as const) : ({ kind: 'unable', why } as const), savedIn: [] }
  const text = files.get(OPEN_CONNECTIONS_SCRIPT)?.content
  if (text === undefined) return able
  const isRunning = opened.has(OPEN_CONNECTIONS_SCRIPT)
  const isOutdated = opened.get(OPEN_CONNECTIONS_SCRIPT) !== text
  return { ...able, service: { isRunning, isOutdated, hasRules: isRunning, unarmed: [], windows: [], unproven: [] } }
}

function observedFile(server: ModelServer, path: string): ObservedFile | undefined {
  const file = server.files.get(path)
  if (file === undefined) return undefined
  return {
    path,
    sha256: sha256(file.content),
    mode: file.mode,
    owner: 'root',
    group: 'root',
    content: file.content,
    pristineConffile: file.isPristine ?? false,
    ownedSha256: server.owned.get(path),
  }
}

function observedService(server: ModelServer, unit: Unit): ObservedService {
  const { isEnabled, isActive, mask, dropIn, stamp } = server.services[unit]
  const isThere = server.packages.has(unit)
  return {
    unit,
    load: mask !== '' ? 'masked' : isThere ? 'loaded' : 'not-found',
    active: isActive ? 'active' : 'inactive',
    sub: isActive ? 'running' : 'dead',
    unitFile: mask !== '' ? mask : isThere ? (isEnabled ? 'enabled' : 'disabled') : '',
    needsDaemonReload: isThere && dropIn !== server.files.get(dropInOf(unit))?.content,
    mainPid: isActive ? 100 : 0,
    loadedHash: stamp,
  }
}

/** A server in the same state, to be changed by itself. */
export function copyOfModel(server: ModelServer): ModelServer {
  return {
    ...server,
    files: new Map(server.files),
    owned: new Map(server.owned),
    packages: new Set(server.packages),
    sysctls: new Map(server.sysctls),
    trackers: new Map(server.trackers),
    services: { haproxy: { ...server.services.haproxy }, keepalived: { ...server.services.keepalived } },
    opened: new Map(server.opened),
    lacks: new Set(server.lacks),
  }
}

/** The whole state of a server: two with the same text are planned for alike. */
export function textOfModel(server: ModelServer): string {
  const entries = (['files', 'owned', 'packages', 'sysctls', 'trackers', 'opened', 'lacks'] as const).map(key => [...server[key]])
  return JSON.stringify([server.name, server.addresses, server.services, ...entries])
}

/** Where a service does not run what its file says, or systemd has not read a drop-in; empty where there is no such place. */
export function lies(server: ModelServer): readonly string[] {
  const opened = [...server.opened].flatMap(([path, text]) =>
    server.files.get(path)?.content === text ? [] : [`${path} is not opened as it is now`],
  )
  return UNITS.flatMap(unit => {
    const service = server.services[unit]
    return [
      ...opened,
      ...(service.loaded === server.files.get(CONFIG[unit])?.content ? [] : [`${unit} runs another configuration than ${CONFIG[unit]}`]),
      ...(service.hasCompanion === server.files.has(HAND_OVER_UNIT)
        ? []
        : [`${handOverUnitOf(unit)} runs without its file, or its file without it`]),
      ...(service.dropIn === server.files.get(dropInOf(unit))?.content ? [] : [`systemd has not read the drop-in of ${unit}`]),
    ]
  })
}
