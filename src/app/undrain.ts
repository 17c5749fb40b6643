import { takesBack } from '../domain/drain.ts'
import { drainsAtBoot, TRACKER_FILES } from '../domain/trackers.ts'
import { type MoveReport, raise } from '../engine/operations/lower.ts'
import { announced, cutsBefore } from '../engine/operations/move.ts'
import { type OnEvent, underLock } from '../engine/operations/run.ts'
import { lookAgain } from '../engine/operations/scene.ts'
import type { Ports } from '../ports.ts'
import { assertMoveConfirmed, type MoveInput, nothingToDo, withScene } from './one-server.ts'

/**
 * Gives a drained server its priority back, waits until keepalived has it and, where it preempts, until it has taken its addresses back.
 * What users notice is measured. Throws as drain does; nothing is undone here.
 */
export async function undrain(input: MoveInput, ports: Ports, onEvent: OnEvent): Promise<MoveReport> {
  const { server } = input
  return withScene('undrain', input, ports, onEvent, async scene => {
    const { cluster, node, nodes } = scene
    const isLowered = Number(node.trackers[TRACKER_FILES.drain] ?? 0) < 0
    if (!isLowered && !drainsAtBoot(node)) {
      return nothingToDo(server, { drained: false, survivesReboot: false }, `${server} is not drained`)
    }
    const back = takesBack(cluster, nodes, server)
    const isTaker = (other: string) => other === server
    const vips = await announced(scene, back, isTaker)
    await assertMoveConfirmed(input, { command: 'undrain', server, vips, warnings: cutsBefore(scene, back, isTaker) })
    return underLock(scene, async locked => raise(await lookAgain(locked, server)))
  })
}
