/** Whether a roll-out brings what keeps open connections to servers between which it lets an address move. Pure. */
import type { Handing } from '../../domain/open-connections/handing.ts'
import type { Action, Plan } from '../../state/plan.ts'
import { actionsOf } from '../apply/change.ts'

/** Those of the moves for which the plan brings the service, on either of their servers. */
export function handingsBroughtFor(plan: Plan, handings: readonly Handing[]): readonly Handing[] {
  const does = (server: string, isSo: (action: Action) => boolean) => actionsOf(plan, server).some(isSo)
  return handings.filter(
    ({ from, to }) => [from, to].some(server => does(server, loadsKeepalived)) && [from, to].some(server => does(server, opensService)),
  )
}

const loadsKeepalived = (action: Action) =>
  action.kind === 'service' && action.unit === 'keepalived' && action.steps.some(step => step === 'start' || step === 'reload')

/** Files and tools of the service, and of the packet filter that must let it through. */
export const opensService = ({ id, kind }: Action): boolean =>
  (kind === 'write-file' || kind === 'open-tool') && /^(?:file\/(?:open-connections|firewall)|open-connections\/|firewall\/)/.test(id)
