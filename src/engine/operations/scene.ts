/** What a move works with: a run that has looked at its servers, and the one of them that it is about. */
import { HactlError } from '../../errors.ts'
import type { ObservedNode } from '../../state/observed.ts'
import { lookAt } from './at-rest.ts'
import type { LockedRun, Run } from './run.ts'

export interface Scene extends Run {
  /** All of the run's servers, as they were at the newest look. */
  readonly nodes: readonly ObservedNode[]
  /** The server that is lowered or raised; one of `nodes`. */
  readonly node: ObservedNode
}

export type LockedScene = Scene & LockedRun

/** The scene around `server`. Throws E_INTERNAL for a server that is not among `nodes`. */
export function sceneOf<R extends Run>(run: R, server: string, nodes: readonly ObservedNode[]): R & Scene {
  return { ...run, nodes, node: nodeOf(nodes, server) }
}

/** The same after a new look: what was seen before a question or another server's turn may be minutes old. */
export async function lookAgain<R extends Run>(run: R, server: string): Promise<R & Scene> {
  return sceneOf(run, server, await lookAt(run))
}

/** Throws E_INTERNAL for a server that is not among `nodes`. */
export function nodeOf(nodes: readonly ObservedNode[], server: string): ObservedNode {
  const node = nodes.find(own => own.server === server)
  if (node === undefined) throw new HactlError({ code: 'E_INTERNAL', server, what: `${server} was not looked at` })
  return node
}
