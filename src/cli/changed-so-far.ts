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
    // What was put back is no longer changed, but for the packages, which stay; a check changes nothing.
    if (event.kind === 'restored')
      changed.set(
        event.server,
        (changed.get(event.server) ?? []).filter(id => id.startsWith('package/')),
      )
    else if (event.kind === 'action-done' && isChange(event.id))
      changed.set(event.server, [...new Set([...(changed.get(event.server) ?? []), event.id])])
    output.event(event)
  }
  try {
    return await work(onEvent)
  } catch (thrown) {
    const servers: Changed[] = [...changed].filter(([, ids]) => ids.length > 0).map(([name, ids]) => ({ name, changed: ids }))
    if (servers.length === 0) throw thrown
    await output.settle()
    output.problem(renderStopped(servers))
    return { exit: 1, result: { servers }, thrown }
  }
}

// Others, such as apt/lists and check/haproxy.cfg, lie beside what runs.
const CHANGES = ['package/', 'file/', 'sysctl/', 'firewall/', 'service/']

function isChange(id: string): boolean {
  return CHANGES.some(kind => id.startsWith(kind))
}
