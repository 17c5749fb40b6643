/** vitest's global set-up of the lab project: the bundle is built, the lab is up. */
import { join } from 'node:path'
import { labUp, local, root } from './lab.ts'

export async function setup(): Promise<void> {
  const built = await local(process.execPath, [join(root, 'scripts/build.ts')])
  if (built.code !== 0) throw new Error(`the bundle could not be built:\n${built.stderr}`)
  await labUp()
}
