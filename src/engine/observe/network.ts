/** Who else is on a server's network, and who listens on it. */
import type { Listener, Neighbour } from '../../state/network.ts'
import { linesOf, splitOnce } from './sections.ts'

// grep(1) -H: "/etc/netplan/50-vip.yaml:      - 192.0.2.200/24". In all of these files # begins a comment, in NetworkManager's and networkd's ; too.
export function parseStatic(text: string, addresses: readonly string[]): readonly { readonly address: string; readonly path: string }[] {
  const found = linesOf(text).flatMap(line => {
    const [path, setting] = splitOnce(line, ':')
    if (/^\s*[#;]/.test(setting)) return []
    const words = setting.split(/[^0-9A-Fa-f.:]+/)
    return addresses.filter(address => words.includes(address)).map(address => ({ address, path }))
  })
  return found.filter((one, at) => found.findIndex(other => other.address === one.address && other.path === one.path) === at)
}

export function parseNeighbours(text: string): Neighbour[] {
  return linesOf(text).flatMap(line => {
    const match = /^(\S+) dev \S+ .*lladdr ([0-9a-f:]{17})/.exec(line)
    return match === null ? [] : [{ address: match[1] ?? '', linkAddress: match[2] ?? '' }]
  })
}

// ss(8) -Hltnp: 'LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=321,fd=6))'; "*:80" is one socket for both families.
export function parseListener(line: string): Listener[] {
  const match = /^\S+\s+\d+\s+\d+\s+(\S+):(\d+)\s+\S+(?:\s+users:\(\("([^"]*)")?/.exec(line)
  if (match === null) return []
  const host = (match[1] ?? '').replace(/%.*$/, '').replace(/^\[(.*)\]$/, '$1')
  const families: Listener['families'] = host === '*' ? [4, 6] : host.includes(':') ? [6] : [4]
  const address = ['*', '0.0.0.0', '::'].includes(host) ? undefined : host
  return [{ address, families, port: Number(match[2]), process: match[3] }]
}
