/** What the wizard's answers become: a commented inventory, checked by the same parser that reads it later. */
import type { Inventory, InventoryHaproxy, InventoryInstance, Issue, SshSettings } from '../inventory/inventory.ts'
import { familyOf } from '../inventory/address.ts'
import { parseInventory } from '../inventory/parse.ts'
import { renderInventory } from '../inventory/render.ts'
import type { Ports } from '../ports.ts'
import { type AnsweredBackend, type AnsweredServer, inventoryServerOf } from './answers.ts'
import { readInput, whyUnread } from './input-file.ts'
import { pathFrom } from './load.ts'

export type AnsweredHaproxy =
  | { readonly kind: 'config'; readonly path: string }
  | {
      readonly kind: 'backends'
      readonly bind: readonly string[]
      readonly mode: 'http' | 'tcp'
      readonly servers: readonly AnsweredBackend[]
    }
  /** There are no backends yet. HAProxy answers by itself, so that the cluster can be deployed and its failover be seen. */
  | { readonly kind: 'self'; readonly bind: readonly string[] }

export interface SetupAnswers {
  /** The first is master. */
  readonly servers: readonly AnsweredServer[]
  /** ADDRESS/PREFIX; one instance per address family. */
  readonly vips: readonly string[]
  readonly haproxy: AnsweredHaproxy
  readonly cluster: string | undefined
  readonly profile: 'fast' | 'classic' | undefined
  readonly interface: string | undefined
  readonly virtualRouterId: number | undefined
  readonly sshUser: string | undefined
  readonly identityFile: string | undefined
  readonly knownHosts: string | undefined
  readonly emails: readonly string[]
}

/** What check would refuse of the haproxy.cfg that the answers name; undefined where it refuses nothing, or where they name none. */
export async function configDoubt({ haproxy }: SetupAnswers, folder: string, ports: Ports): Promise<Issue | undefined> {
  if (haproxy.kind !== 'config') return undefined
  const path = pathFrom(folder, haproxy.path, ports.home)
  const file = await readInput(path, ports)
  if (file.kind === 'read') return undefined
  return { path: 'haproxy.config', message: whyUnread(path, file), fix: 'hactl check refuses the inventory until it is there' }
}

/** The inventory as commented text, and everything wrong or doubtful in it. */
export function buildInventory(answers: SetupAnswers): {
  readonly text: string
  readonly issues: readonly Issue[]
  readonly warnings: readonly Issue[]
} {
  const text = renderInventory(inventoryFor(answers), notesFor(answers))
  const { issues, warnings } = parseInventory(text, 'inventory.yml')
  return { text, issues, warnings }
}

function inventoryFor(answers: SetupAnswers): Inventory {
  const { cluster, emails } = answers
  const ssh: SshSettings = {
    ...(answers.sshUser === undefined ? {} : { user: answers.sshUser }),
    ...(answers.identityFile === undefined ? {} : { identity_file: answers.identityFile }),
    ...(answers.knownHosts === undefined ? {} : { known_hosts: answers.knownHosts }),
  }
  return {
    ...(cluster === undefined ? {} : { cluster }),
    profile: answers.profile ?? 'fast',
    ...(Object.keys(ssh).length === 0 ? {} : { ssh }),
    servers: answers.servers.map(inventoryServerOf),
    ...(emails.length === 0 ? {} : { global_defs: { notification_email: emails } }),
    vrrp_instances: instancesFor(answers),
    haproxy: haproxyFor(answers.haproxy),
  }
}

/** One instance per address family: a VRRP packet carries addresses of one family only (RFC 5798, 5.2.9). */
function instancesFor(answers: SetupAnswers): InventoryInstance[] {
  const isV6 = (vip: string) => familyOf(vip.replace(/\/.*$/, '')) === 6
  const groups = [answers.vips.filter(vip => !isV6(vip)), answers.vips.filter(isV6)].filter(group => group.length > 0)
  return groups.map((vips, at) => ({
    name: `VRRP${at + 1}`,
    ...(answers.interface === undefined ? {} : { interface: answers.interface }),
    virtual_router_id: answers.virtualRouterId ?? virtualRouterIdFor(vips[0] ?? ''),
    virtual_ipaddress: vips,
  }))
}

/** The last part of the address, 1 to 255: two clusters on one network differ, and no operator has to keep a list. */
function virtualRouterIdFor(vip: string): number {
  const address = vip.replace(/\/.*$/, '')
  const last = familyOf(address) === 6 ? Number.parseInt(address.split(':').at(-1) || '1', 16) : Number(address.split('.').at(-1))
  const id = last % 256
  return id >= 1 ? id : 1
}

function haproxyFor(haproxy: AnsweredHaproxy): InventoryHaproxy {
  switch (haproxy.kind) {
    case 'config':
      return { config: haproxy.path }
    case 'backends': {
      const { bind, mode, servers } = haproxy
      return {
        frontends: [{ name: 'web', bind, mode, default_backend: 'app' }],
        backends: [{ name: 'app', mode, balance: 'roundrobin', servers: servers.map(server => ({ ...server, check: true })) }],
      }
    }
    case 'self':
      return { frontends: [{ name: 'web', bind: haproxy.bind, mode: 'http', lines: [ANSWER_BY_ITSELF] }] }
  }
}

const ANSWER_BY_ITSELF = 'http-request return status 200 content-type text/plain string ok'

function notesFor({ virtualRouterId, vips, haproxy }: SetupAnswers): string[] {
  const [first = ''] = vips
  return [
    ...(virtualRouterId === undefined
      ? [
          `virtual_router_id ${virtualRouterIdFor(first)} comes from the end of ${first}; change it if another VRRP router on that network uses it.`,
        ]
      : []),
    ...(haproxy.kind === 'self'
      ? ['HAProxy only answers "ok" itself so far: give it backends, or your own haproxy.cfg (config: haproxy.cfg).']
      : []),
  ]
}
