/** How drain and undrain start: reach the cluster, and see that it has the server. */
import { assertConfirmed } from '../engine/operations/confirm.ts'
import type { MoveReport } from '../engine/operations/lower.ts'
import type { MoveAnnouncement } from '../engine/operations/move.ts'
import { preflightErrors } from '../engine/operations/preflight.ts'
import type { OnEvent } from '../engine/operations/run.ts'
import { type Scene, sceneOf } from '../engine/operations/scene.ts'
import { HactlError, throwAll } from '../errors.ts'
import type { Ports } from '../ports.ts'
import { type ConnectOptions, limitedServers } from './connect.ts'
import { type LoadedCluster, loadCluster } from './load.ts'
import { withServers } from './with-servers.ts'

export interface MoveInput extends ConnectOptions {
  readonly inventoryPath: string
  readonly server: string
  readonly confirm: (what: MoveAnnouncement) => Promise<boolean>
}

/**
 * Connects to all servers that --limit leaves, looks at them and runs `work`. Throws E_USAGE for a server that is not there, E_LOCKED, and
 * what connecting and reading throw.
 */
export async function withScene<T>(
  command: 'drain' | 'undrain',
  input: MoveInput,
  ports: Ports,
  onEvent: OnEvent,
  work: (scene: Scene) => Promise<T>,
): Promise<T> {
  const loaded = await loadCluster(input.inventoryPath, ports)
  assertKnown(loaded, input)
  return withServers(loaded, input, { command, ports, onEvent }, async run => {
    throwAll(preflightErrors(run.cluster, run.nodes, { minded: 'locks' }))
    return work(sceneOf(run, input.server, run.nodes))
  })
}

/** Throws E_DECLINED where the operator did not confirm. */
export async function assertMoveConfirmed({ confirm }: MoveInput, what: MoveAnnouncement): Promise<void> {
  assertConfirmed(await confirm(what), 'drain or undrain')
}

/** The report of a run that found the server as it was asked to be. */
export function nothingToDo(server: string, state: Pick<MoveReport, 'drained' | 'survivesReboot'>, note: string): MoveReport {
  return { server, ...state, changed: false, vips: [], notes: [note], failure: undefined }
}

function assertKnown(loaded: LoadedCluster, input: MoveInput): void {
  const names = loaded.cluster.servers.map(server => server.name)
  if (!names.includes(input.server)) {
    throw new HactlError({
      code: 'E_USAGE',
      what: `there is no server ${input.server} in ${loaded.path}`,
      fix: `its servers are ${names.join(', ')}`,
    })
  }
  if (limitedServers(loaded, input.limit).includes(input.server)) return
  throw new HactlError({
    code: 'E_USAGE',
    what: `--limit leaves out ${input.server} itself`,
    fix: 'name it there too, or leave --limit out',
  })
}
