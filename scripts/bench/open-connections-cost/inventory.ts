import type { LabFile } from '../../support/lab.ts'

/** `probe` is asked by probes. Both others answer the clients: one is bound to every address, the other one to the virtual address by name. */
export const PORTS = { probe: 80, wild: 8090, named: 8092 } as const

/** Answers BODY_BYTES. Any other path gets a word. */
export const LONG_PATH = '/kb'
const BODY_BYTES = 1024

/** What haproxy may open. */
export interface Limits {
  readonly connections: number
  readonly files: number
}

/** An inventory as JSON, which is YAML. HAProxy answers by itself, so no backend's CPU is in the figures. It keeps connections for an hour. */
export function inventoryFor(lab: LabFile, { connections, files }: Limits): string {
  const answer = (text: string) => `http-request return status 200 content-type text/plain string ${text}`
  const frontend = (name: string, bind: string) => ({
    name,
    bind: [bind],
    mode: 'http',
    option: ['dontlog-normal'],
    lines: ['timeout client 1h', 'timeout http-keep-alive 1h', `${answer('x'.repeat(BODY_BYTES))} if { path ${LONG_PATH} }`, answer('ok')],
  })
  return JSON.stringify({
    cluster: 'bench-open-connections-cost',
    profile: 'fast',
    ssh: { user: 'ops', identity_file: lab.key, known_hosts: lab.known_hosts },
    servers: lab.servers.map(({ name, host }) => ({ name, host })),
    vrrp_instances: [{ name: 'VRRP1', virtual_router_id: 66, virtual_ipaddress: [`${lab.vip}/24`] }],
    probe: { port: PORTS.probe },
    haproxy: {
      global: [
        `maxconn ${connections}`,
        // HAProxy wants two files for a connection, and would not start: these have no backend.
        'no strict-limits',
        `ulimit-n ${files}`,
        // A worker that was replaced keeps its idle connections, for as long as this takes.
        'close-spread-time infinite',
        'hard-stop-after 1h',
      ],
      frontends: [frontend('probe', `:${PORTS.probe}`), frontend('wild', `:${PORTS.wild}`), frontend('named', `${lab.vip}:${PORTS.named}`)],
    },
  })
}
