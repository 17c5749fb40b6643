/** How a file of tests on the lab begins and ends. To be called at its top, before its own beforeAll and afterAll. */
import { afterAll, beforeAll } from 'vitest'
import { type Json, labInventory, openWorkspace, type Workspace } from './hactl.ts'
import type { Lab } from './lab.ts'
import { ensureDeployed } from './servers.ts'

/** A workspace, removed at the end. */
export function workspaceFor(lab: Lab, inventory: Json = labInventory(lab)): Workspace {
  const work = openWorkspace(inventory)
  afterAll(() => work.remove())
  return work
}

/** A workspace, on servers where nothing was ever installed. */
export function freshWorkspace(lab: Lab, inventory?: Json): Workspace {
  const work = workspaceFor(lab, inventory)
  beforeAll(async () => {
    await lab.heal()
    await lab.reset()
  })
  return work
}

interface DeployedOptions {
  readonly inventory?: Json
  readonly env?: Readonly<Record<string, string>>
  /** The lab's own inventory is deployed again at the end. */
  readonly restores?: boolean
}

/** A workspace whose inventory is deployed on the lab before the first test. */
export function deployedWorkspace(lab: Lab, { inventory, env, restores = false }: DeployedOptions = {}): Workspace {
  const work = workspaceFor(lab, inventory)
  beforeAll(() => ensureDeployed(lab, work, env))
  if (restores) {
    afterAll(async () => {
      work.writeInventory(labInventory(lab))
      await ensureDeployed(lab, work)
    })
  }
  return work
}
