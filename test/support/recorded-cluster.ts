/** A cluster of two servers that gave the recorded answers of fixtures/probes: its inventory, and what each server said. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const answer = (name: string) => readFileSync(join(import.meta.dirname, `../../fixtures/probes/${name}.txt`), 'utf8')

export const HOLDER = answer('fast-holder')
export const BACKUP = answer('fast-backup')
/** The answer of a server whose haproxy fails its check. */
export const HUNG = BACKUP.replace('@@begin check\n0\n', '@@begin check\n1\n')

export const RECORDED_INVENTORY = {
  servers: [11, 12].map((number, index) => ({ name: `srv-${index + 1}`, host: `198.18.200.${number}` })),
  vrrp_instances: [{ name: 'VRRP1', virtual_router_id: 200, virtual_ipaddress: ['198.18.200.200/24'] }],
  haproxy: {
    frontends: [{ name: 'web', bind: [':80'], default_backend: 'app' }],
    backends: [{ name: 'app', servers: [{ name: 'a', address: '198.18.200.21:80' }] }],
  },
}
