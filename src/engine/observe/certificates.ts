/** When certificates end, as openssl prints it. */
import type { ObservedNode } from '../../state/observed.ts'
import { parseOpensslTime } from './said.ts'
import { linesOf } from './sections.ts'

/** One whose end is not known, or on a server whose clock is not, is left out: nothing can be said of it. */
export function parseCertificates(text: string, clockMs: number | undefined): ObservedNode['certificates'] {
  return linesOf(text).flatMap((line): ObservedNode['certificates'] => {
    const absent = /^none (.+)$/.exec(line)?.[1]
    if (absent !== undefined) return [{ path: absent, secondsLeft: undefined }]
    const [, end, path] = /^end (\S+ +\S+ \S+ \d+ \S+) (.+)$/.exec(line) ?? []
    const endSeconds = end === undefined ? undefined : parseOpensslTime(end)
    if (path === undefined || endSeconds === undefined || clockMs === undefined) return []
    return [{ path, secondsLeft: endSeconds - Math.floor(clockMs / 1000) }]
  })
}
