/**
 * A cluster on real kernels: deployed on bare servers, drilled, drained while connections are open, and its holder's power cut. Needs: nothing.
 * Leaves: a converged cluster.
 */
import { expect, test } from 'vitest'
import { expectExit, labHaproxy, resultOf } from '../e2e/support/hactl.ts'
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
import { CLIENTS, nothingLost, ownershipOf, serviceStatus, untilArmed, untold, whileOpen } from './support/open-connections.ts'

const lab = openKernelLab()
// A port of all addresses, and one that is bound to the address by name.
const addresses = [`${lab.vip}:80`, `${lab.vip}:8092`]
const frontends = [
  { name: 'web', bind: [':80'], mode: 'http', default_backend: 'app' },
  { name: 'named', bind: [`${lab.vip}:8092`], mode: 'http', default_backend: 'app' },
]
const work = freshWorkspace(lab, patientInventory(lab, { haproxy: labHaproxy(lab, { frontends }) }))
const hactl = hactlOn(work)
const losesRules = ownershipOf(lab) === 'ordinary'

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

test("the service for open connections is armed with each server's own kernel", async () => {
  await untilArmed(lab, 1)
  noteFigure(`kernel ${(await lab.sh('srv-1', 'uname -r')).trim()}: ${(await serviceStatus(lab, 'srv-1'))[0]}`)
  const status = await hactl('status')
  expectExit(status, 0)
  expect(resultOf(status).servers?.map(server => server.problems)).toEqual([[], [], []])
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

const FLUSH = 'nft flush ruleset'
const RULES = 'nft list table ip hactl >/dev/null'

test('the holder is drained and undrained, and others flush their rules meanwhile: no open connection is cut', async () => {
  await untilArmed(lab, 1)
  const seen = await whileOpen('drain and undrain', addresses, async () => {
    expectExit(await timed('drain', () => hactl('drain', 'srv-1')), 0)
    expect(await lab.holders()).toEqual(['srv-2'])
    expect(await serviceStatus(lab, 'srv-1')).toEqual(expect.arrayContaining(['instance VRRP1 kept', `open VRRP1 8092 ${CLIENTS}`]))
    expect(await serviceStatus(lab, 'srv-2')).toContain('instance VRRP1 held')
    if (!losesRules) await lab.everywhere(`${FLUSH} && ${RULES}`)
    expectExit(await timed('undrain', () => hactl('undrain', 'srv-1')), 0)
    expect(await lab.holders()).toEqual(['srv-1'])
  })
  expect(seen).toMatchObject(nothingLost(addresses.length))
})

test.runIf(losesRules)('where a flush takes the rules away, the service puts them back, and no client is left in silence', async () => {
  const seen = await whileOpen('a flush where nft has no owner of tables', addresses, async () => {
    expectExit(await hactl('drain', 'srv-1'), 0)
    await lab.everywhere(FLUSH)
    await untilArmed(lab, 1)
    await lab.everywhere(RULES)
  })
  expect(untold(seen)).toEqual([])
  expectExit(await hactl('undrain', 'srv-1'), 0)
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
