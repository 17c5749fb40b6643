/** The clients that are connected while the demo disturbs a server: what they do, and what haproxy needs for them. No I/O. */
import type { Load } from '../bench/connections/traffic-figures.ts'

const PORTS: Load['ports'] = { wild: 8090, named: 8092, http: 8091 }

/** Traffic like traffic, and little enough for three servers on one machine with two cores. */
export function clientsOf(vip: string): Load {
  return {
    host: vip,
    ports: PORTS,
    openWild: 20,
    openNamed: 20,
    upgraded: 8,
    keptAlive: 10,
    perSecond: 60,
    downloads: 2,
    uploads: 1,
    // More than fits into the buffers on the way: it has to be under way when the address moves.
    transferBytes: 60_000_000,
    transferMs: 12_000,
  }
}

/** Two lines on who is connected, as comments of a shell. */
export function clientsText(load: Load): string {
  const { openWild, openNamed, upgraded, downloads, uploads, keptAlive, perSecond } = load
  return [
    `# clients: ${openWild + openNamed} TCP connections and ${upgraded} websockets that stay open, ${downloads + uploads} transfers of ${load.transferBytes / 1e6} MB,`,
    `#   ${keptAlive} kept-alive clients, and ${perSecond} new connections a second, a third of them for 200 kB`,
  ].join('\n')
}

/**
 * The inventory of `hactl setup` with frontends for these clients, whose backend is their own. undefined where it has no place for them.
 * `vip`: one port is bound to the address by name.
 */
export function withFrontends(inventory: string, vip: string, backend: string): string | undefined {
  const frontends = `    - { name: lines, bind: [ ":${PORTS.wild}", "${vip}:${PORTS.named}" ], mode: tcp, default_backend: lines }
    - { name: people, bind: [ ":${PORTS.http}" ], mode: http, default_backend: people }
`
  const backends = `    - { name: lines, mode: tcp, servers: [ { name: clients, address: "${backend}:9000" } ] }
    - { name: people, mode: http, servers: [ { name: clients, address: "${backend}:9001" } ] }
`
  const place = /^ {2}backends:\n/m
  // After the frontend that is there: hactl's probes ask the first one.
  return place.test(inventory) ? inventory.replace(place, found => frontends + found + backends) : undefined
}
