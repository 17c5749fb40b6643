/**
 * What the last deploy told servers of each other. A server that --limit leaves out, or that is out of reach, is taken to be so still: what is
 * rendered for its peers must not depend on who was looked at. Pure.
 */
import { MEMBERS } from '../../state/places.ts'
import type { InterfaceAddress } from '../../state/machine.ts'
import type { ObservedNode } from '../../state/observed.ts'
import { canonicalAddress, isInNetwork } from '../addresses.ts'
import { parseMembers } from '../members.ts'
import { OPEN_CONNECTIONS_SETTINGS } from '../paths.ts'

type Files = ObservedNode['files']

interface DeployedPeer {
  /** The name of its vrrp_instance. */
  readonly instance: string
  readonly server: string
  readonly family: 4 | 6
  readonly address: string
}

/**
 * Addresses of peers by server, as the settings of these servers' services have them. One server's file decides what others are told, so
 * an address counts only inside `networks`, and where no two files disagree on it.
 */
export function deployedAddresses(
  nodes: readonly Files[],
  { instance, family }: Pick<DeployedPeer, 'instance' | 'family'>,
  networks: readonly InterfaceAddress[],
): Readonly<Record<string, string>> {
  const peers = deployedPeers(nodes).filter(peer => peer.instance === instance && peer.family === family)
  const isAgreed = ({ server, address }: DeployedPeer) => peers.every(peer => peer.server !== server || peer.address === address)
  const isNear = ({ address }: DeployedPeer) => networks.some(network => isInNetwork(address, network.address, network.prefix))
  return Object.fromEntries(peers.filter(peer => isAgreed(peer) && isNear(peer)).map(({ server, address }) => [server, address]))
}

function deployedPeers(nodes: readonly Files[]): readonly DeployedPeer[] {
  return nodes.flatMap(files => parsePeers(files[OPEN_CONNECTIONS_SETTINGS]?.content ?? ''))
}

/** Whether a server that was not looked at keeps its open connections: as its peers have it, and yes where they cannot know it yet. */
export function isKeeper(server: string, nodes: readonly Files[]): boolean {
  if (deployedPeers(nodes).some(peer => peer.server === server)) return true
  return !nodes.some(
    files =>
      files[OPEN_CONNECTIONS_SETTINGS]?.content !== undefined &&
      parseMembers(files[MEMBERS]?.content ?? '').some(({ name }) => name === server),
  )
}

/** Lines as renderOpenConnectionsSettings writes them. */
function parsePeers(settings: string): readonly DeployedPeer[] {
  let instance = ''
  return settings.split('\n').flatMap(line => {
    const [key, name = '', address = '', server = name] = line.trim().split(/\s+/)
    // "instance NAME TITLE": the name in the sets of the rules, and its own.
    if (key === 'instance') instance = address === '' ? name : address
    const own = key === 'peer' ? canonicalAddress(address) : undefined
    return own === undefined ? [] : [{ instance, server, ...own }]
  })
}
