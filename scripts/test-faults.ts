// Faults by the hundred on the lab: controllers killed, connections cut, servers rebooted, disks full; what was lost, broken or hung.
//   npm run test:faults -- [--only ROW,...] [-n TIMES] [--seed N] [--minutes N] [--write]
// Without -n it takes more than an hour and renews the table of docs/reliability.md. What it says goes to .lab/faults.log, too.
import { buildHactl, withLab } from './support/lab.ts'
import { main, run } from './support/process.ts'

const HOURS_MS = 3_600_000

await main(async () => {
  await buildHactl()
  const wrong = await run('node', ['test/faults/main.ts', '--check', ...process.argv.slice(2)], { timeoutMs: 60_000 })
  if (wrong.code !== 0) return 1
  return await withLab(async () => {
    // The Node of the development tools: it runs TypeScript as it is.
    const { code } = await run('node', ['test/faults/main.ts', ...process.argv.slice(2)], { timeoutMs: 10 * HOURS_MS })
    return code ?? 1
  })
})
