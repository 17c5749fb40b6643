import type { Script } from '../../ports.ts'
import type { Action } from '../../state.ts'
import { constantShell } from './constant.ts'
import { base64Literal, joinScripts, sh } from '../../shell/sh.ts'
import { type Install, installLines } from './packages.ts'
import { STEP_FUNCTIONS } from './report.ts'
import { lockGuard } from '../lock.ts'
import { runDir, stagedPath } from './run-dir.ts'

type WriteFile = Extract<Action, { kind: 'write-file' }>

/**
 * Brings one server to the point where the switch is only renames and reloads: packages installed (services not started by the
 * installation), new files staged beside the live ones and accepted by the programs that will read them. Touches nothing that runs.
 */
export function prepareScript(runId: string, lockId: string, actions: readonly Action[], finishDpkg: boolean): Script {
  const installs = actions.filter((action): action is Install => action.kind === 'install-package')
  const writes = actions.filter((action): action is WriteFile => action.kind === 'write-file')
  return joinScripts(
    [
      STEP_FUNCTIONS,
      lockGuard(lockId),
      sh`umask 077; mkdir -p ${runDir(runId)}/staged; umask 022`,
      ...(installs.length > 0 ? [installLines(runId, installs, finishDpkg)] : []),
      ...writes.map(write => stageScript(runId, write)),
      ...writes.flatMap(write => (write.validation === undefined ? [] : [validateScript(runId, write, writes)])),
    ],
    '\n',
  )
}

export function stageScript(runId: string, write: WriteFile): Script {
  const staged = stagedPath(runId, write.path)
  // The check refuses a script that others could write; its staged copy must have the mode of the real one.
  return sh`printf %s ${base64Literal(write.after, { mask: true })} | base64 -d >${staged} && chmod ${write.mode} ${staged} || fail staging ${`${write.path} could not be staged (disk full?)`}`
}

/** A check is no change: it must not look like one in what a run tells of itself. */
function checkId(write: WriteFile): string {
  return write.id.replace(/^file\//, 'check/')
}

export function validateScript(runId: string, write: WriteFile, writes: readonly WriteFile[]): Script {
  const validation = write.validation
  if (validation === undefined) return sh`:`
  const staged = stagedPath(runId, write.path)
  const together = validation.alsoStaged.filter(path => writes.some(other => other.path === path))
  const candidate = together.length === 0 ? staged : `${staged}.check`
  const substitutions = together.map(path => `s|${path}|${stagedPath(runId, path)}|g`)
  const argv = validation.argv.map(word => (word === '{}' ? candidate : word))
  return sh`
step ${checkId(write)} ${`check the new ${write.path}`}
${together.length === 0 ? sh`:` : sh`sed ${substitutions.flatMap(text => ['-e', text])} ${staged} >${candidate}`}
${constantShell(validation.before ?? ':')}
out=$(${argv} 2>&1); rc=$?
${validation.mustBeSilent ? sh`[ $rc -eq 0 ] && [ -n "$out" ] && rc=complaints` : sh`:`}
[ -n "$out" ] && printf '%s\n' "$out" | sed -e ${`s|${candidate}|${write.path}|g`} -e ${`s|${runDir(runId)}/staged/||g`} | tail -n 20
[ "$rc" = 0 ] || fail ${checkId(write)} ${`${write.path} was refused by ${validation.argv[0] ?? ''}`}
done_ ${checkId(write)}`
}
