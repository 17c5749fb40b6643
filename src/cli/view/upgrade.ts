import type { UpgradeReport } from '../../app/upgrade.ts'
import { renderDeploy } from './deploy.ts'
import { movement } from './drain.ts'
import type { Style } from './style.ts'

/** What was upgraded where and what moved meanwhile; or that there was nothing to upgrade. */
export function renderUpgrade(report: UpgradeReport, style: Style): string {
  if (report.moves.length === 0 && report.servers.every(({ changed }) => changed.length === 0))
    return 'nothing to upgrade: every server has the newest haproxy and keepalived that apt and the inventory allow\n'
  return `${report.moves.map(move => `${movement(move)}\n`).join('')}${renderDeploy(report, style)}`
}
