/** What `packages: from` names: a folder of packages that the operator brings, or the controller, which fetches them. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { packageFolderIssues } from '../domain/packages.ts'
import { type CarriedPackage, carryPackages } from '../engine/apply/carry.ts'
import type { PackageSource } from '../engine/apply/package-source.ts'
import { servePackages } from '../engine/apply/serve-packages.ts'
import type { EngineEvent } from '../engine/events.ts'
import { HactlError } from '../errors.ts'
import type { Ports } from '../ports.ts'
import { readInput, whyUnread } from './input-file.ts'
import { invalidInventory, type LoadedCluster } from './load.ts'
import { openPackageMirror } from './package-mirror.ts'

/** Together they travel in one run to every server: what is larger is no pair of packages with what they need. */
const LIMIT_BYTES = 200 * 1024 * 1024

/** Throws E_INVENTORY_INVALID (3) where the folder is not there, or its names show that a deploy could not install from it. */
export function assertPackagesAtHand({ cluster, path }: Pick<LoadedCluster, 'cluster' | 'path'>): void {
  const issues = packageFolderIssues(cluster)
  if (issues.length > 0) throw invalidInventory({ path, issues })
}

/** How apt on the servers gets at packages; undefined where it fetches them by itself. Throws E_INVENTORY_INVALID. */
export async function packageSourceOf(
  loaded: Pick<LoadedCluster, 'cluster' | 'path'>,
  ports: Ports,
  onEvent: (event: EngineEvent) => void,
): Promise<PackageSource | undefined> {
  const { fetched } = loaded.cluster.packages
  if (fetched !== undefined) {
    const fetch = openPackageMirror(fetched.mirrors, ports.download, ports.signal)
    const open: PackageSource['open'] = async (session, lockId) => {
      const close = await servePackages(session, fetch, lockId)
      return async () => {
        const { files, bytes } = await close()
        const amount = `${files} ${files === 1 ? 'file' : 'files'}, ${(bytes / 1024 / 1024).toFixed(1)} MiB`
        if (files > 0)
          onEvent({
            kind: 'note',
            server: session.server,
            text: `this machine fetched packages for its apt and copied them over: ${amount}`,
          })
      }
    }
    return { kind: 'controller', open }
  }
  const packages = await readCarried(loaded, ports)
  if (packages === undefined) return undefined
  const open: PackageSource['open'] = async (session, lockId) => {
    await carryPackages(session, packages, lockId, ports.signal)
    return async () => {}
  }
  return { kind: 'folder', open }
}

/** The packages of the folder; undefined where there is none. Throws E_INVENTORY_INVALID. */
export async function readCarried(
  loaded: Pick<LoadedCluster, 'cluster' | 'path'>,
  ports: Ports,
): Promise<readonly CarriedPackage[] | undefined> {
  const { carried } = loaded.cluster.packages
  if (carried === undefined) return undefined
  assertPackagesAtHand(loaded)
  const packages: CarriedPackage[] = []
  let total = 0
  for (const fileName of carried.files ?? []) {
    const path = join(carried.folder, fileName)
    const file = await readInput(path, ports, LIMIT_BYTES)
    if (file.kind === 'absent') continue
    if (file.kind === 'unusable')
      throw new HactlError({
        code: 'E_INVENTORY_INVALID',
        what: `packages.from: ${whyUnread(path, file)}`,
        fix: 'keep only packages in that folder that your user can read',
      })
    const content = file.bytes
    total += content.length
    if (total > LIMIT_BYTES)
      throw new HactlError({
        code: 'E_INVENTORY_INVALID',
        what: `packages.from: ${carried.folder} holds more than ${LIMIT_BYTES / 1024 / 1024} MiB of packages`,
        fix: 'keep only the needed packages in that folder',
      })
    packages.push({ fileName, content, sha256: createHash('sha256').update(content).digest('hex') })
  }
  return packages
}
