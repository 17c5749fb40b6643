// What only servers with kernels of their own can show (test/kernel), on the lab of real kernels (test/kernel-lab).
//   npm run test:kernel -- [--release bookworm|trixie|bullseye] [--only FILE,... | --all] [--power-cuts N [--seed N]]
// Without --only or --all it runs what fits into 25 minutes. With --power-cuts it cuts a server's power at N random moments of deploys and runs nothing else. Exits 0 only when everything asked for passed.
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildHactl, withLab } from './support/lab.ts'
import { bold, heading, seconds } from './support/output.ts'
import { kernels } from './support/places.ts'
import { main, messageOf, MINUTE_MS, run, Stop } from './support/process.ts'
import { countsIn, reportTo } from './support/vitest-report.ts'

const LIMIT_MS = 60 * MINUTE_MS
const LIMIT_OF_A_POWER_CUT_MS = 8 * MINUTE_MS
const USAGE = 'npm run test:kernel -- --release trixie --power-cuts 20 --seed 7'

const fileOf = (name: string) => `test/kernel/${name}.test.ts`
/** What would make a run of the others too long for 25 minutes on 2 cores. */
const WHERE_ASKED_FOR = ['open-connections'].map(fileOf)

interface Asked {
  readonly release: string
  readonly files: readonly string[]
  readonly powerCuts: number
  readonly seed: string
}

function asked(): Asked {
  const text = { type: 'string' } as const
  try {
    const { values } = parseArgs({ options: { release: text, only: text, all: { type: 'boolean' }, 'power-cuts': text, seed: text } })
    const powerCuts = Number(values['power-cuts'] ?? 0)
    if (!Number.isInteger(powerCuts) || powerCuts < 0) throw new Error(`"${values['power-cuts']}" is no number of power cuts`)
    if (values.seed !== undefined && !/^\d+$/.test(values.seed)) throw new Error(`"${values.seed}" is no seed: it is a whole number`)
    const shipped = globSync('test/kernel/*.test.ts').filter(file => values.all === true || !WHERE_ASKED_FOR.includes(file))
    const only = powerCuts > 0 ? 'power-cut' : values.only
    const files = only?.split(',').map(fileOf) ?? shipped
    const missing = files.find(file => !existsSync(file))
    if (missing !== undefined) throw new Error(`${missing} does not exist`)
    return { release: values.release ?? 'bookworm', files, powerCuts, seed: values.seed ?? '1' }
  } catch (error) {
    throw new Stop('the arguments are wrong', messageOf(error), USAGE, 3)
  }
}

await main(async () => {
  const { release, files, powerCuts, seed } = asked()
  await buildHactl()
  const folder = mkdtempSync(join(tmpdir(), 'hactl-kernel-'))
  const report = join(folder, 'kernel.json')
  const figures = join(kernels.state, 'figures')
  const began = performance.now()
  const suite = { HACTL_LAB_RELEASE: release, HACTL_LAB_TOOLS: 'gnu' }
  try {
    return await withLab(
      async lab => {
        heading(`npm run test:kernel: Debian ${lab.release}, up after ${seconds(performance.now() - began)}`)
        rmSync(figures, { force: true })
        const ended = await run('vitest', ['run', '--project', 'kernel', ...files, ...reportTo(report)], {
          timeoutMs: LIMIT_MS + powerCuts * LIMIT_OF_A_POWER_CUT_MS,
          env: { ...suite, ...(powerCuts > 0 ? { HACTL_POWER_CUTS: String(powerCuts), HACTL_SEED: seed } : {}) },
        })
        heading('figures')
        if (existsSync(figures)) console.log(readFileSync(figures, 'utf8').trimEnd())
        const counts = countsIn(report)
        heading('summary')
        if (ended.timedOut) console.log('the tests were stopped: they took too long')
        console.log(`Debian ${lab.release}, ${seconds(performance.now() - began)}`)
        console.log(bold(`tests: ${counts?.passed ?? 0} passed, ${counts?.failed ?? 1} failed, ${counts?.skipped ?? 0} skipped`))
        return ended.code === 0 && counts !== undefined && counts.passed > 0 && counts.failed === 0 ? 0 : 1
      },
      { place: kernels, suite },
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
