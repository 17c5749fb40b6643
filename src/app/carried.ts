import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { type CarriedPackage, PACKAGE_FILE } from '../engine/apply/carry.ts'
import { HactlError } from '../errors.ts'
import type { Ports } from '../ports.ts'
import { type LoadedCluster, pathFrom } from './load.ts'

/** Together they travel in one run to every server: what is larger is no pair of packages with what they need. */
const LIMIT_BYTES = 200 * 1024 * 1024

/** The packages in the folder that `packages: from` names; undefined where it names none. Throws E_INVENTORY_INVALID. */
export async function readCarried(
  loaded: Pick<LoadedCluster, 'cluster' | 'baseDir'>,
  ports: Ports,
): Promise<readonly CarriedPackage[] | undefined> {
  const { from } = loaded.cluster.packages
  if (from === undefined) return undefined
  const folder = pathFrom(loaded.baseDir, from, ports.home)
  const names = (await ports.files.list(folder))?.filter(name => name.endsWith('.deb'))
  if (names === undefined) throw invalid(`there is no folder ${folder}`, 'paths are relative to the folder of the inventory')
  const strange = names.filter(name => !PACKAGE_FILE.test(name))
  if (strange.length > 0) throw invalid(`${strange.join(', ')}: no package is called so`, 'keep the names that apt-get download gives')
  for (const name of ['haproxy', 'keepalived'])
    if (!names.some(file => file.startsWith(`${name}_`)))
      throw invalid(
        `${folder} has no ${name}_*.deb`,
        'apt-get download haproxy keepalived, and what they depend on, on a server of the same release',
      )
  const packages: CarriedPackage[] = []
  let total = 0
  for (const fileName of names) {
    const content = await ports.files.read(join(folder, fileName))
    if (content === undefined) continue
    total += content.length
    if (total > LIMIT_BYTES)
      throw invalid(`${folder} holds more than ${LIMIT_BYTES / 1024 / 1024} MiB of packages`, 'leave only what is needed in it')
    packages.push({ fileName, content, sha256: createHash('sha256').update(content).digest('hex') })
  }
  return packages
}

function invalid(what: string, fix: string): HactlError {
  return new HactlError({ code: 'E_INVENTORY_INVALID', what: `packages.from: ${what}`, fix })
}
