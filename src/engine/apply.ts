import { asHactlError, EXIT_OF, HactlError, HactlErrors, throwAll } from '../errors.ts'
import type { ObservedNode } from '../state/observed.ts'
import type { Action, Plan } from '../state/plan.ts'
import type { ManagedService, ServiceTable } from '../state/services.ts'
import type { Unit } from '../state/units.ts'
import { actionsOf, type ChangeRun, fetchPackages, installsOf, prepareServer, switchServer, waitsOf } from './apply/change.ts'
import type { PackageSource } from './apply/package-source.ts'
import { runSteps } from './apply/steps.ts'
import { finishDeadRunScript, finishScript, restoreScript } from './apply/switch.ts'
import { announceScript, type HistoryEntry } from './history.ts'
import { assertNotInterrupted, interruptedError, uninterrupted } from './interrupt.ts'
import { SWITCH_DEADLINE_MS, withStop } from './limits.ts'
import type { GateName, Playbook, Stage } from './playbook.ts'
import { previousFolder } from './server-state/run-folder.ts'

export interface ApplyInput extends ChangeRun {
  readonly plan: Plan
  readonly playbook: Playbook
  readonly observed: ReadonlyMap<string, ObservedNode>
  readonly history: Pick<HistoryEntry, 'command' | 'source'>
  readonly services: (server: string) => ServiceTable
  /** undefined: apt on the servers fetches packages by itself. */
  readonly packages?: PackageSource | undefined
  /** What every server gets before any of them gets the rest; undefined: nothing. */
  readonly first?: FirstPart | undefined
  /** Called before the servers of a wave are changed. They keep what they have where it throws. */
  readonly beforeWave?: ((servers: readonly string[]) => Promise<void>) | undefined
  /** Waits until these servers pass the gate, or throws E_GATE. */
  readonly passGate: (gate: GateName, servers: readonly string[]) => Promise<void>
  /** Runs while packages are fetched. Nothing is changed where it throws. */
  readonly lastCheck?: (() => Promise<void>) | undefined
}

export interface FirstPart {
  readonly stage: string
  /** "what keeps open connections" */
  readonly what: string
  readonly isPart: (action: Action) => boolean
  /** Called once all servers have it. What they have got is taken back where it throws. */
  readonly settled: () => Promise<void>
}

/**
 * Makes a plan real. Every server is prepared and checked before any live file changes. The waves follow, with a gate after each. The first
 * failure stops what comes after it, waits for what is in flight, and restores the previous files of the failed wave. A failed gate
 * restores those of all waves.
 * Throws HactlError(s): E_CONFIG_REFUSED (nothing live was changed), E_COMMAND_FAILED, E_GATE, E_CONNECTION_LOST ... (6), E_UNDO_FAILED (8).
 */
export async function applyPlan(input: ApplyInput): Promise<void> {
  for (const stage of input.playbook.stages) {
    if (stage.rollout === 'parallel' && stage.tasks.length > 0) await prepareAll(input, stage)
    else if (stage.rollout === 'master-last') await rollOut(input, stage)
    else await prove(input, stage)
  }
  await onAll(changingServers(input), async server => {
    await runSteps(uninterrupted(input), server, finishScript(historyEntry(input, server), input.lock.id), {
      effect: 'change',
      label: 'write the history',
      deadlineMs: SWITCH_DEADLINE_MS,
      tell: false,
    })
  })
  await finishDeadRuns(
    input,
    input.plan.servers.filter(server => server.actions.length === 0).map(server => server.server),
  )
}

/** Records what dead runs had finished on these servers, and removes what they left. Throws what runSteps throws. */
export async function finishDeadRuns(run: ChangeRun & Pick<ApplyInput, 'observed'>, servers: readonly string[]): Promise<void> {
  const left = servers.filter(server => (run.observed.get(server)?.leftRuns.length ?? 0) > 0)
  await onAll(left, async server => {
    await runSteps(uninterrupted(run), server, finishDeadRunScript(run.lock.id, waitsOf(run, server)), {
      effect: 'change',
      label: 'remove what a dead run left',
      deadlineMs: withStop(SWITCH_DEADLINE_MS, run.cluster.stopTimeoutMs),
      tell: false,
    })
  })
}

function historyEntry(input: ApplyInput, server: string): HistoryEntry {
  const changed = actionsOf(input.plan, server).map(action => action.id)
  const { id, owner } = input.lock
  return { id, cluster: input.plan.cluster, changed, owner, ...input.history }
}

/** The whole is judged at the end. Where a gate fails, every server goes back to what it had, the last changed first. */
async function prove(input: ApplyInput, stage: Stage): Promise<void> {
  try {
    await passGates(
      input,
      stage,
      input.plan.servers.map(server => server.server),
    )
  } catch (error) {
    const changed = input.plan.waves.flat()
    if (changed.length === 0) throw error
    await restoreWaves(input, input.plan.waves, error)
  }
}

function changingServers(input: ApplyInput): string[] {
  return input.plan.servers.filter(server => server.actions.length > 0).map(server => server.server)
}

async function prepareAll(input: ApplyInput, stage: Stage): Promise<void> {
  const servers = changingServers(input)
  if (servers.length === 0) return
  input.onEvent({ kind: 'stage-started', stage: stage.stage, title: 'install packages and check the new files', servers })
  const opened: (() => Promise<void>)[] = []
  try {
    const outcomes = await Promise.allSettled([fetchAll(input, servers, opened), input.lastCheck?.()])
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
    await prepareEach(input, servers)
  } finally {
    await Promise.allSettled(opened.map(close => close()))
  }
}

async function prepareEach(input: ApplyInput, servers: readonly string[]): Promise<void> {
  await onAll(servers, async server => {
    const actions = actionsOf(input.plan, server)
    await prepareServer(input, server, actions, {
      finishDpkg: input.observed.get(server)?.dpkgBroken ?? false,
      andThen: announceScript(input.lock.id, historyEntry(input, server)),
      failure: 'E_CONFIG_REFUSED',
    }).catch((error: unknown) => {
      throw withVersionsKnown(error, actions)
    })
  })
}

/** A file is made for the version that was expected. What was installed may be another, and the next run knows it. */
function withVersionsKnown(thrown: unknown, actions: readonly Action[]): unknown {
  const installed = actions.flatMap(action => (action.kind === 'install-package' ? [action.name] : []))
  if (!(thrown instanceof HactlError) || thrown.code !== 'E_CONFIG_REFUSED' || installed.length === 0) return thrown
  const { code, message: what, why, fix, server } = thrown
  return new HactlError({
    code,
    what,
    why,
    fix: `${installed.join(' and ')} ${installed.length === 1 ? 'is' : 'are'} installed there now: if its version is not that of the plan, run hactl deploy again; otherwise ${fix}`,
    cause: thrown,
    ...(server === undefined ? {} : { server }),
  })
}

/**
 * Every server has its packages at hand before any is changed, so a version that no repository serves stops the run here. Where no server has any
 * of them yet and its lists are new, the installation itself finds that out: one more apt-get would cost a tenth of a first deploy.
 */
async function fetchAll(input: ApplyInput, servers: readonly string[], opened: (() => Promise<void>)[]): Promise<void> {
  const isInstalledAnywhere = [...input.observed.values()].some(node =>
    Object.values(node.packages).some(one => one.installed !== undefined),
  )
  await onAll(servers, async server => {
    const installs = installsOf(actionsOf(input.plan, server))
    if (installs.length === 0) return
    const observed = input.observed.get(server)
    const { packages } = input
    if (packages !== undefined) opened.push(await packages.open(input.links.current(server), input.lock.id))
    const isBrought = packages !== undefined
    const refreshLists = packages?.kind === 'folder' || (observed?.aptListsStale ?? true)
    // apt refuses to plan on a half-finished installation. The next step, which may change something, finishes that first.
    const mayDownload = !(observed?.dpkgBroken ?? false)
    const asksFirst = isInstalledAnywhere || isBrought || !refreshLists || installs.some(({ pin }) => pin !== undefined)
    await fetchPackages(input, server, installs, { isBrought, refreshLists, download: mayDownload && asksFirst })
  })
}

/** Wave after wave, as the rest. Throws what switching throws, once every server has back what it had. */
async function bringFirst(input: ApplyInput, first: FirstPart): Promise<void> {
  const { waves } = input.plan
  const servers = havingFirst(input.plan, first)
  input.onEvent({ kind: 'stage-started', stage: first.stage, title: `bring ${first.what} before an address moves`, servers })
  const startedWaves: (readonly string[])[] = []
  try {
    for (const wave of among(waves, servers)) {
      startedWaves.push(wave)
      await onAll(wave, server => switchOn(input, server, actionsOf(input.plan, server).filter(first.isPart)))
    }
    await first.settled()
  } catch (error) {
    await restoreWaves(input, startedWaves, error, { isRefused: false, others: 'no other server was changed' })
  }
}

async function rollOut(whole: ApplyInput, stage: Stage): Promise<void> {
  const { first } = whole
  if (first !== undefined) await bringFirst(whole, first)
  const input = first === undefined ? whole : { ...whole, plan: planWithout(whole.plan, first.isPart) }
  const { waves, changeClass } = input.plan
  for (const [index, wave] of waves.entries()) {
    const interrupted = {
      what: `interrupted before ${wave.join(', ')}`,
      why: [
        `servers whose change had started were finished or restored; later servers ${first === undefined ? 'were not changed' : `got no more than ${first.what}`}`,
      ],
      fix: 'run hactl deploy again to finish',
    }
    assertNotInterrupted(input.ports.signal, interrupted)
    input.onEvent({ kind: 'wave-started', stage: stage.stage, wave: index + 1, waves: waves.length, servers: wave })
    await input.beforeWave?.(wave).catch((error: unknown) => {
      assertNotInterrupted(input.ports.signal, interrupted)
      throw error
    })
    try {
      if (wave.length > 1 && (changeClass === 'together' || changeClass === 'outage')) await switchTogether(input, wave)
      else await onAll(wave, server => switchOn(input, server, actionsOf(input.plan, server)))
      await passGates(input, stage, wave)
    } catch (error) {
      // A failed gate speaks against the change itself, not against one server: no server keeps it.
      const isRefused = error instanceof HactlError && error.code === 'E_GATE'
      // Later servers may have the first part already.
      const later = first === undefined ? [] : among(waves.slice(index + 1), havingFirst(whole.plan, first))
      await restoreWaves(input, [...waves.slice(isRefused ? 0 : index, index + 1), ...later], error, { isRefused })
    }
  }
}

function havingFirst(plan: Plan, first: FirstPart): string[] {
  return plan.waves.flat().filter(server => actionsOf(plan, server).some(first.isPart))
}

/** The waves without other servers than these, and without those that are then empty. */
function among(waves: Plan['waves'], servers: readonly string[]): readonly (readonly string[])[] {
  return waves.map(wave => wave.filter(server => servers.includes(server))).filter(wave => wave.length > 0)
}

function planWithout(plan: Plan, isPart: FirstPart['isPart']): Plan {
  const servers = plan.servers.map(server => ({ ...server, actions: server.actions.filter(action => !isPart(action)) }))
  return { ...plan, servers }
}

/** Whatever an interrupt met, the operator needs to know what became of these servers. `failures`: of those that were not restored. */
function interruptedWithin(
  { plan, ports }: ApplyInput,
  { servers, others }: { readonly servers: readonly string[]; readonly others: string },
  thrown: unknown,
  failures: readonly HactlError[],
): unknown {
  const errors = thrown instanceof HactlErrors ? thrown.errors : [thrown]
  if (!ports.signal.aborted || !errors.every(error => error instanceof HactlError && error.code === 'E_INTERRUPTED')) return thrown
  const restored = servers.filter(server => failures.every(failure => failure.server !== server))
  const hasOthers = plan.waves.flat().length > servers.length
  return interruptedError({
    what: `interrupted while ${servers.join(', ')} changed`,
    why: [...(restored.length === 0 ? [] : [`${restored.join(', ')}: restored`]), ...(hasOthers ? [others] : [])],
    fix: 'run hactl deploy again to finish',
    cause: thrown,
  })
}

/**
 * Everything that peers do not see comes first, then the file that they compare, then the reload alone on all servers at once. Peers refuse
 * each other's adverts in between, and a slow disk must not make that longer.
 */
async function switchTogether(input: ApplyInput, wave: readonly string[]): Promise<void> {
  const part = (wanted: 'rest' | 'compared file' | 'reload') =>
    onAll(wave, server => {
      const compared = Object.values(input.services(server)).filter(({ comparedId }) => comparedId !== undefined)
      const partOf = (action: Action) => {
        if (compared.some(({ comparedId }) => comparedId === action.id)) return 'compared file'
        return action.kind === 'service' && compared.some(({ unit }) => unit === action.unit) ? 'reload' : 'rest'
      }
      const all = actionsOf(input.plan, server)
      const actions = all.filter(action => partOf(action) === wanted)
      // The stamp of a unit that a later part loads is wrong from the moment its file is there.
      const isLoadedLater = ({ unit }: ManagedService) => all.some(action => action.kind === 'service' && action.unit === unit)
      const forget = wanted === 'compared file' && actions.length > 0 ? compared.filter(isLoadedLater).map(({ unit }) => unit) : []
      return switchOn(input, server, actions, forget)
    })
  await part('rest')
  await part('compared file')
  await part('reload')
}

async function switchOn(input: ApplyInput, server: string, actions: readonly Action[], forget: readonly Unit[] = []): Promise<void> {
  if (actions.length > 0) await switchServer(input, server, actions, input.services(server), forget)
}

async function passGates(input: ApplyInput, stage: Stage, servers: readonly string[]): Promise<void> {
  for (const gate of stage.gates) await input.passGate(gate, servers)
}

interface Restoring {
  /** No server keeps the change. */
  readonly isRefused?: boolean
  /** What became of the servers outside the waves. */
  readonly others?: string
}

/** Restores these waves, the last changed first, and throws what made it necessary. */
async function restoreWaves(
  input: ApplyInput,
  waves: readonly (readonly string[])[],
  thrown: unknown,
  { isRefused = true, others = 'servers before keep the new configuration, later ones were not changed' }: Restoring = {},
): Promise<never> {
  if (waves.length > 1 && isRefused)
    input.onEvent({ kind: 'warning', text: 'a check failed: every changed server goes back to its previous configuration' })
  const failures: HactlError[] = []
  for (const wave of waves.toReversed()) failures.push(...(await restoreServers(input, wave)))
  throw withRestoreErrors(interruptedWithin(input, { servers: waves.flat(), others }, thrown, failures), failures)
}

async function restoreServers(input: ApplyInput, wave: readonly string[]): Promise<HactlError[]> {
  const outcomes = await Promise.allSettled(wave.map(server => restoreServer(input, server)))
  return outcomes.flatMap((outcome, index) =>
    outcome.status === 'rejected' ? [notRestored(input, wave[index] ?? '', outcome.reason)] : [],
  )
}

function withRestoreErrors(thrown: unknown, failures: readonly HactlError[]): unknown {
  if (!(thrown instanceof HactlError) && failures.length === 0) return thrown
  const reasons = thrown instanceof HactlErrors ? thrown.errors : [asHactlError(thrown)]
  // Where the lock was lost, the undo failed for the same reason as the change.
  const isTold = (failure: HactlError) =>
    reasons.some(({ code, server }) => failure.code === 'E_LOCKED' && code === 'E_LOCKED' && server === failure.server)
  const errors = [...reasons, ...failures.filter(failure => !isTold(failure))]
  const [only] = errors
  return errors.length === 1 ? only : new HactlErrors(errors)
}

async function restoreServer(input: ApplyInput, server: string): Promise<void> {
  const { links, lock } = input
  const waits = waitsOf(input, server)
  const script = restoreScript(lock.id, lock, { services: input.services(server), waits })
  const restore = () =>
    runSteps(uninterrupted(input), server, script, {
      effect: 'undo',
      label: 'restore the previous files',
      deadlineMs: withStop(SWITCH_DEADLINE_MS, waits.stopMs),
    })
  const session = links.current(server)
  try {
    await restore()
  } catch (error) {
    if (!(error instanceof HactlError) || error.code !== 'E_CONNECTION_LOST') throw error
    await links.renew(session)
    await restore()
  }
  input.onEvent({ kind: 'restored', server, title: 'the previous configuration runs again' })
}

function notRestored({ lock, services }: ApplyInput, server: string, reason: unknown): HactlError {
  if (reason instanceof HactlError && reason.code === 'E_LOCKED') {
    return new HactlError({
      code: 'E_LOCKED',
      server,
      what: 'this server was not restored: another run has taken the lock',
      why: ['this run showed no sign of life for too long, and the other one builds on what it found'],
      fix: `when the other run has ended, run hactl status; hactl history shows what ${server} has`,
      cause: reason,
    })
  }
  const why = reason instanceof HactlError ? [reason.message, ...reason.why] : [String(reason)]
  const previous = previousFolder(lock.id)
  if (reason instanceof HactlError && (reason.code === 'E_CONNECTION_LOST' || EXIT_OF[reason.code] === 4)) {
    return new HactlError({
      code: 'E_CONNECTION_LOST',
      server,
      what: 'the connection was lost during the change and could not be made again, so this server was not restored',
      why,
      fix: `run hactl deploy again when ${server} answers: it finishes the change (the previous files are in ${previous})`,
      cause: reason,
    })
  }
  return new HactlError({
    code: 'E_UNDO_FAILED',
    server,
    what: 'the previous configuration could not be restored',
    why,
    fix: `on ${server}: copy the files from ${previous} back (its file "record" names their places), then systemctl daemon-reload && systemctl reload ${Object.keys(services(server)).join(' ')}`,
    cause: reason,
  })
}

/** Waits for all servers, then throws every failure: nothing is left running behind an error. */
async function onAll(servers: readonly string[], work: (server: string) => Promise<void>): Promise<void> {
  const outcomes = await Promise.allSettled(servers.map(work))
  const errors = outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
  if (errors.length === 0) return
  const known = errors.filter((error): error is HactlError => error instanceof HactlError)
  if (known.length < errors.length) throw errors.find(error => !(error instanceof HactlError))
  throwAll(known)
}
