/** What `packages: from` names: a folder of packages that the operator brings, or the controller, which fetches them. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { packageFolderIssues } from '../domain/packages.ts'
import type { CarriedPackage } from '../engine/apply/carry.ts'
import type { PackageSource } from '../engine/apply/package-source.ts'
import { carriedSource, fetchedSource } from '../engine/operations/package-sources.ts'
import type { OnEvent } from '../engine/operations/run.ts'
import { HactlError } from '../errors.ts'
import type { Ports } from '../ports.ts'
import { readInput, whyUnread } from './input-file.ts'
import { invalidInventory, type LoadedCluster } from './load.ts'

/** They travel together in one run to every server. A larger folder holds more than a pair of packages with what they need. */
const LIMIT_BYTES = 200 * 1024 * 1024

/** Throws E_INVENTORY_INVALID (3) where the folder is not there, or its names show that a deploy could not install from it. */
export function assertPackagesAtHand({ cluster, path }: Pick<LoadedCluster, 'cluster' | 'path'>): void {
  const issues = packageFolderIssues(cluster)
  if (issues.length > 0) throw invalidInventory({ path, issues })
}

/** How apt on the servers gets packages; undefined where it fetches them by itself. Throws E_INVENTORY_INVALID. */
export async function packageSourceOf(
  loaded: Pick<LoadedCluster, 'cluster' | 'path'>,
  ports: Ports,
  onEvent: OnEvent,
): Promise<PackageSource | undefined> {
  const { fetched } = loaded.cluster.packages
  if (fetched !== undefined) return fetchedSource(fetched.mirrors, ports, onEvent)
  const packages = await readCarried(loaded, ports)
  return packages === undefined ? undefined : carriedSource(packages, ports.signal)
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
