import { join } from 'node:path'
import type { Ports } from '../../ports.ts'

/** What the controller already knows about how to reach servers. */
export interface Discovered {
  /** Private keys, as ~/.ssh/NAME. */
  readonly keys: readonly string[]
  /** Names that ssh_config has a Host line for. */
  readonly hosts: readonly string[]
  readonly user: string | undefined
  /** There is a haproxy.cfg in the folder of the new inventory. */
  readonly hasHaproxyConfig: boolean
}

// OpenSSH's own order of preference (ssh_config(5), IdentityFile), without those that hactl's SSH library cannot use.
const KEY_NAMES = ['id_ed25519', 'id_ecdsa', 'id_rsa']

export async function discover(ports: Ports, folder: string): Promise<Discovered> {
  const found = await Promise.all(KEY_NAMES.map(name => ports.files.exists(join(ports.home, '.ssh', name))))
  const config = await ports.files.read(join(ports.home, '.ssh', 'config')).catch(() => undefined)
  return {
    keys: KEY_NAMES.filter((_name, i) => found[i] === true).map(name => `~/.ssh/${name}`),
    hosts: parseHosts(config?.toString('utf8') ?? ''),
    user: ports.env['USER'] ?? ports.env['LOGNAME'],
    hasHaproxyConfig: await ports.files.exists(join(folder, 'haproxy.cfg')),
  }
}

/** The names on the Host lines of an ssh_config; patterns (* ? !) are not names. */
function parseHosts(config: string): string[] {
  const names = config
    .split('\n')
    .map(line => /^\s*Host(?:\s+|\s*=\s*)(.+?)\s*$/i.exec(line)?.[1])
    .flatMap(list => list?.split(/\s+/) ?? [])
    .map(name => name.replaceAll('"', ''))
  return [...new Set(names.filter(name => name !== '' && !/[*?!#]/.test(name)))]
}
