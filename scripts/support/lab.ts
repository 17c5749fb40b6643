/** hactl's bundle and the lab, as scripts need them. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LabFile } from '../../test/lab/lab-file.ts'
import { heading } from './output.ts'
import { containers, type Place } from './places.ts'
import { MINUTE_MS, must, run, stopIfInterrupted } from './process.ts'

export type { LabFile }

/** Bundles dist/hactl.mjs. */
export async function buildHactl(): Promise<void> {
  await must('the build failed', 'node', ['scripts/build.ts'], { timeoutMs: 2 * MINUTE_MS })
}

/**
 * Whether this checkout's lab is up already: then it is somebody's, and stays up. One of its servers may be off, and a lab that does not say in time
 * whether it is up may be.
 */
async function labIsUp({ script, state }: Place): Promise<boolean> {
  if (!existsSync(join(state, 'lab.json'))) return false
  const { stdout, timedOut } = await run(script, ['status'], { capture: true, timeoutMs: MINUTE_MS })
  return timedOut || stdout.split('\n').some(line => /^srv-\d/.test(line) && line.includes('running'))
}

/** What the servers of the lab can be, as settings of test/lab/lab. */
type Suite = Readonly<Record<'HACTL_LAB_RELEASE' | 'HACTL_LAB_TOOLS', string>>

const suiteOf = (release: string, tools = 'gnu'): Suite => ({ HACTL_LAB_RELEASE: release, HACTL_LAB_TOOLS: tools })

export const SUITES: ReadonlyMap<string, Suite> = new Map([
  ['bullseye', suiteOf('bullseye')],
  ['bookworm', suiteOf('bookworm')],
  ['trixie', suiteOf('trixie')],
  ['trixie-rust', suiteOf('trixie', 'rust')],
])

function isSuite({ release, tools = 'gnu' }: LabFile, { HACTL_LAB_RELEASE, HACTL_LAB_TOOLS }: Suite): boolean {
  return release === HACTL_LAB_RELEASE && tools === HACTL_LAB_TOOLS
}

const labFile = ({ state }: Place) => JSON.parse(readFileSync(join(state, 'lab.json'), 'utf8')) as LabFile

interface LabOptions {
  /** The lab stays up in any case. */
  readonly keep?: boolean
  /** Servers of a lab that was up are made anew. */
  readonly fresh?: boolean
  /** A lab that was up with another one gets fresh servers of its own at the end. */
  readonly suite?: Suite | undefined
  /** Which lab; the one of containers where it is not said. */
  readonly place?: Place
}

/** Brings the lab up, runs `work` with what its lab.json says, and takes the lab down again if it was down before. */
export async function withLab<T>(work: (lab: LabFile) => Promise<T>, options: LabOptions = {}): Promise<T> {
  const { keep = false, fresh = false, suite, place = containers } = options
  const wasUp = await labIsUp(place)
  const before = wasUp ? labFile(place) : undefined
  const replaced =
    suite !== undefined && before !== undefined && !isSuite(before, suite) ? suiteOf(before.release, before.tools) : undefined
  const meanwhile = replaced === undefined ? '' : '; its servers are replaced until the end'
  heading(wasUp ? `the lab is already up, and stays up${fresh ? '; its servers are reset' : meanwhile}` : `starting the lab: ${place.what}`)
  try {
    await must('the lab does not start', place.script, ['up'], { timeoutMs: 10 * MINUTE_MS, env: suite ?? {} })
    // The signal may have come when the lab's command had done everything.
    stopIfInterrupted('the lab was still starting', 'run it again')
    if (wasUp && fresh) await resetLab(place)
    return await work(labFile(place))
  } finally {
    // Whatever ended the work, this has to be done: it is not part of what was interrupted.
    if (!wasUp && !keep) {
      heading('taking the lab down')
      const { code } = await run(place.script, ['down'], { timeoutMs: 5 * MINUTE_MS })
      if (code !== 0) console.error(`the lab was not taken down: run ${place.script} down`)
    } else if (replaced !== undefined) {
      heading('the lab gets servers of its own release back')
      const { code } = await run(place.script, ['up'], { timeoutMs: 10 * MINUTE_MS, env: replaced })
      if (code !== 0)
        console.error(
          `the lab's own servers were not restored: run ${Object.entries(replaced)
            .map(([name, value]) => `${name}=${value}`)
            .join(' ')} ${place.script} up`,
        )
    }
  }
}

/** Three servers on which nothing is installed. */
export async function resetLab({ script }: Place = containers): Promise<void> {
  await must('the lab cannot be reset', script, ['reset'], { timeoutMs: 3 * MINUTE_MS })
}
