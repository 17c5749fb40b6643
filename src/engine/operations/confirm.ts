import { HactlError } from '../../errors.ts'

/** Throws E_DECLINED where the operator did not confirm. `toDo` is what the run would do, as a verb: "apply". */
export function assertConfirmed(isConfirmed: boolean, toDo: string): void {
  if (isConfirmed) return
  throw new HactlError({
    code: 'E_DECLINED',
    what: 'the run was not confirmed; nothing was changed',
    fix: `add --yes to ${toDo} without a question`,
  })
}
