import type { Effect, Script } from '../../ports.ts'
import type { Action } from '../../state/plan.ts'
import { base64Literal, joinScripts, sh } from '../../shell/sh.ts'
import { type Install, installLines } from './packages.ts'
import { lockGuard } from '../lock.ts'
import { preparing, stagedPath } from '../server-state/run-folder.ts'

type WriteFile = Extract<Action, { kind: 'write-file' }>

/**
 * Brings one server to the point where the switch is only renames and reloads. The packages are installed, and the installation starts no
 * service. The new files are staged beside the live ones, and the programs that will read them have accepted them. Touches nothing that runs.
 */
export function prepareScript(runId: string, lockId: string, actions: readonly Action[], finishDpkg: boolean): Script {
  const installs = actions.filter((action): action is Install => action.kind === 'install-package')
  const writes = actions.filter((action): action is WriteFile => action.kind === 'write-file')
  return joinScripts([
    lockGuard(lockId),
    preparing(runId)`make_staged`,
    ...(installs.length > 0 ? [installLines(runId, installs, finishDpkg)] : []),
    ...writes.map(write => stageScript(runId, write)),
    ...writes.flatMap(write => validateScript(runId, write, writes)),
  ])
}

/** Staged files wait in the run's own folder, so only an installation changes the server. */
export function prepareEffect(actions: readonly Action[]): Effect {
  return actions.some(action => action.kind === 'install-package') ? 'change' : 'none'
}

export function stageScript(runId: string, write: WriteFile): Script {
  const { path, mode, after } = write
  return preparing(runId)`stage ${stagedPath(runId, path)} ${mode} ${path} ${base64Literal(after, { mask: true })}`
}

/** A check is no change, and its events must not look like one. */
function checkId(write: WriteFile): string {
  return write.id.replace(/^file\//, 'check/')
}

/** Empty for a file that no program checks. */
export function validateScript(runId: string, write: WriteFile, writes: readonly WriteFile[]): readonly Script[] {
  const { validation, path } = write
  if (validation === undefined) return []
  const staged = stagedPath(runId, path)
  const together = validation.alsoStaged.filter(other => writes.some(one => one.path === other))
  const edits = [...together.map(other => `s|${other}|${stagedPath(runId, other)}|g`), ...(validation.edits ?? [])]
  const candidate = edits.length === 0 ? staged : `${staged}.check`
  const argv = validation.argv.map(word => (word === '{}' ? candidate : word))
  const silent = validation.mustBeSilent ? 'yes' : 'no'
  return [
    ...(edits.length === 0 ? [] : [sh`sed ${edits.flatMap(edit => ['-e', edit])} ${staged} >${candidate}`]),
    ...(validation.before === undefined ? [] : [validation.before]),
    preparing(runId)`check_file ${checkId(write)} ${path} ${candidate} ${silent} ${argv}`,
  ]
}
