import { expect, test } from 'vitest'
import { renderDeploy } from '../../../src/cli/view/deploy.ts'
import { styleFor } from '../../../src/cli/view/style.ts'
import type { DeployReport } from '../../../src/app/deploy.ts'

test('an address of a server that --limit left out is not reported as held by nobody', () => {
  const report: Pick<DeployReport, 'servers' | 'holder' | 'durationMs'> = {
    servers: [{ name: 'srv-2', changed: [], unchanged: 14 }],
    holder: { '192.0.2.200': '', '192.0.2.201': 'srv-2' },
    durationMs: 1000,
  }
  const text = renderDeploy(report as DeployReport, styleFor(false))
  expect(text).toContain('192.0.2.200 is held by none of the servers checked\n')
  expect(text).toContain('192.0.2.201 is held by srv-2\n')
})
