/** Servers behind a bastion: real sshds that pass a connection on. Needs: any lab. Leaves: fast, converged. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { expectExit, expectRefusal, labInventory, resultOf } from './support/hactl.ts'
import { openLab } from './support/lab.ts'
import { deployedWorkspace } from './support/opening.ts'

const lab = openLab()
const work = deployedWorkspace(lab)

/** The address from which the last login to srv-3 came, by its sshd. */
const loginsOfThird = () =>
  lab.sh('srv-3', "journalctl -q --no-pager -o cat -u ssh | grep -o 'Accepted publickey for root from [^ ]*' | tail -n 1")

test('two hops from ~/.ssh/config: a deploy through them finds nothing to do', async () => {
  const hosts = lab.servers.map(
    ({ host }, index) => `Host lb${index + 1}\n  HostName ${host}\n${index === 0 ? '' : `  ProxyJump lb${index}\n`}`,
  )
  const common = `Host *\n  User root\n  IdentityFile ${lab.key}\n  UserKnownHostsFile ${lab.known_hosts}\n`
  writeFileSync(join(work.home, '.ssh/config'), hosts.join('') + common, { mode: 0o600 })
  work.writeInventory(labInventory(lab, { ssh: {}, servers: lab.servers.map(({ name }, index) => ({ name, host: `lb${index + 1}` })) }))
  const run = await work.hactl(['deploy', '--yes', '--json'])
  expectExit(run, 0)
  // The list of members names hosts as the inventory does.
  expect(resultOf(run).servers?.flatMap(({ changed }) => changed)).toEqual(lab.servers.map(() => 'file/members'))
  expect(await loginsOfThird()).toContain(`from ${lab.host('srv-2')}`)
})

test('proxy_jump in the inventory, and a drill through it', async () => {
  const servers = lab.servers.map(({ name, host }) =>
    name === 'srv-3' ? { name, host, ssh: { proxy_jump: `root@${lab.host('srv-2')}` } } : { name, host },
  )
  work.writeInventory(labInventory(lab, { servers }))
  expectExit(await work.hactl(['deploy', '--yes', '--quiet']), 0)
  expect(await loginsOfThird()).toContain(`from ${lab.host('srv-2')}`)
  const run = await work.hactl(['verify-failover', '--yes', '--json', '--max-outage', '8s', '--from', 'controller', '--from', 'srv-3'])
  expectExit(run, 0)
  expect(resultOf(run).drills).toMatchObject([{ verdict: 'passed', from: 'srv-1', to: 'srv-2', failback: 'srv-1', restored: true }])
})

test('a bastion with another key than the known one: no connection goes through it, and it is named', async () => {
  const changed = work.write(
    'known_hosts',
    `${lab.host('srv-2')} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUBKqr1Vhb8VGAfmnTFmYvXrZNLwSh0CZd4Hk0JhLhM\n`,
  )
  const servers = [{ name: 'srv-3', host: lab.host('srv-3'), ssh: { proxy_jump: `root@${lab.host('srv-2')}`, known_hosts: changed } }]
  work.writeInventory(labInventory(lab, { servers: [...lab.servers.slice(0, 2).map(({ name, host }) => ({ name, host })), ...servers] }))
  const run = await work.hactl(['plan', '--json'])
  expectRefusal(run, 4, 'E_SSH_HOST_KEY', { what: new RegExp(`host key of ${lab.host('srv-2')}`) })
})
