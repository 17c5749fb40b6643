import type { Issue } from '../../inventory/inventory.ts'
import { printable, type Style } from './style.ts'

/** "inventory.yml:12:5: servers[1].host: ..." with the fix beneath. */
export function renderIssues(kind: 'error' | 'warning', issues: readonly Issue[], file: string, style: Style): string[] {
  const paint = kind === 'error' ? style.red : style.yellow
  return issues.flatMap(issue => {
    const place = issue.line === undefined ? file : `${file}:${issue.line}${issue.column === undefined ? '' : `:${issue.column}`}`
    const what = issue.path === '' ? issue.message : `${issue.path}: ${issue.message}`
    const head = `${place}: ${paint(kind)}: ${printable(what)}`
    return issue.fix === undefined ? [head] : [head, `  fix   ${printable(issue.fix)}`]
  })
}

/** An issue in one line, without its place. */
export function issueText({ path, message, fix }: Issue): string {
  return `${path === '' ? '' : `${path}: `}${message}${fix === undefined ? '' : `; ${fix}`}`
}
