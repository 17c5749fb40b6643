// What only servers with kernels of their own can show (test/kernel), on the lab of real kernels (test/kernel-lab).
//   npm run test:kernel -- [--release bookworm|trixie|bullseye] [--only FILE,... | --all] [--power-cuts N [--seed N]]
// Without --only or --all it runs what fits into 25 minutes. With --power-cuts it cuts a server's power at N random moments of deploys and runs nothing else. Exits 0 only when everything asked for passed.
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildHactl, withLab } from './support/lab.ts'
import { bold, heading, seconds } from './support/output.ts'
import { kernels } from './support/places.ts'
import { main, messageOf, MINUTE_MS, run, Stop } from './support/process.ts'
import { countsIn, reportTo } from './support/vitest-report.ts'

const LIMIT_MS = 60 * MINUTE_MS
const LIMIT_OF_A_POWER_CUT_MS = 8 * MINUTE_MS
const USAGE = 'npm run test:kernel -- --release trixie --power-cuts 20 --seed 7'

const RELEASES = ['bullseye', 'bookworm', 'trixie']
const fileOf = (name: string) => `test/kernel/${name}.test.ts`
/** What would make a run of the others too long for 25 minutes on 2 cores. */
const WHERE_ASKED_FOR = ['open-connections']

interface Asked {
  readonly release: string
  readonly files: readonly string[]
  /** What could have been asked for, and was not. */
  readonly leftOut: readonly string[]
  readonly powerCuts: number
  readonly seed: string
}

function asked(): Asked {
  const text = { type: 'string' } as const
  try {
    const { values } = parseArgs({ options: { release: text, only: text, all: { type: 'boolean' }, 'power-cuts': text, seed: text } })
    const powerCuts = Number(values['power-cuts'] ?? 0)
    if (values['power-cuts'] !== undefined && !/^[1-9]\d{0,3}$/.test(values['power-cuts']))
      throw new Error(`"${values['power-cuts']}" is no number of power cuts`)
    if (values.seed !== undefined && !/^\d+$/.test(values.seed)) throw new Error(`"${values.seed}" is no seed: it is a whole number`)
    const release = values.release ?? 'bookworm'
    if (!RELEASES.includes(release)) throw new Error(`"${release}" is none of: ${RELEASES.join(', ')}`)
    const picks = Object.keys(values).filter(name => ['only', 'all', 'power-cuts'].includes(name))
    if (picks.length > 1) throw new Error(`--${picks.join(' and --')} exclude each other`)
    if (values.seed !== undefined && powerCuts === 0) throw new Error('--seed is for --power-cuts')
    const known = globSync('test/kernel/*.test.ts').map(file => basename(file, '.test.ts'))
    const usual = known.filter(name => values.all === true || !WHERE_ASKED_FOR.includes(name))
    const names = powerCuts > 0 ? ['power-cut'] : (values.only?.split(',') ?? usual)
    const unknown = names.find(name => !known.includes(name))
    if (unknown !== undefined) throw new Error(`"${unknown}" is none of: ${known.join(', ')}`)
    return {
      release,
      files: names.map(fileOf),
      leftOut: names === usual ? known.filter(name => !usual.includes(name)) : [],
      powerCuts,
      seed: values.seed ?? '1',
    }
  } catch (error) {
    throw new Stop('the arguments are wrong', messageOf(error), USAGE, 3)
  }
}

await main(async () => {
  const { release, files, leftOut, powerCuts, seed } = asked()
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
        if (leftOut.length > 0) console.log(`not run: ${leftOut.join(', ')} (--only or --all runs it)`)
        console.log(bold(`tests: ${counts?.passed ?? 0} passed, ${counts?.failed ?? 1} failed, ${counts?.skipped ?? 0} skipped`))
        return ended.code === 0 && counts !== undefined && counts.passed > 0 && counts.failed === 0 ? 0 : 1
      },
      { place: kernels, suite },
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
