/** What runs on servers, as an inventory: the first step for an operator who already has a cluster. Changes nothing on them. */
import { dirname, isAbsolute, relative } from 'node:path'
import { keepalivedLook } from '../domain/keepalived/look.ts'
import { CHECK_SCRIPT, HAPROXY_CFG, KEEPALIVED_CONF, OPEN_CONNECTIONS_SCRIPT, SERVICE_HOOKS } from '../domain/paths.ts'
import type { ProbeRequest } from '../engine/observe/script.ts'
import { observeAndTell } from '../engine/operations/look.ts'
import type { OnEvent } from '../engine/operations/run.ts'
import { throwAll } from '../errors.ts'
import type { SshSettings } from '../inventory/inventory.ts'
import type { Ports } from '../ports.ts'
import { type AnsweredServer, inventoryServerOf } from './answers.ts'
import { type ConnectOptions, type Reachable, targetsOf, withConnections } from './connect.ts'
import { buildImport, type ImportReport } from './imported-inventory.ts'
import { pathFrom } from './load.ts'

export interface ImportInput extends ConnectOptions {
  readonly servers: readonly AnsweredServer[]
  /** Absolute path of the inventory to be written; the files that it names stand beside it. */
  readonly output: string
  readonly sshUser: string | undefined
  /** As typed: relative to the current folder. */
  readonly identityFile: string | undefined
  readonly knownHosts: string | undefined
}

const REQUEST: ProbeRequest = {
  packages: ['haproxy', 'keepalived'],
  paths: [HAPROXY_CFG, KEEPALIVED_CONF, OPEN_CONNECTIONS_SCRIPT, SERVICE_HOOKS],
  units: ['haproxy', 'keepalived'],
  sysctls: [],
  look: keepalivedLook([]),
  checkScript: CHECK_SCRIPT,
  programs: [],
  virtualAddresses: [],
}

/** Reads haproxy.cfg and keepalived.conf of each server. Throws E_UNHEALTHY where none has a keepalived.conf, and what connecting throws. */
export async function importServers(input: ImportInput, ports: Ports, onEvent: OnEvent): Promise<ImportReport> {
  const servers = input.servers.map(inventoryServerOf)
  const { ssh, forConnecting } = sshOf(input, ports)
  const inventory = { servers, ...(forConnecting === undefined ? {} : { ssh: forConnecting }) }
  const targets = await targetsOf({ inventory, baseDir: ports.cwd, path: 'the command line', given: givenOf(input) }, input, ports)
  return withConnections(
    targets,
    { forks: input.forks, ports, onConnecting: server => onEvent({ kind: 'observe-started', server }) },
    session => observeAndTell(session, REQUEST, { ports, onEvent }),
    async ({ failures }, observed) => {
      throwAll(failures)
      return buildImport(servers, ssh, observed, input.output)
    },
  )
}

/** How the command line calls what an inventory would say. */
function givenOf({ servers }: ImportInput): NonNullable<Reachable['given']> {
  return new Map(
    servers.map(({ name, host }) => [
      name,
      {
        host: `the host ${host} on the command line`,
        'ssh.port': `the port of ${host} on the command line`,
        'ssh.user': '--ssh-user',
        'ssh.identity_file': '--identity-file',
        'ssh.proxy_jump': 'ProxyJump for it',
      },
    ]),
  )
}

/** Paths are typed relative to the current folder, and stand in the inventory relative to its own. */
function sshOf(input: ImportInput, ports: Ports): { readonly ssh?: SshSettings; readonly forConnecting?: SshSettings } {
  const settings = (place: (path: string) => string): SshSettings => ({
    ...(input.sshUser === undefined ? {} : { user: input.sshUser }),
    ...(input.identityFile === undefined ? {} : { identity_file: place(input.identityFile) }),
    ...(input.knownHosts === undefined ? {} : { known_hosts: place(input.knownHosts) }),
  })
  const absolute = (path: string) => pathFrom(ports.cwd, path, ports.home)
  const written = (path: string) => (isAbsolute(path) || path.startsWith('~/') ? path : relative(dirname(input.output), absolute(path)))
  const ssh = settings(written)
  return Object.keys(ssh).length === 0 ? {} : { ssh, forConnecting: settings(absolute) }
}
