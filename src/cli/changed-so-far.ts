import type { EngineEvent } from '../engine/events.ts'
import type { CommandContext, Outcome } from './command.ts'
import { renderStopped, type Changed } from './view/deploy.ts'

/** Runs what changes servers; where it stops part way, the text and the result say what was changed where. */
export async function tellingChanges(
  { output }: CommandContext,
  work: (onEvent: (event: EngineEvent) => void) => Promise<Outcome>,
): Promise<Outcome> {
  const changed = new Map<string, string[]>()
  const onEvent = (event: EngineEvent) => {
    if (event.kind === 'action-done') changed.set(event.server, [...(changed.get(event.server) ?? []), event.id])
    output.event(event)
  }
  try {
    return await work(onEvent)
  } catch (thrown) {
    if (changed.size === 0) throw thrown
    await output.settle()
    const servers: Changed[] = [...changed].map(([name, ids]) => ({ name, changed: ids }))
    output.problem(renderStopped(servers))
    return { exit: 1, result: { servers }, thrown }
  }
}
