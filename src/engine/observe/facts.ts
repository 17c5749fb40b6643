/** What machine a server is. */
import type { Facts, InterfaceAddress } from '../../state/machine.ts'
import { parseClock, parseFreeKiB, parseWhole } from './said.ts'
import { linesOf, splitOnce } from './sections.ts'

/** uid_t has 32 bits. */
const MOST_UID = 4_294_967_295

export function parseFacts(factsText: string, osText: string, addressText: string, linkText: string): Facts {
  const fact = new Map(linesOf(factsText).map(line => splitOnce(line, ' ')))
  const os = new Map(
    linesOf(osText).map(line => {
      const [key, value] = splitOnce(line, '=')
      return [key, value.replace(/^["']|["']$/g, '')]
    }),
  )
  return {
    machineId: fact.get('machine-id') ?? '',
    bootId: fact.get('boot-id') ?? '',
    hostname: fact.get('hostname') ?? '',
    uid: parseWhole(fact.get('uid'), 0, MOST_UID) ?? -1,
    os: {
      id: os.get('ID') ?? '',
      like: os.get('ID_LIKE') ?? '',
      version: os.get('VERSION_ID') ?? '',
      codename: os.get('VERSION_CODENAME') ?? '',
      pretty: os.get('PRETTY_NAME') ?? 'an unknown system',
    },
    systemd: fact.get('systemd') === 'yes',
    dpkg: fact.get('dpkg') === 'yes',
    container: fact.get('container') ?? 'none',
    addresses: linesOf(addressText).flatMap(parseAddress),
    linkAddresses: linesOf(linkText).flatMap(line => /link\/ether ([0-9a-f:]{17})/.exec(line)?.[1] ?? []),
    clockMs: parseClock(fact.get('clock'))?.atMs,
    freeVarKiB: parseFreeKiB(fact.get('free')),
    ...(fact.get('cloud-init') === 'runs' ? { cloudInitRuns: true } : {}),
  }
}

// ip-address(8), -oneline: "2: eth0    inet 198.51.100.11/24 brd ... scope global eth0\ ..."
function parseAddress(line: string): InterfaceAddress[] {
  const match = /^\d+:\s+(\S+)\s+(inet6?)\s+([0-9a-fA-F.:]+)(?:\s+peer\s+\S+)?(?:\/(\d+))?\s/.exec(line)
  if (match === null) return []
  const [, name = '', family, address = '', prefix] = match
  return [
    {
      interface: name.replace(/@.*$/, ''),
      family: family === 'inet6' ? 6 : 4,
      address,
      prefix: prefix === undefined ? (family === 'inet6' ? 128 : 32) : Number(prefix),
    },
  ]
}
