import type { LabFile } from '../../support/lab.ts'
import type { Layout } from './events.ts'
import { addressesOf } from './place.ts'
import type { Load } from './traffic-figures.ts'

export const PORTS: Load['ports'] = { wild: 8090, named: 8092, http: 8091 }

/** The virtual addresses of a layout, each with the server that holds it while nothing is wrong. */
export function homesOf(lab: LabFile, layout: Layout): readonly { readonly address: string; readonly home: string }[] {
  const { secondVip, vip6 } = addressesOf(lab)
  const [one = '', two = ''] = lab.servers.map(({ name }) => name)
  return [
    { address: lab.vip, home: one },
    ...(layout === 'two' ? [{ address: secondVip, home: two }] : []),
    ...(layout === 'ipv6' ? [{ address: vip6, home: one }] : []),
  ]
}

/** An inventory as JSON, which is YAML. `variant` is a header of HTTP answers: another one is another haproxy.cfg. */
export function inventoryFor(lab: LabFile, layout: Layout, variant: number): string {
  const { backend, secondVip, vip6 } = addressesOf(lab)
  const [one = '', two = '', three = ''] = lab.servers.map(({ name }) => name)
  const named = [lab.vip, ...(layout === 'two' ? [secondVip] : []), ...(layout === 'ipv6' ? [`[${vip6}]`] : [])]
  const wild = (port: number) => [`:${port}`, ...(layout === 'ipv6' ? [`:::${port} v6only`] : [])]
  const instances = [
    { name: 'VRRP1', virtual_router_id: 66, virtual_ipaddress: [`${lab.vip}/24`] },
    ...(layout === 'two'
      ? [
          {
            name: 'VRRP2',
            virtual_router_id: 67,
            virtual_ipaddress: [`${secondVip}/24`],
            priority: { [one]: 99, [two]: 100, [three]: 98 },
          },
        ]
      : []),
    ...(layout === 'ipv6' ? [{ name: 'VRRP6', virtual_router_id: 66, virtual_ipaddress: [`${vip6}/64`] }] : []),
  ]
  const to = (port: number) => [{ name: 'people', address: `${backend}:${port}` }]
  return JSON.stringify({
    cluster: 'bench-connections',
    profile: 'fast',
    ssh: { user: 'ops', identity_file: lab.key, known_hosts: lab.known_hosts },
    servers: lab.servers.map(({ name, host }) => ({ name, host })),
    vrrp_instances: instances,
    probe: { port: PORTS.http },
    haproxy: {
      frontends: [
        { name: 'wild', bind: wild(PORTS.wild), mode: 'tcp', default_backend: 'lines' },
        { name: 'named', bind: named.map(address => `${address}:${PORTS.named}`), mode: 'tcp', default_backend: 'lines' },
        {
          name: 'web',
          bind: wild(PORTS.http),
          mode: 'http',
          default_backend: 'web',
          lines: [`http-response set-header X-Variant v${variant}`],
        },
      ],
      backends: [
        { name: 'lines', mode: 'tcp', servers: to(9000) },
        { name: 'web', mode: 'http', servers: to(9001) },
      ],
    },
  })
}
