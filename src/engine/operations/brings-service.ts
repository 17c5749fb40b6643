/** Whether a roll-out brings what keeps open connections to servers between which it lets an address move. Pure. */
import type { Handing } from '../../domain/open-connections/handing.ts'
import { OPEN_CONNECTIONS_SCRIPT } from '../../domain/paths.ts'
import type { Action, Plan } from '../../state/plan.ts'
import { actionsOf } from '../apply/change.ts'

/** Those of the moves for which the plan brings the service to a server of theirs. A move for which it takes the service away is none of them. */
export function handingsBroughtFor(plan: Plan, handings: readonly Handing[]): readonly Handing[] {
  return handings.filter(({ from, to }) => {
    const does = (isSo: (action: Action) => boolean) => [from, to].some(server => actionsOf(plan, server).some(isSo))
    return does(loadsKeepalived) && does(bringsService) && !does(removesService)
  })
}

const loadsKeepalived = (action: Action) =>
  action.kind === 'service' && action.unit === 'keepalived' && action.steps.some(step => step === 'start' || step === 'reload')

/**
 * Files of the service, and its start. The packet filter is left out: it belongs to the ports of an haproxy.cfg that comes later. The service's
 * own rules take what it receives before any filter sees it, so only a filter that restricts what servers send delays the service.
 */
export const bringsService = ({ id, kind }: Action): boolean =>
  (kind === 'write-file' || kind === 'open-tool') && /^(?:file\/open-connections(?:-|$)|open-connections\/service$)/.test(id)

export const removesService = (action: Action): boolean => action.kind === 'remove-file' && action.path === OPEN_CONNECTIONS_SCRIPT
