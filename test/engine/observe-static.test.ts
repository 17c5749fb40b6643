import { expect, test } from 'vitest'
import { observeNode } from '../../src/engine/observe.ts'
import { PROBE_REQUEST } from '../support/probe-request.ts'
import { bareServer, shellServerLacks } from '../support/shell-server.ts'
import { unlessLacking } from '../support/lacking.ts'
import { tempFolder } from '../support/temp-folder.ts'

const folder = tempFolder()

test("a virtual address in the system's own network configuration is found, except in a comment or as part of another address", {
  ...unlessLacking(shellServerLacks()),
  timeout: 60_000,
}, async () => {
  const server = bareServer(folder(), 'srv-1', 1)
  const request = { ...PROBE_REQUEST, virtualAddresses: ['192.0.2.200', '2001:db8::200'] }
  const look = () => observeNode(server.session, request, new AbortController().signal)
  const bare = await look()
  expect(bare.staticAddresses).toBeUndefined()
  expect(bare.facts.cloudInitRuns).toBeUndefined()

  server.write(
    '/etc/network/interfaces',
    '# address 192.0.2.200/24\niface eth0 inet static\n  address 192.0.2.20\n  up ip addr add 192.0.2.2001 dev eth0\n',
  )
  server.write('/etc/netplan/50-vip.yaml', 'network:\n  ethernets:\n    eth0:\n      addresses: [192.0.2.11/24, 192.0.2.200/24]\n')
  server.write('/etc/systemd/network/vip.network', '[Network]\nAddress=2001:db8::200/64\nAddress=2001:db8::200/128\n')
  server.write('/run/cloud-init/status.json', '{}')
  const { staticAddresses = [], facts } = await look()
  expect(staticAddresses.map(({ address, path }) => `${address} ${path}`)).toEqual([
    '192.0.2.200 /etc/netplan/50-vip.yaml',
    '2001:db8::200 /etc/systemd/network/vip.network',
  ])
  expect(facts.cloudInitRuns).toBe(true)

  server.write('/run/cloud-init/result.json', '{}')
  expect((await look()).facts.cloudInitRuns).toBeUndefined()
})
