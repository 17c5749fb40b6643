/** verify-failover with the fast profile, judged by an independent poller. Needs: any lab. Leaves: the fast profile, converged. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { expectExit, expectRefusal, resultOf } from './support/hactl.ts'
import { openLab, SERVERS, watchHolders } from './support/lab.ts'
import { deployedWorkspace } from './support/opening.ts'
import { expectNoHole, startPoller } from './support/poller.ts'
import { ensureDeployed, liveFiles, residue, services, trackers, untilHeldBy } from './support/servers.ts'

const lab = openLab()
const work = deployedWorkspace(lab)

describe('on a healthy cluster', () => {
  test('haproxy stopped on the holder several times: neither hactl nor the poller sees a lost request', async () => {
    let unnoticed = 0
    // A connection in flight while the address moves may be cut by chance, but a hand-over with a gap loses probes every time.
    for (let round = 1; round <= 3 || (unnoticed === 0 && round <= 6); round++) {
      const name = `round-${round}.json`
      await untilHeldBy(lab, 'srv-1')
      const [units, files, watched] = [await services(lab), await liveFiles(lab), await trackers(lab)]
      const [holders, poller] = [await watchHolders(lab), await startPoller(lab.vip)]
      const run = await work.hactl(['verify-failover', '--yes', '--json', '--report', name])
      const [seen, held] = [await poller.stop(), await holders.stop()]
      expectExit(run, 0)
      const [drill, ...others] = resultOf(run).drills ?? []
      expect(others).toEqual([])
      expect(drill).toMatchObject({
        drill: 'haproxy-stop',
        vip: lab.vip,
        verdict: 'passed',
        from: 'srv-1',
        predicted: 'srv-2',
        to: 'srv-2',
        failback: 'srv-1',
        restored: true,
      })
      expect(drill?.holders_max).toBeLessThanOrEqual(2)
      // 50 probes a second for as long as the drill ran.
      expect(drill?.probes).toBeGreaterThan(100)
      expect(held.moves.some(move => move.includes('srv-2 has it'))).toBe(true)
      expect(held.twoHoldersMs).toBeLessThan(1000)
      // On the way back one server drops the address at the first advert of the other.
      expect(held.nobodyMs).toBeLessThan(1000)
      expectNoHole(seen)
      const longestMs = Math.max(drill?.outage_ms ?? Number.NaN, drill?.failback_outage_ms ?? Number.NaN)
      expect(Math.abs(longestMs - seen.outageMs)).toBeLessThanOrEqual(100)
      if (drill?.failed_probes === 0 && seen.failed === 0) unnoticed++
      expect(await lab.holders()).toEqual(['srv-1'])
      expect(await residue(lab)).toBe('')
      expect(await trackers(lab)).toEqual(watched)
      expect(await liveFiles(lab)).toEqual(files)
      // Only the holder's haproxy is a new process.
      const now = await services(lab)
      expect(now.slice(1)).toEqual(units.slice(1))
      expect(now[0]).toMatch(/^haproxy active \d+ keepalived active \d+ $/)
      const report = JSON.parse(readFileSync(join(work.dir, name), 'utf8')) as unknown
      expect(report).toMatchObject({ drills: [{ drill: 'haproxy-stop', verdict: 'passed', to: 'srv-2' }] })
    }
    expect(unnoticed).toBeGreaterThan(0)
    expect((await work.hactl(['plan', '--exit-code', '--quiet'])).exit).toBe(0)
  })

  test('two drills never run at once: the second is refused, and the first goes on unaffected', async () => {
    await untilHeldBy(lab, 'srv-1')
    const first = work.start(['verify-failover', '--yes', '--json', '--max-outage', '8s'])
    await first.line('the disturbance', line => line.event === 'drill-disturbed')
    expectRefusal(await work.hactl(['verify-failover', '--yes', '--json']), 5, 'E_LOCKED', { what: /verify-failover/ })
    const ended = await first.ended
    expectExit(ended, 0)
    expect(resultOf(ended).drills).toMatchObject([{ verdict: 'passed', restored: true }])
    expect(await residue(lab)).toBe('')
  })

  test('without --yes and without a terminal nothing is disturbed', async () => {
    const before = await services(lab)
    const run = await work.hactl(['verify-failover', '--json'])
    expectExit(run, 3)
    expect(resultOf(run)).toMatchObject({ command: 'verify-failover', code: 'E_NOT_INTERACTIVE', fix: expect.stringContaining('--yes') })
    expect(await services(lab)).toEqual(before)
  })

  test('the question names the address and the connections on it, and no stops the drill', async () => {
    const before = await services(lab)
    const run = await work.hactl(['verify-failover', '--no-color'], { answers: [{ question: 'Cause the failure', answer: 'n' }] })
    expectExit(run, 3)
    expect(run.stdout).toContain(`${lab.vip} is held by srv-1`)
    expect(run.stdout).toMatch(/\d+ open connections?/)
    expect(run.stdout).toContain('E_DECLINED')
    expect(await services(lab)).toEqual(before)
  })

  test('a drill needs every server: --limit is refused', async () => {
    const run = await work.hactl(['verify-failover', '--yes', '--json', '--limit', 'srv-1'])
    expectExit(run, 3)
    expect(resultOf(run).code).toBe('E_USAGE')
  })
})

describe('on a cluster that is not healthy', () => {
  test("a backup's haproxy is stopped: refused, and the holder is not touched", async () => {
    await lab.sh('srv-2', 'systemctl stop haproxy')
    const before = await services(lab)
    const run = await work.hactl(['verify-failover', '--yes', '--json'])
    expectExit(run, 5)
    const [drill] = resultOf(run).drills ?? []
    expect(drill).toMatchObject({ verdict: 'refused', to: null, outage_ms: null })
    expect(drill?.reasons?.join('\n')).toContain('srv-2')
    expect(await services(lab)).toEqual(before)
    expect(await residue(lab)).toBe('')
    await lab.sh('srv-2', 'systemctl start haproxy')
  })

  test('two servers hold the address, one of them not by keepalived: refused', async () => {
    const device = `"$(ip -o -4 addr show to ${lab.host('srv-3')} | awk '{ print $2 }')"`
    await lab.sh('srv-3', `ip addr add ${lab.vip}/32 dev ${device}`)
    const before = await services(lab)
    const status = await work.hactl(['status', '--json'])
    const run = await work.hactl(['verify-failover', '--yes', '--json'])
    await lab.sh('srv-3', `ip addr del ${lab.vip}/32 dev ${device}`)
    expectExit(status, 7)
    expectExit(run, 5)
    const [drill] = resultOf(run).drills ?? []
    expect(drill?.verdict).toBe('refused')
    expect(drill?.reasons?.join('\n')).toContain('srv-1 and srv-3')
    expect(await services(lab)).toEqual(before)
  })

  test('nobody could take over: every other haproxy is stopped', async () => {
    await Promise.all(['srv-2', 'srv-3'].map(server => lab.sh(server, 'systemctl stop haproxy')))
    const run = await work.hactl(['verify-failover', '--yes', '--json'])
    await Promise.all(['srv-2', 'srv-3'].map(server => lab.sh(server, 'systemctl start haproxy')))
    expectExit(run, 5)
    expect(await lab.holders()).toEqual(['srv-1'])
    expect(SERVERS).toHaveLength(3)
    const after = await ensureDeployed(lab, work)
    expect(resultOf(after).servers?.map(server => server.changed)).toEqual([[], [], []])
  })
})
