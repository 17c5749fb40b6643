import { describe, expect, test } from 'vitest'
import { loadCluster } from '../../../src/app/load.ts'
import { probeTargetFor } from '../../../src/engine/operations/probe-target.ts'
import { INVENTORY_PATH, memoryPorts } from '../../support/memory-ports.ts'

const INVENTORY = `
servers: [{ name: srv-1, host: 192.0.2.11 }, { name: srv-2, host: 192.0.2.12 }]
vrrp_instances:
  - { name: VRRP1, virtual_router_id: 1, virtual_ipaddress: [192.0.2.200/24, 192.0.2.201/24] }
  - { name: VRRP2, virtual_router_id: 2, virtual_ipaddress: ["2001:db8::200/64"] }
haproxy:
  frontends: [{ name: web, bind: [":80"], lines: ["http-request return status 200"] }]
`

async function asked(url: string) {
  const { cluster } = await loadCluster(INVENTORY_PATH, memoryPorts(new Map([['inventory.yml', INVENTORY]])))
  const [instance] = cluster.instances
  if (instance === undefined) throw new Error('no instance')
  return probeTargetFor(cluster, instance, url)
}

describe('the URL to ask during a drill', () => {
  test.for([
    ['http://192.0.2.201/x', '192.0.2.201'],
    ['https://[2001:DB8:0::200]/', '2001:db8::200'],
    ['http://www.example.com/', '192.0.2.200'],
  ] as const)('%s asks %s', async ([url, address]) => {
    expect((await asked(url)).address).toBe(address)
  })

  test.for([['http://198.51.100.1/'], ['http://192.0.2.11/'], ['http://[2001:db8::1]/']])(
    '%s is refused: a failover cannot be seen there',
    async ([url = '']) => {
      await expect(asked(url)).rejects.toMatchObject({
        code: 'E_USAGE',
        fix: expect.stringContaining('192.0.2.200, 192.0.2.201, 2001:db8::200'),
      })
    },
  )
})
