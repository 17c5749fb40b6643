import { createHash } from 'node:crypto'
import { basename, dirname, isAbsolute, join, resolve } from 'node:path'
import type { Certificate, Cluster, PackageFolder } from '../domain/cluster-types.ts'
import { buildCluster } from '../domain/cluster.ts'
import { configFileIssues } from '../domain/haproxy/config-file.ts'
import { HactlError } from '../errors.ts'
import type { Inventory, Issue, SecretSource } from '../inventory/inventory.ts'
import { authPassDoubt } from '../inventory/doubts.ts'
import { parseInventory } from '../inventory/parse.ts'
import { resolveSecret } from '../inventory/secrets.ts'
import type { Ports } from '../ports.ts'
import type { Secret } from '../secret.ts'
import { type InputFile, MAX_TEXT_BYTES, readInput, whyUnread } from './input-file.ts'

/** An inventory that was read, and what its author should know about it. */
export interface ReadInventory {
  readonly inventory: Inventory | undefined
  readonly issues: readonly Issue[]
  readonly warnings: readonly Issue[]
  readonly haproxyConfig: { readonly text: string; readonly path: string } | undefined
  readonly certificates: readonly Certificate[]
  /** undefined where the inventory names none. */
  readonly packageFolder: PackageFolder | undefined
  readonly path: string
  readonly baseDir: string
  /** "inventory.yml 3f2a91c0": the file's name and the beginning of its checksum, for the history. */
  readonly source: string
}

export interface LoadedCluster {
  readonly inventory: Inventory
  readonly cluster: Cluster
  readonly warnings: readonly Issue[]
  /** What is doubtful about the secrets themselves: known only where they are read. */
  readonly secretWarnings: readonly string[]
  readonly path: string
  readonly baseDir: string
  readonly source: string
}

/** Reads an inventory and the haproxy.cfg it names. Throws E_INVENTORY_MISSING; every other mistake is an issue. */
export async function readInventory(path: string, ports: Ports): Promise<ReadInventory> {
  const file = await readInput(path, ports, MAX_TEXT_BYTES)
  if (file.kind !== 'read') {
    throw new HactlError({
      code: 'E_INVENTORY_MISSING',
      what: file.kind === 'absent' ? `there is no inventory at ${path}` : `${path} cannot be read as an inventory: ${file.why}`,
      fix: 'name one (hactl check FILE, or set HACTL_INVENTORY), or create one: hactl setup',
    })
  }
  const { bytes } = file
  const baseDir = isStream(path) ? ports.cwd : dirname(resolve(path))
  const parsed = parseInventory(bytes.toString('utf8'), path)
  const issues = [...parsed.issues]
  const doubts: Issue[] = []
  let haproxyConfig: ReadInventory['haproxyConfig']
  const configPath = parsed.haproxyConfig
  if (configPath !== undefined) {
    const absolute = pathFrom(baseDir, configPath, ports.home)
    const config = await readInput(absolute, ports)
    if (config.kind === 'read') {
      const text = config.bytes.toString('utf8')
      if (Buffer.from(text, 'utf8').equals(config.bytes)) haproxyConfig = { text, path: absolute }
      else issues.push({ path: 'haproxy.config', message: `${configPath} is not UTF-8 text`, fix: 'save it as UTF-8' })
      const { errors, warnings } = configFileIssues(text, configPath)
      issues.push(...(haproxyConfig === undefined ? [] : errors))
      doubts.push(...warnings)
    } else issues.push({ path: 'haproxy.config', message: whyUnread(absolute, config), fix: fixFor(config) })
  }
  const certificates: Certificate[] = []
  for (const [index, { file, path: onServer }] of (parsed.inventory?.certificates ?? []).entries()) {
    const absolute = pathFrom(baseDir, file, ports.home)
    const read = await readInput(absolute, ports)
    const issue = (message: string, fix: string) => issues.push({ path: `certificates[${index}].file`, message, fix })
    if (read.kind === 'read') {
      const text = read.bytes.toString('utf8')
      if (/^-----BEGIN CERTIFICATE-----\r?$/m.test(text) && /^-----BEGIN [A-Z ]*PRIVATE KEY-----\r?$/m.test(text))
        certificates.push({ path: onServer, text })
      else issue(`${file} does not hold a certificate and its private key`, 'cat site.crt chain.crt site.key >site.pem')
    } else issue(whyUnread(absolute, read), fixFor(read))
  }
  return {
    inventory: issues.length > 0 ? undefined : parsed.inventory,
    issues,
    warnings: [...parsed.warnings, ...doubts],
    haproxyConfig,
    certificates,
    packageFolder: await packageFolderOf(parsed.inventory, baseDir, ports),
    path,
    baseDir,
    source: `${basename(path)} ${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}`,
  }
}

/** Standard input, or the path that a shell puts in place of <(...): it has no folder of its own. */
function isStream(path: string): boolean {
  return path === '/dev/stdin' || path.startsWith('/dev/fd/') || path.startsWith('/proc/')
}

function fixFor({ kind }: InputFile): string {
  return kind === 'absent' ? 'paths are relative to the folder of the inventory' : 'name a file that you may read'
}

/** Whether this is enough for a deploy is judged elsewhere: drain and status need no packages. */
async function packageFolderOf(inventory: Inventory | undefined, baseDir: string, ports: Ports): Promise<PackageFolder | undefined> {
  const from = inventory?.packages?.from
  if (from === undefined || from === 'controller') return undefined
  const folder = pathFrom(baseDir, from, ports.home)
  const names = await ports.files.list(folder).catch(() => undefined)
  return { folder, files: names?.filter(name => name.endsWith('.deb')) }
}

/** Reads the inventory with its secrets, with every default filled in. Throws E_INVENTORY_MISSING, E_INVENTORY_INVALID, E_SECRET. */
export async function loadCluster(path: string, ports: Ports): Promise<LoadedCluster> {
  const read = await readInventory(path, ports)
  if (read.inventory === undefined) throw invalidInventory(read)
  const passes = new Map<string, Secret>()
  const secretWarnings: string[] = []
  for (const instance of read.inventory.vrrp_instances) {
    const source = instance.authentication?.auth_pass
    if (source === undefined) continue
    const key = `vrrp_instances ${instance.name}: auth_pass`
    const pass = await secretOf(source, key, read.baseDir, ports, text => secretWarnings.push(text))
    passes.set(instance.name, pass)
    const doubt = 'literal' in source ? undefined : authPassDoubt(pass.reveal())
    if (doubt !== undefined) secretWarnings.push(`${key}: ${doubt}`)
  }
  return {
    inventory: read.inventory,
    cluster: clusterOf(read, read.inventory, name => passes.get(name)),
    warnings: read.warnings,
    secretWarnings,
    path,
    baseDir: read.baseDir,
    source: read.source,
  }
}

/** The cluster of an inventory that was read without its secrets: enough for all that can be judged without a network. */
export function clusterOf(read: ReadInventory, inventory: Inventory, authPass: (instance: string) => Secret | undefined): Cluster {
  return buildCluster(inventory, {
    authPass,
    haproxyConfigText: read.haproxyConfig?.text,
    haproxyConfigPath: read.haproxyConfig?.path,
    certificates: read.certificates,
    packageFolder: read.packageFolder,
  })
}

/** Resolves one secret of the inventory; `key` names it in errors and warnings. */
export function secretOf(source: SecretSource, key: string, baseDir: string, ports: Ports, warn: (text: string) => void): Promise<Secret> {
  return resolveSecret(source, {
    key,
    env: ports.env,
    home: ports.home,
    readFile: file => ports.files.read(file, { signal: ports.signal, maxBytes: MAX_TEXT_BYTES }),
    fileMode: async file => ports.files.mode?.(file),
    warn,
    localCommand: ports.localCommand,
    baseDir,
  })
}

export function invalidInventory(read: Pick<ReadInventory, 'path' | 'issues'>): HactlError {
  const count = read.issues.length
  return new HactlError({
    code: 'E_INVENTORY_INVALID',
    what: `${read.path}: ${count} ${count === 1 ? 'problem' : 'problems'}; no server was contacted`,
    why: read.issues.map(issueLine),
    fix: 'fix them and run hactl check',
  })
}

/** "12:7 servers[1].host: ... (fix)". */
export function issueLine(issue: Issue): string {
  const place = issue.line === undefined ? '' : `${issue.line}:${issue.column ?? 1} `
  const path = issue.path === '' ? '' : `${issue.path}: `
  return `${place}${path}${issue.message}${issue.fix === undefined ? '' : ` (${issue.fix})`}`
}

/** A path of an inventory: ~ is the operator's home, all else is relative to the inventory's folder. */
export function pathFrom(baseDir: string, path: string, home: string): string {
  if (path === '~' || path.startsWith('~/')) return join(home, path.slice(1))
  return isAbsolute(path) ? path : join(baseDir, path)
}
