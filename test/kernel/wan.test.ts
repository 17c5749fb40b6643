/**
 * The controller is far away: 80 ms there and back, 1 % of the packets lost each way. Needs: any lab. Leaves: a converged cluster, and the way short
 * again.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { expectExit, labHaproxy, resultOf } from '../e2e/support/hactl.ts'
import { SERVERS } from '../e2e/support/lab.ts'
import { workspaceFor } from '../e2e/support/opening.ts'
import {
  ensureDeployedSlowly,
  expectConverged,
  hactlOn,
  MAX_OUTAGE,
  openKernelLab,
  passedDrill,
  patientInventory,
  timed,
} from './support/kernel-lab.ts'

const lab = openKernelLab()
const work = workspaceFor(lab, patientInventory(lab))
const hactl = hactlOn(work)

beforeAll(async () => {
  await ensureDeployedSlowly(lab, work)
  await lab.fresh('srv-3')
  await Promise.all(SERVERS.map(server => lab.slow(server, 80, 1)))
})
afterAll(() => Promise.all(SERVERS.map(server => lab.fast(server))))

test('a bare server is deployed from there, the others get another haproxy.cfg, and a second run has nothing to do', async () => {
  const frontends = [{ name: 'web', bind: [':80'], mode: 'http', default_backend: 'app', lines: ['http-response set-header X-Config far'] }]
  work.writeInventory(patientInventory(lab, { haproxy: labHaproxy(lab, { frontends }) }))
  expectExit(await timed('deploy of a bare server and two others over 80 ms and 1 % loss', () => hactl('deploy')), 0)
  const again = await timed('deploy with nothing to do over 80 ms and 1 % loss', () => hactl('deploy'))
  expect(resultOf(again).servers?.map(server => server.changed)).toEqual([[], [], []])
  await expectConverged(lab, work)
})

test.each([['controller'], ['srv-3']])('a drill, with probes from %s', async from => {
  const run = await timed(`drill haproxy-stop over 80 ms and 1 % loss, from ${from}`, () =>
    hactl('verify-failover', '--from', from, ...MAX_OUTAGE),
  )
  expect(passedDrill(run)).toMatchObject({ from: 'srv-1', to: 'srv-2', failback: 'srv-1' })
})
