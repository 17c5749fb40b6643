/** Importing a cluster that runs. Needs: any lab. Leaves: the article's cluster, converged. */
import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { CLASSIC_ENV, classicInventory, expectExit, resultOf } from './support/hactl.ts'
import { openLab } from './support/lab.ts'
import { deployedWorkspace } from './support/opening.ts'
import { snapshots } from './support/servers.ts'

const lab = openLab()
const work = deployedWorkspace(lab, { inventory: classicInventory(lab), env: CLASSIC_ENV })

beforeAll(async () => {
  mkdirSync(join(work.dir, 'imported'))
})

test('import changes nothing on the servers, and a plan of the imported inventory is empty', async () => {
  const before = await snapshots(lab)
  const servers = lab.servers.map(({ name, host }) => `${name}=root@${host}`)
  const login = ['--identity-file', lab.key, '--known-hosts', lab.known_hosts]
  const run = await work.hactl(['import', ...servers, ...login, '--output', 'imported/inventory.yml', '--json'])
  expectExit(run, 0)
  expect(await snapshots(lab)).toEqual(before)

  const place = (name: string) => join(work.dir, 'imported', name)
  expect(statSync(place('vrrp-VRRP1.secret')).mode & 0o777).toBe(0o600)
  expect(readFileSync(place('vrrp-VRRP1.secret'), 'utf8')).toBe(`${CLASSIC_ENV.VRRP_AUTH_PASS}\n`)
  expect(run.stdout + run.stderr + readFileSync(place('inventory.yml'), 'utf8')).not.toContain(CLASSIC_ENV.VRRP_AUTH_PASS)
  expect(readFileSync(place('haproxy.cfg'), 'utf8')).toBe(await lab.sh('srv-1', 'cat /etc/haproxy/haproxy.cfg'))

  expectExit(await work.hactl(['check', 'imported/inventory.yml', '--json']), 0)
  const plan = await work.hactl(['plan', 'imported/inventory.yml', '--exit-code', '--json'])
  expectExit(plan, 0)
  expect(resultOf(plan).servers?.map(server => server.changed)).toEqual([[], [], []])
})
