/** The configurations of servers as an inventory, and the files that it names. Pure. */
import { basename, dirname, join } from 'node:path'
import { holdsPassword } from '../domain/desired.ts'
import { type ImportedConf, importKeepalivedConfs } from '../domain/keepalived/import.ts'
import { HAPROXY_CFG, KEEPALIVED_CONF, OPEN_CONNECTIONS_SCRIPT, SERVICE_HOOKS } from '../domain/paths.ts'
import { HactlError } from '../errors.ts'
import { authPassIssue } from '../inventory/grammar.ts'
import type { Inventory, InventoryServer, Issue, SshSettings } from '../inventory/inventory.ts'
import { knownKeys } from '../inventory/json-schema.ts'
import { parseInventory } from '../inventory/parse.ts'
import { renderInventory } from '../inventory/render.ts'
import type { ObservedNode } from '../state/observed.ts'

export interface ImportReport {
  /** The files to write, the inventory first. None has been written. */
  readonly files: readonly { readonly path: string; readonly text: string; readonly mode: number }[]
  /** What the inventory leaves out of what runs, or says differently. */
  readonly notes: readonly string[]
  /** What `check` would refuse: the operator fixes it by hand. */
  readonly issues: readonly Issue[]
  readonly warnings: readonly Issue[]
}

/** The files, from what was seen. Throws E_UNHEALTHY where no server has a keepalived.conf, or one cannot be imported. */
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
  const imported = importKeepalivedConfs(confs.found, { globals: knownKeys(['global_defs']), instance: knownKeys(['vrrp_instances', 0]) })
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
  const keeping = imported.profile === 'fast' ? keepingOf([...observed.values()]) : {}
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
    ...(keeping.open_connections === undefined
      ? []
      : ['a planned move cuts open connections, as today: open_connections: keep changes that']),
  ]
  const inventory: Inventory = {
    profile: imported.profile,
    ...keeping,
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

/** What servers that hactl set up do with open connections, where it is not what hactl does unasked. */
function keepingOf(nodes: readonly ObservedNode[]): Pick<Inventory, 'open_connections' | 'stop_timeout'> {
  const keeping = nodes.filter(node => node.files[OPEN_CONNECTIONS_SCRIPT] !== undefined)
  if (keeping.length === 0) return { open_connections: 'reset' }
  const [hundredths] = keeping.flatMap(node => /^STOP_HUNDREDTHS=(\d{1,6})$/m.exec(node.files[SERVICE_HOOKS]?.content ?? '')?.[1] ?? [])
  return hundredths === undefined || Number(hundredths) === 2000 ? {} : { stop_timeout: Number(hundredths) / 100 }
}

/** A file name for each instance's password. No two are alike, even on a disk where upper and lower case are the same. */
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

/** The order of servers in an inventory is their rank. Here it is by the priority in the first instance, as they run now. */
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
