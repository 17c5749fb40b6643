/** What hactl finds in the operator's own haproxy.cfg before haproxy itself judges it. */
import type { Issue } from '../../inventory/inventory.ts'
import { parseHaproxySections } from './read.ts'

const PATH = 'haproxy.config'

/** `name`: the file's name in the inventory. */
export function configFileIssues(text: string, name: string): { readonly errors: readonly Issue[]; readonly warnings: readonly Issue[] } {
  if (parseHaproxySections(text).length === 0) {
    const message =
      text.trim() === '' ? `${name} is empty` : `${name} has no section of a haproxy.cfg: no global, defaults, frontend or listen`
    return { errors: [{ path: PATH, message, fix: 'name the haproxy.cfg that the servers are to have' }], warnings: [] }
  }
  if (text.endsWith('\n')) return { errors: [], warnings: [] }
  return {
    errors: [],
    // Evidence H4.
    warnings: [
      {
        path: PATH,
        message: `the last line of ${name} has no line feed: haproxy treats the file as truncated and refuses it`,
        fix: 'end it with a newline',
      },
    ],
  }
}
