/** What a roll-out and an upgrade do alike on one server: fetch packages, prepare, switch. */
import type { CommandResult, Script } from '../../ports.ts'
import type { Action, Plan } from '../../state/plan.ts'
import type { ServiceTable } from '../../state/services.ts'
import type { Unit } from '../../state/units.ts'
import type { LockClaim } from '../lock.ts'
import { uninterrupted } from '../interrupt.ts'
import { PREPARE_DEADLINE_MS, SWITCH_DEADLINE_MS, type Waits, withStop } from '../limits.ts'
import { joinScripts } from '../../shell/sh.ts'
import { fetchScript, type Install } from './packages.ts'
import { prepareEffect, prepareScript } from './prepare.ts'
import { runSteps, type StepsOptions, type StepsRun } from './steps.ts'
import { switchScript } from './switch.ts'

/** A run that changes servers. The id of its lock names its folder on the servers and its entry in their history. */
export interface ChangeRun extends StepsRun {
  readonly lock: LockClaim
  readonly cluster: { readonly stopTimeoutMs: number }
}

export function waitsOf({ links, cluster }: Pick<ChangeRun, 'links' | 'cluster'>, server: string): Waits {
  return { patience: links.current(server).patience, stopMs: cluster.stopTimeoutMs }
}

export function actionsOf(plan: Plan, server: string): readonly Action[] {
  return plan.servers.find(entry => entry.server === server)?.actions ?? []
}

export function installsOf(actions: readonly Action[]): readonly Install[] {
  return actions.filter((action): action is Install => action.kind === 'install-package')
}

/** Has apt download the packages of `installs`. Installs nothing. Throws E_PACKAGE_UNAVAILABLE and what runSteps throws. */
export function fetchPackages(
  run: ChangeRun,
  server: string,
  installs: readonly Install[],
  options: Parameters<typeof fetchScript>[3],
): Promise<CommandResult> {
  return runSteps(run, server, fetchScript(run.lock.id, run.lock.id, installs, options), {
    effect: 'none',
    label: 'fetch the packages',
    deadlineMs: PREPARE_DEADLINE_MS,
    failure: 'E_PACKAGE_UNAVAILABLE',
  })
}

/** Installs the packages and stages the new files, so that the switch is only renames and reloads. Throws what runSteps throws. */
export function prepareServer(
  run: ChangeRun,
  server: string,
  actions: readonly Action[],
  how: {
    /** dpkg was cut off on this server, and is to finish first. */
    readonly finishDpkg: boolean
    /** Runs after it, in the same command. */
    readonly andThen?: Script
    readonly failure: NonNullable<StepsOptions['failure']>
  },
): Promise<CommandResult> {
  const script = prepareScript(run.lock.id, run.lock.id, actions, how.finishDpkg)
  return runSteps(run, server, how.andThen === undefined ? script : joinScripts([script, how.andThen]), {
    effect: prepareEffect(actions),
    label: 'prepare',
    // An installation stops the version that runs.
    deadlineMs: withStop(PREPARE_DEADLINE_MS, run.cluster.stopTimeoutMs),
    failure: how.failure,
  })
}

/**
 * Makes prepared changes live. It takes seconds, and an interrupt does not leave it half done. `forget`: see switchScript. Throws what
 * runSteps throws.
 */
export function switchServer(
  run: ChangeRun,
  server: string,
  actions: readonly Action[],
  services: ServiceTable,
  forget: readonly Unit[] = [],
): Promise<CommandResult> {
  const waits = waitsOf(run, server)
  return runSteps(uninterrupted(run), server, switchScript(run.lock.id, run.lock.id, actions, { services, waits, forget }), {
    effect: 'change',
    label: 'make the changes live',
    deadlineMs: withStop(SWITCH_DEADLINE_MS, waits.stopMs),
  })
}
