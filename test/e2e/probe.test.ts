/** What drills ask through the address: HTTPS, with a host, a path and an expected status. Needs: any lab. Leaves: fast, with HTTPS. */
import { beforeAll, expect, test } from 'vitest'
import { expectExit, type Json, labHaproxy, labInventory, resultOf } from './support/hactl.ts'
import { openLab } from './support/lab.ts'
import { workspaceFor } from './support/opening.ts'
import { ensureDeployed, untilHeldBy } from './support/servers.ts'

const lab = openLab()
const PEM_ON_SERVER = '/etc/haproxy/lab.pem'
const work = workspaceFor(lab)

const inventory = (probe: Json, bind = `:443 ssl crt ${PEM_ON_SERVER}`) =>
  labInventory(lab, {
    probe,
    haproxy: labHaproxy(lab, {
      frontends: [
        {
          name: 'web',
          bind: [bind],
          mode: 'http',
          default_backend: 'app',
          lines: [
            'http-request return status 404 unless { path /ready } { hdr_beg(host) -i www.example.com }',
            'http-request return status 202',
          ],
        },
      ],
    }),
    certificates: [{ file: 'lab.pem', path: PEM_ON_SERVER }],
  })

const PROBE = { port: 443, tls: true, host: 'www.example.com', path: '/ready', status: 202 }

beforeAll(async () => {
  await lab.heal()
  const make = 'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 -subj /CN=www.example.com'
  work.write('lab.pem', await lab.sh('srv-1', `cd $(mktemp -d) && ${make} -keyout key -out crt 2>/dev/null && cat crt key`))
  work.writeInventory(inventory(PROBE))
  await ensureDeployed(lab, work)
  await untilHeldBy(lab, 'srv-1')
})

test('a drill over HTTPS, from the controller and from another server', async () => {
  const run = await work.hactl(['verify-failover', '--yes', '--json', '--max-outage', '8s', '--from', 'controller', '--from', 'srv-3'])
  expectExit(run, 0)
  const [drill] = resultOf(run).drills ?? []
  expect(drill).toMatchObject({ verdict: 'passed', from: 'srv-1', to: 'srv-2', failback: 'srv-1', restored: true })
  expect(drill?.origins?.map(({ from }) => from)).toEqual(['controller', 'srv-3'])
  for (const { probes, failed_probes } of drill?.origins ?? []) expect(probes - failed_probes).toBeGreaterThan(20)
})

test('an answer with another status counts as none: the drill is refused', async () => {
  work.writeInventory(inventory({ ...PROBE, path: '/elsewhere' }))
  const run = await work.hactl(['verify-failover', '--yes', '--json'])
  expectExit(run, 5)
  const [drill] = resultOf(run).drills ?? []
  expect(drill).toMatchObject({ verdict: 'refused' })
  expect(drill?.reasons?.join()).toMatch(/404/)
  expect(await lab.holders()).toEqual(['srv-1'])
})

test('a frontend gets another port, which no server has at first, and at the end the address answers there', async () => {
  work.writeInventory(inventory({ ...PROBE, port: 8080, tls: false }, ':8080'))
  const run = await work.hactl(['deploy', '--yes', '--json'])
  expectExit(run, 0)
  expect(run.lines.filter(({ event }) => event === 'wave-started')).toHaveLength(3)
  expect(run.lines.find(({ event }) => event === 'note')?.text).toMatch(/:8080 does not answer/)
  expectExit(await work.hactl(['status', '--quiet']), 0)
})
