import type { DeployReport } from '../../app/deploy.ts'
import { count, formatMs } from '../../words.ts'
import { type Style } from './style.ts'

export interface Changed {
  readonly name: string
  readonly changed: readonly string[]
}

/** What was changed where, who holds what now, and how long it took. */
export function renderDeploy(report: DeployReport, style: Style): string {
  const lines = report.servers.map(({ name, changed, unchanged }) =>
    changed.length === 0
      ? `${name}: nothing changed, ${unchanged} as wanted`
      : `${name}: ${count(changed.length, 'change')}, ${unchanged} as wanted`,
  )
  for (const [vip, holder] of Object.entries(report.holder))
    lines.push(style.bold(`${vip} is held by ${holder === '' ? 'none of the servers looked at' : holder}`))
  lines.push(`took ${formatMs(report.durationMs)}`)
  return `${lines.join('\n')}\n`
}

/** How far a deploy came that stopped part way. */
export function renderStopped(servers: readonly Changed[]): string {
  return ['Changed before it stopped:', ...servers.map(({ name, changed }) => `  ${name}: ${changed.join(', ')}`), ''].join('\n')
}
