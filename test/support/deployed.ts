/** A deployed cluster of three folders, made once for a file: every test has a copy of it. */
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { type ShellCluster, shellCluster } from './shell-cluster.ts'
import { copyOf, type ShellServer } from './shell-server.ts'

/**
 * Registers the hooks of the describe block that calls it; `take` gets the cluster of each test. `inventory`: what is deployed in place of
 * the usual one; the copies have the usual one again.
 */
export function deployedCluster(take: (cluster: ShellCluster) => void, inventory?: string): void {
  let kept: ShellCluster | undefined
  beforeAll(async () => {
    kept = shellCluster()
    if (inventory !== undefined) kept.files.set('inventory.yml', inventory)
    await kept.deploy()
  })
  afterAll(() => kept?.remove())
  beforeEach(() => {
    const next = shellCluster()
    for (const from of kept?.servers ?? []) copyOf(from, next.folder)
    take(next)
    return () => next.remove()
  })
}

/** The server of that name; throws where there is none. */
export function serverOf(cluster: ShellCluster, name: string): ShellServer {
  const found = cluster.servers.find(each => each.name === name)
  if (found === undefined) throw new Error(`there is no server ${name}`)
  return found
}
