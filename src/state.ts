/** Where a few rooms still look for what src/state/ has. */
export type { DesiredNode, FileResource, ServiceResource } from './state/desired.ts'
export type { Facts } from './state/machine.ts'
export type { ObservedNode } from './state/observed.ts'
export type { Action, Plan, ServerPlan } from './state/plan.ts'
