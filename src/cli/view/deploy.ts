import type { DeployReport } from '../../app/deploy.ts'
import { count, formatMs } from '../../words.ts'
import type { Changed } from '../changed-so-far.ts'
import { type Style } from './style.ts'

/** What was changed on which server, who holds which address now, and how long it took. */
export function renderDeploy(report: DeployReport, style: Style): string {
  const lines = report.servers.map(({ name, changed, unchanged }) =>
    changed.length === 0
      ? `${name}: nothing changed, ${unchanged} as wanted`
      : `${name}: ${count(changed.length, 'change')}, ${unchanged} as wanted`,
  )
  for (const [vip, holder] of Object.entries(report.holder))
    lines.push(style.bold(`${vip} is held by ${holder === '' ? 'none of the servers checked' : holder}`))
  lines.push(`took ${formatMs(report.durationMs)}`)
  return `${lines.join('\n')}\n`
}

/** How far a run came before it stopped part way. */
export function renderStopped(servers: readonly Changed[]): string {
  const lines = servers.map(({ name, changed, unanswered = [] }) => {
    const unknown = unanswered.map(label => `"${label}" gave no answer, and may have changed ${changed.length > 0 ? 'more' : 'something'}`)
    return `  ${name}: ${[...(changed.length > 0 ? [changed.join(', ')] : []), ...unknown].join('; ')}`
  })
  return ['Changed before it stopped:', ...lines, ''].join('\n')
}
