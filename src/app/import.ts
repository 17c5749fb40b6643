/** What runs on servers, as an inventory: the first step of whoever has a cluster already. Changes nothing on them. */
import { basename, dirname, isAbsolute, join, relative } from 'node:path'
import { holdsPassword } from '../domain/desired.ts'
import { type ImportedConf, importKeepalivedConfs } from '../domain/keepalived/import.ts'
import { keepalivedLook } from '../domain/keepalived/look.ts'
import { CHECK_SCRIPT, HAPROXY_CFG, KEEPALIVED_CONF } from '../domain/paths.ts'
import type { EngineEvent } from '../engine/events.ts'
import type { ProbeRequest } from '../engine/observe/script.ts'
import { HactlError, throwAll } from '../errors.ts'
import { authPassIssue } from '../inventory/grammar.ts'
import type { Inventory, InventoryServer, Issue, SshSettings } from '../inventory/inventory.ts'
import { knownKeys } from '../inventory/json-schema.ts'
import { parseInventory } from '../inventory/parse.ts'
import { renderInventory } from '../inventory/render.ts'
import type { Ports } from '../ports.ts'
import type { ObservedNode } from '../state.ts'
import { type ConnectOptions, type Reachable, targetsOf, withConnections } from './connect.ts'
import { pathFrom } from './load.ts'
import { observeAndTell } from '../engine/operations/look.ts'
import type { AnsweredServer } from './setup.ts'

export interface ImportInput extends ConnectOptions {
  readonly servers: readonly AnsweredServer[]
  /** Absolute path of the inventory to be written; the files that it names stand beside it. */
  readonly output: string
  readonly sshUser: string | undefined
  /** As typed: relative to the current folder. */
  readonly identityFile: string | undefined
  readonly knownHosts: string | undefined
}

export interface ImportReport {
  /** To be written, the inventory first; nothing has been. */
  readonly files: readonly { readonly path: string; readonly text: string; readonly mode: number }[]
  /** What the inventory does not say of what runs, or says differently. */
  readonly notes: readonly string[]
  /** What `check` would refuse: to be mended by hand. */
  readonly issues: readonly Issue[]
  readonly warnings: readonly Issue[]
}

const REQUEST: ProbeRequest = {
  packages: ['haproxy', 'keepalived'],
  paths: [HAPROXY_CFG, KEEPALIVED_CONF],
  units: ['haproxy', 'keepalived'],
  sysctls: [],
  look: keepalivedLook([]),
  checkScript: CHECK_SCRIPT,
  virtualAddresses: [],
}

/** Reads haproxy.cfg and keepalived.conf of each server. Throws E_UNHEALTHY where none has a keepalived.conf, and what connecting throws. */
export async function importServers(input: ImportInput, ports: Ports, onEvent: (event: EngineEvent) => void): Promise<ImportReport> {
  const servers = input.servers.map(serverOf)
  const { ssh, forConnecting } = sshOf(input, ports)
  const inventory = { servers, ...(forConnecting === undefined ? {} : { ssh: forConnecting }) }
  const targets = await targetsOf({ inventory, baseDir: ports.cwd, path: 'the command line', given: givenOf(input) }, input, ports)
  return withConnections(
    targets,
    input.forks,
    ports,
    session => observeAndTell(session, REQUEST, ports.clock, onEvent, ports.signal),
    async ({ failures }, observed) => {
      throwAll(failures)
      return buildImport(servers, ssh, observed, input.output)
    },
    server => onEvent({ kind: 'observe-started', server }),
  )
}

/** How the command line calls what an inventory would say. */
function givenOf({ servers }: ImportInput): NonNullable<Reachable['given']> {
  return new Map(
    servers.map(({ name, host }) => [
      name,
      {
        host: `the host ${host} on the command line`,
        'ssh.port': `the port of ${host} on the command line`,
        'ssh.user': '--ssh-user',
        'ssh.identity_file': '--identity-file',
        'ssh.proxy_jump': 'ProxyJump for it',
      },
    ]),
  )
}

function serverOf({ name, host, user, port }: AnsweredServer): InventoryServer {
  const ssh: SshSettings = { ...(user === undefined ? {} : { user }), ...(port === undefined ? {} : { port }) }
  return { name, host, ...(Object.keys(ssh).length === 0 ? {} : { ssh }) }
}

/** Paths are typed relative to the current folder, and stand in the inventory relative to its own. */
function sshOf(input: ImportInput, ports: Ports): { readonly ssh?: SshSettings; readonly forConnecting?: SshSettings } {
  const settings = (place: (path: string) => string): SshSettings => ({
    ...(input.sshUser === undefined ? {} : { user: input.sshUser }),
    ...(input.identityFile === undefined ? {} : { identity_file: place(input.identityFile) }),
    ...(input.knownHosts === undefined ? {} : { known_hosts: place(input.knownHosts) }),
  })
  const absolute = (path: string) => pathFrom(ports.cwd, path, ports.home)
  const written = (path: string) => (isAbsolute(path) || path.startsWith('~/') ? path : relative(dirname(input.output), absolute(path)))
  const ssh = settings(written)
  return Object.keys(ssh).length === 0 ? {} : { ssh, forConnecting: settings(absolute) }
}

/** Pure: what was seen -> the files. */
export function buildImport(
  given: readonly InventoryServer[],
  ssh: SshSettings | undefined,
  observed: ReadonlyMap<string, ObservedNode>,
  output: string,
): ImportReport {
  const folder = dirname(output)
  const confs = contentsOf(given, observed, KEEPALIVED_CONF)
  const configs = contentsOf(given, observed, HAPROXY_CFG)
  if (confs.found.size === 0) throw nothingThere(given, confs.missing)
  const imported = importKeepalivedConfs(confs.found, knownKeys(['vrrp_instances', 0]))
  const servers = byRank(given, imported)
  const [source] = servers.filter(server => configs.found.has(server.name))
  const haproxyText = source === undefined ? undefined : configs.found.get(source.name)
  const differing = servers.filter(({ name }) => configs.found.has(name) && configs.found.get(name) !== haproxyText).map(({ name }) => name)
  const hasSecret = holdsPassword(haproxyText ?? '')
  const secretNames = secretNamesFor([...imported.authentication.keys()])
  const secrets = [...imported.authentication].map(([instance, { pass }], index) => ({
    instance,
    path: join(folder, secretNames[index] ?? ''),
    text: `${pass.reveal()}\n`,
    isRefused: authPassIssue(pass.reveal()) !== undefined,
  }))
  const notes = [
    ...confs.missing.map(name => `${name} has no ${KEEPALIVED_CONF}: it gets what the others have`),
    ...configs.missing.map(name => `${name} has no ${HAPROXY_CFG}: it gets what the others have`),
    ...differing.map(name => `${HAPROXY_CFG} of ${name} differs from that of ${source?.name}, which was imported`),
    ...(hasSecret ? [`haproxy.cfg contains passwords: only you can read the copy; keep it that way`] : []),
    ...secrets.map(({ instance, path }) => `the password of ${instance} is in ${basename(path)}, which only you can read`),
    ...secrets.flatMap(({ instance, isRefused }) =>
      isRefused ? [`the password of ${instance} has characters that hactl does not write into keepalived.conf: choose another`] : [],
    ),
    ...imported.notes,
  ]
  const inventory: Inventory = {
    profile: imported.profile,
    ...(ssh === undefined ? {} : { ssh }),
    servers,
    ...(Object.keys(imported.globalDefs).length === 0 ? {} : { global_defs: imported.globalDefs }),
    ...(Object.keys(imported.vrrpScript).length === 0 ? {} : { vrrp_script: imported.vrrpScript }),
    vrrp_instances: imported.instances.map(instance => {
      const secret = secrets.find(one => one.instance === instance.name)
      if (secret === undefined) return instance
      const type = imported.authentication.get(instance.name)?.type ?? 'PASS'
      return { ...instance, authentication: { auth_type: type, auth_pass: { file: basename(secret.path) } } }
    }),
    haproxy: haproxyText === undefined ? {} : { config: 'haproxy.cfg' },
  }
  const text = renderInventory(inventory, [`Imported from ${servers.map(server => server.name).join(', ')}.`, ...notes])
  const { issues, warnings } = parseInventory(text, basename(output))
  return {
    files: [
      { path: output, text, mode: 0o644 },
      ...(haproxyText === undefined ? [] : [{ path: join(folder, 'haproxy.cfg'), text: haproxyText, mode: 0o600 }]),
      ...secrets.map(({ path, text: pass }) => ({ path, text: pass, mode: 0o600 })),
    ],
    notes,
    issues,
    warnings,
  }
}

/** A file name for each instance's password: no two alike, also where upper and lower case are one. */
function secretNamesFor(instances: readonly string[]): readonly string[] {
  const taken = new Set<string>()
  return instances.map(instance => {
    const plain = `vrrp-${instance.replaceAll(/[^A-Za-z0-9._-]/g, '_')}`
    let name = plain
    for (let more = 2; taken.has(name.toLowerCase()); more++) name = `${plain}-${more}`
    taken.add(name.toLowerCase())
    return `${name}.secret`
  })
}

/** The order of the servers is their rank: by the priority in the first instance, as today. */
function byRank(servers: readonly InventoryServer[], { instances }: ImportedConf): readonly InventoryServer[] {
  const priority = instances[0]?.priority ?? {}
  return servers.toSorted((a, b) => (priority[b.name] ?? 0) - (priority[a.name] ?? 0))
}

function contentsOf(
  servers: readonly InventoryServer[],
  observed: ReadonlyMap<string, ObservedNode>,
  path: string,
): { readonly found: ReadonlyMap<string, string>; readonly missing: readonly string[] } {
  const found = new Map<string, string>()
  const missing: string[] = []
  for (const { name } of servers) {
    const file = observed.get(name)?.files[path]
    // The package's own untouched file says nothing about this cluster.
    if (file === undefined || file.pristineConffile) missing.push(name)
    else if (file.content === undefined) throw unreadable(name, path)
    else found.set(name, file.content)
  }
  return { found, missing }
}

function unreadable(server: string, path: string): HactlError {
  return new HactlError({
    code: 'E_UNHEALTHY',
    server,
    what: `${path} cannot be imported`,
    why: ['the file is larger than 256 KiB, or not UTF-8 text'],
    fix: 'write the inventory by hand: hactl setup starts one',
  })
}

function nothingThere(servers: readonly InventoryServer[], missing: readonly string[]): HactlError {
  return new HactlError({
    code: 'E_UNHEALTHY',
    what: `there is nothing to import: ${servers.length === 1 ? 'the server has' : 'none of the servers has'} a ${KEEPALIVED_CONF} of its own`,
    why: [`looked on ${missing.join(', ')}`],
    fix: 'for servers without a configuration: hactl setup',
  })
}
