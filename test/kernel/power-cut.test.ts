/**
 * A server's power is cut in the middle of a deploy: the next deploy after power on converges, and no file is half-written meanwhile. Cut at a
 * few steps, or with HACTL_POWER_CUTS=N at N random moments (HACTL_SEED). Needs: any lab. Leaves: a converged cluster.
 */
import { beforeAll, expect, test } from 'vitest'
import { expectExit, labHaproxy, resultOf, type Run, type Running } from '../e2e/support/hactl.ts'
import { pause, SERVERS } from '../e2e/support/lab.ts'
import { workspaceFor } from '../e2e/support/opening.ts'
import { type Random, seededRandom } from '../inventory/random.ts'
import { halfWritten, halfWrittenState, KEPT, PACKAGED, parseSums, type Sums, SUMS } from '../support/half-written.ts'
import {
  ensureDeployedSlowly,
  expectConverged,
  hactlOn,
  noteFigure,
  openKernelLab,
  patientInventory,
  patientVrrp,
  RUN_LIMIT_MS,
} from './support/kernel-lab.ts'

const lab = openKernelLab()
const work = workspaceFor(lab, patientInventory(lab))
const hactl = hactlOn(work)

const cuts = Number(process.env['HACTL_POWER_CUTS'] ?? 0)
const seed = Number(process.env['HACTL_SEED'] ?? 1)
const LOCK_TRIES = 20

let number = 0
/** Another haproxy.cfg, and another keepalived.conf. */
function writeNextInventory(): void {
  number += 1
  const frontends = [
    { name: 'web', bind: [':80'], mode: 'http', default_backend: 'app', lines: [`http-response set-header X-Config c${number}`] },
  ]
  work.writeInventory(
    patientInventory(lab, {
      haproxy: labHaproxy(lab, { frontends }),
      ...patientVrrp(lab, { garp_master_refresh: 60 + number }),
    }),
  )
}

const startDeploy = () => work.start(['deploy', '--yes', '--json', '--timeout', '30'], { limitMs: RUN_LIMIT_MS })

/** What the dead run locked is free half a minute later, by the servers' own clocks. */
async function deployAgain(): Promise<Run> {
  for (let tries = 0; ; tries++) {
    const run = await hactl('deploy')
    if (run.exit !== 5 || resultOf(run).code !== 'E_LOCKED' || tries === LOCK_TRIES) return run
    await pause(3000)
  }
}

const LITTER =
  'find /etc /usr/local /var/lib/hactl -name "*.hactl-new"; ls -d /var/lib/hactl/lock /run/systemd/transient/hactl-* 2>/dev/null; true'

/** Never empty: the lab's own files are among them on a bare server, too. */
async function sumsOn(server: string): Promise<Sums> {
  const sums = parseSums(await lab.sh(server, SUMS))
  if (sums.size === 0) throw new Error(`${server}: no file was read, so none could be found half-written`)
  return sums
}

/** Where its last lines say the run was, on this server. */
function phase(running: Running, server: string): string {
  const last = running.lines().findLast(line => line.server === server)
  return last === undefined ? 'before its first line' : `${last.event} ${last.id ?? last.stage ?? ''}`.trim()
}

/**
 * Deploys, cuts the power of `server` when `moment` resolves, powers it on and deploys again. What is not as this file promises; undefined where the
 * deploy had ended by then.
 */
async function cutDuring(
  server: string,
  isFirst: boolean,
  moment: (running: Running) => Promise<unknown>,
): Promise<readonly string[] | undefined> {
  if (isFirst) await lab.fresh(server)
  writeNextInventory()
  const before = await sumsOn(server)
  const running = startDeploy()
  await moment(running)
  const at = phase(running, server)
  await lab.cutPower(server)
  const isLate = running.lines().some(line => line.event === 'result')
  // The power is back while hactl still waits for the server.
  const [cut] = await Promise.all([running.ended, lab.powerOn(server)])
  const found = await sumsOn(server)
  const packaged = parseSums(await lab.sh(server, PACKAGED))
  const tornState = halfWrittenState(await lab.sh(server, KEPT))
  const again = await deployAgain()
  expectExit(again, 0)
  await expectConverged(lab, work)
  const litter = await lab.everywhere(LITTER)
  const wrong = [
    ...([0, 4, 5, 6].includes(cut.exit) ? [] : [`the run whose server died ended with ${cut.exit}: ${cut.stderr.slice(-1000)}`]),
    ...halfWritten(found, before, await sumsOn(server), packaged).map(file => `half-written: ${file}`),
    ...tornState.map(file => `half-written of hactl's own: ${file}`),
    ...litter.flatMap((text, index) => (text === '' ? [] : [`left on ${SERVERS[index]}: ${text}`])),
  ]
  const outcome = wrong.length === 0 ? 'then converged' : `then converged, but: ${wrong.join('; ')}`
  if (isLate && wrong.length === 0) return undefined
  noteFigure(`power cut of ${server} in a ${isFirst ? 'first' : 'later'} deploy, at ${at}: exit ${cut.exit}, ${outcome}`)
  return wrong
}

beforeAll(() => ensureDeployedSlowly(lab, work))

const started = (server: string, id: string, afterMs: number) => async (running: Running) => {
  await running.line(`${id} on ${server}`, line => line.event === 'action-started' && line.server === server && line.id === id)
  await pause(afterMs)
}

const STEPS = [
  { server: 'srv-3', isFirst: true, step: 'package/haproxy', afterMs: 4000 },
  { server: 'srv-2', isFirst: false, step: 'service/haproxy', afterMs: 200 },
  { server: 'srv-3', isFirst: false, step: 'file/haproxy.cfg', afterMs: 100 },
  { server: 'srv-1', isFirst: false, step: 'service/keepalived', afterMs: 500 },
] as const

test.runIf(cuts === 0).each(STEPS)('at $step of $server, which is new: $isFirst', async ({ server, isFirst, step, afterMs }) => {
  expect(await cutDuring(server, isFirst, started(server, step, afterMs))).toEqual([])
})

/** How long a deploy takes here and now, in ms: the span in which the moments fall. */
async function deployMs(isFirst: boolean): Promise<number> {
  if (isFirst) await lab.fresh('srv-3')
  writeNextInventory()
  const began = performance.now()
  expectExit(await startDeploy().ended, 0)
  return performance.now() - began
}

/** Every fifth moment falls into the deploy of a bare server, which takes several times as long. */
const isFirstAt = (index: number) => index % 5 === 0

test.runIf(cuts > 0)(`at ${cuts} random moments`, { timeout: 4 * 3_600_000 }, async () => {
  const random: Random = seededRandom(seed)
  const spans = { first: await deployMs(true), later: await deployMs(false) }
  const failures: string[] = []
  let [converged, late] = [0, 0]
  for (let index = 0; index < cuts; index++) {
    const server = random.pick(['srv-1', 'srv-2', 'srv-3'])
    const isFirst = isFirstAt(index)
    const afterMs = random.int(Math.round(isFirst ? spans.first : spans.later))
    try {
      const wrong = await cutDuring(server, isFirst, () => pause(afterMs))
      if (wrong === undefined) {
        late += 1
        if (late > cuts) throw new Error('the deploys end before the power is cut')
        index -= 1
        continue
      }
      if (wrong.length === 0) converged += 1
      failures.push(...wrong.map(text => `${index + 1}: ${text}`))
    } catch (error) {
      failures.push(`${index + 1}: ${server} after ${afterMs} ms: ${error instanceof Error ? error.message : String(error)}`)
      await ensureDeployedSlowly(lab, work)
    }
  }
  noteFigure(
    `power cuts at random moments (seed ${seed}): ${converged} of ${cuts} converged with no file half-written and nothing left over`,
  )
  expect(failures).toEqual([])
})
