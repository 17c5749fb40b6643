/** Why nobody took over, by the state of keepalived on each server, judged while the disturbance still lasts. */
import type { ObservedInstance } from '../../state/instance.ts'
import type { ObservedNode } from '../../state/observed.ts'

/**
 * One reason, in the operator's words; undefined where the figures show none. `before` and `meanwhile` are all servers, before the
 * disturbance and while nobody took over. `from` is the server that should have lost the address.
 */
export function whyNobodyTook(
  before: readonly ObservedNode[],
  meanwhile: readonly ObservedNode[],
  instance: string,
  from: string,
): string | undefined {
  const was = viewOf(before, instance, from)
  const is = viewOf(meanwhile, instance, from)
  if (was === undefined || is === undefined || is.state !== 'MASTER') return undefined
  const others = meanwhile
    .filter(node => node.server !== from)
    .flatMap(node => {
      const view = viewOf(meanwhile, instance, node.server)
      return view === undefined || view.state === 'FAULT' ? [] : [{ server: node.server, ...view }]
    })
    .sort((a, b) => b.effectivePriority - a.effectivePriority)
  const [best] = others
  if (best === undefined) return 'no other server can take over'
  const unmoved = is.effectivePriority === was.effectivePriority
  if (best.effectivePriority <= is.effectivePriority) {
    return unmoved
      ? `keepalived on ${from} has not noticed: its priority is still ${is.effectivePriority}, because its check still succeeds or has weight 0`
      : `the weight is too small: ${from} drops from ${was.effectivePriority} to ${is.effectivePriority}, and the best of the others, ${best.server}, has only ${best.effectivePriority}`
  }
  if (best.nopreempt) {
    return `${best.server} has priority ${best.effectivePriority}, more than ${from} with ${is.effectivePriority}, but nopreempt keeps it from taking over while ${from} still sends adverts: a weight and nopreempt exclude each other`
  }
  return undefined
}

function viewOf(nodes: readonly ObservedNode[], instance: string, server: string): ObservedInstance | undefined {
  return nodes.find(node => node.server === server)?.instances.find(own => own.name === instance)
}
