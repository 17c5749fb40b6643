/** A cluster whose open connections are watched while its address moves: on a port of all addresses, and on one that is bound to the address by name. */
import { expectExit, type Json, labHaproxy, labInventory, type Run, type Workspace } from './hactl.ts'
import { type Lab, pause, SERVERS, until } from './lab.ts'
import { startLoad } from './load.ts'
import { openClients, type Opened } from './open.ts'
import { workspaceFor } from './opening.ts'

/** Clients on each of the two ports. */
export const CLIENTS = 60
const PROGRAM = '/usr/local/lib/hactl/open-connections.pl'

/** What underLoad returns where nobody was cut, and nothing was lost. */
export const NOTHING = { open: { kept: 2 * CLIENTS, lost: [] }, failed: 0, cut: 0, errors: [] }

interface UnderLoad {
  readonly open: Opened
  readonly failed: number
  readonly cut: number
  readonly errors: readonly string[]
}

export interface Kept {
  readonly work: Workspace
  readonly ports: { readonly any: string; readonly named: string }
  readonly hactl: (...argv: readonly string[]) => Promise<Run>
  /** Throws where hactl ends with another status than 0. */
  readonly moved: (...argv: readonly string[]) => Promise<void>
  /** What the service says of a server. */
  readonly status: (server: string) => Promise<string>
  readonly untilProven: () => Promise<void>
  /** Writes the inventory with other settings of haproxy, which leave the ports as they are. */
  readonly writeInventory: (haproxy: Json) => void
  /** Clients that keep a connection, and as many new ones as the load makes, while `task` runs. */
  readonly underLoad: (task: () => Promise<unknown>) => Promise<UnderLoad>
}

/** What the service for open connections says of a server. */
const statusOn = (lab: Lab, server: string) => lab.sh(server, `${PROGRAM} status`)

/** Until then no server counts on its peers, and nothing is promised to clients. */
export function untilProvenOn(lab: Lab): Promise<void> {
  return until('every server has shown that its peers receive what it sends on', 15_000, async () =>
    (await Promise.all(SERVERS.map(server => statusOn(lab, server)))).every(
      said => (said.match(/^proven \S+ \S+ yes$/gm)?.length ?? 0) === SERVERS.length - 1,
    ),
  )
}

function inventoryOf(lab: Lab, named: string, haproxy: Json = {}): Json {
  return labInventory(lab, {
    haproxy: labHaproxy(lab, {
      frontends: [
        { name: 'web', bind: [':80'], mode: 'http', default_backend: 'app' },
        { name: 'any', bind: [':8090'], mode: 'tcp', default_backend: 'raw' },
        { name: 'named', bind: [named], mode: 'tcp', default_backend: 'raw' },
      ],
      backends: [
        {
          name: 'app',
          option: ['httpchk GET /health'],
          servers: lab.backends.map(({ name, host }) => ({ name, address: `${host}:80`, check: true })),
        },
        { name: 'raw', mode: 'tcp', servers: lab.backends.map(({ name, host }) => ({ name, address: `${host}:80` })) },
      ],
      ...haproxy,
    }),
  })
}

/** To be called at the top of a file, as workspaceFor. The cluster is not deployed yet. */
export function openKept(lab: Lab): Kept {
  const ports = { any: `${lab.vip}:8090`, named: `${lab.vip}:8092` }
  const work = workspaceFor(lab, inventoryOf(lab, ports.named))
  const hactl = (...argv: readonly string[]) => work.hactl([...argv, '--yes', '--json'])
  return {
    work,
    ports,
    hactl,
    status: server => statusOn(lab, server),
    moved: async (...argv) => {
      expectExit(await hactl(...argv), 0)
    },
    untilProven: () => untilProvenOn(lab),
    writeInventory: haproxy => void work.writeInventory(inventoryOf(lab, ports.named, haproxy)),
    underLoad: async task => {
      const open = await openClients(CLIENTS, ports.any, ports.named)
      const load = await startLoad(`http://${lab.vip}/`)
      await pause(500)
      await task()
      await pause(1000)
      const [seen, loaded] = [await open.stop(), await load.stop()]
      return {
        open: seen,
        failed: loaded.newFailed + loaded.keptFailed,
        cut: loaded.newCut + loaded.keptCut,
        errors: loaded.errors,
      }
    },
  }
}
