/** A cluster on real kernels: deployed on bare servers, drilled, drained, and its holder's power cut. Needs: nothing. Leaves: a converged cluster. */
import { expect, test } from 'vitest'
import { expectExit, resultOf } from '../e2e/support/hactl.ts'
import { SERVERS, until } from '../e2e/support/lab.ts'
import { freshWorkspace } from '../e2e/support/opening.ts'
import { startPoller } from '../e2e/support/poller.ts'
import {
  expectConverged,
  hactlOn,
  MAX_OUTAGE,
  noteFigure,
  openKernelLab,
  passedDrill,
  patientDrill,
  patientInventory,
  timed,
} from './support/kernel-lab.ts'

const lab = openKernelLab()
const work = freshWorkspace(lab, patientInventory(lab))
const hactl = hactlOn(work)

const drill = async (name: string, ...more: readonly string[]) =>
  passedDrill(await timed(`drill ${name}`, () => hactl('verify-failover', '--drill', name, ...MAX_OUTAGE, ...more)))

test('bare servers are deployed, and a second run has nothing to do', async () => {
  const run = await timed('first deploy', () => hactl('deploy'))
  expectExit(run, 0)
  expect(resultOf(run).holder).toEqual({ [lab.vip]: 'srv-1' })
  const again = await timed('deploy with nothing to do', () => hactl('deploy'))
  expectExit(again, 0)
  expect(resultOf(again).servers?.map(server => server.changed)).toEqual([[], [], []])
  await expectConverged(lab, work)
})

test('keepalived is stopped on the holder', async () => {
  expect(await drill('keepalived-stop')).toMatchObject({ from: 'srv-1', to: 'srv-2', failback: 'srv-1' })
})

test('the servers do not hear each other for a while', async () => {
  expect(await drill(patientDrill(work, '65-partition.yml'))).toMatchObject({
    from: 'srv-1',
    to: 'srv-2',
    failback: 'srv-1',
    holders_max: 2,
  })
})

test('the holder reboots', async () => {
  expect(await drill('reboot', '--destructive')).toMatchObject({ from: 'srv-1', to: 'srv-2', failback: 'srv-1' })
  await lab.powerOn(...SERVERS)
})

test('the holder is drained and undrained', async () => {
  expectExit(await timed('drain', () => hactl('drain', 'srv-1')), 0)
  expect(await lab.holders()).toEqual(['srv-2'])
  expectExit(await timed('undrain', () => hactl('undrain', 'srv-1')), 0)
  expect(await lab.holders()).toEqual(['srv-1'])
})

test("the holder's power is cut: another server takes over, and the address goes home when the power is back", async () => {
  await expectConverged(lab, work)
  const poller = await startPoller(lab.vip, 3000)
  await lab.cutPower('srv-1')
  const others = async () => {
    const holding = await Promise.all(
      ['srv-2', 'srv-3'].map(async server =>
        (await lab.sh(server, `ip -o addr show scope global to ${lab.vip}`)).trim() === '' ? [] : [server],
      ),
    )
    return holding.flat().join()
  }
  await until('srv-2 has taken over', 60_000, async () => (await others()) === 'srv-2')
  const status = await hactl('status')
  expect(status.exit).toBe(4)
  await timed('power on, until srv-1 answers ssh', () => lab.powerOn('srv-1'))
  await expectConverged(lab, work)
  const seen = await poller.stop()
  noteFigure(`power cut and power on: at most ${seen.outageMs} ms without an answer, ${seen.failed} of ${seen.probes} probes lost`)
  expectExit(await hactl('status'), 0)
})
