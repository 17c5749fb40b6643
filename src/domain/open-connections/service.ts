/** The resident service that keeps open connections over a move: its program, its unit, and its settings for one server. Pure. */
import { programText } from '../../shell/library.ts'
import type { Cluster } from '../cluster-types.ts'
import type { NodeFacts } from '../node-facts.ts'
import { GENERATED_LINE, OPEN_CONNECTIONS_PROGRAM } from '../paths.ts'
import { placesOf, portsBoundByName, portsOfHaproxy } from './places.ts'
import { MAY_KNOW_MS } from './rules.ts'

export function renderOpenConnectionsProgram(): string {
  return programText('open-connections.pl', `${GENERATED_LINE}\n`)
}

/** Lines that the program reads. A name as it is in the sets of the rules comes first, the instance's or the server's own name last. */
export function renderOpenConnectionsSettings(cluster: Cluster, serverName: string, facts: NodeFacts): string {
  const instances = placesOf(cluster, serverName, facts).map(place =>
    [
      `instance ${place.name} ${place.instance}`,
      `family ${place.family}`,
      `vrid ${place.virtualRouterId}`,
      `interface ${place.interface}`,
      `address ${place.address}`,
      ...place.peers.map(peer => `peer ${peer.name} ${peer.address} ${peer.server}`),
      ...place.virtualAddresses.map(address => `virtual ${address}`),
    ].join('\n  '),
  )
  const marks = portsBoundByName(cluster).length > 0 ? 'marks yes' : 'marks no'
  const ports = portsOfHaproxy(cluster)
  // A program that does not know this word takes it for one of the last instance, and passes over it: at the beginning it would die of it.
  const last = ports === undefined || instances.length === 0 ? [] : [`ports ${ports.join(' ')}`]
  return `${[GENERATED_LINE, marks, ...instances, ...last].join('\n')}\n`
}

/** It starts before the services whose connections it keeps. */
export function renderOpenConnectionsUnit(): string {
  return `${GENERATED_LINE}
[Unit]
Description=Keep connections open while a virtual address moves to another server
# The server's own kernel parameters and rules are loaded first: they would set back what the service sets, and flush its rules.
After=systemd-sysctl.service nftables.service
# Its rules are loaded before the server takes an address.
Before=keepalived.service haproxy.service
# Its program is there.
RequiresMountsFor=${OPEN_CONNECTIONS_PROGRAM}
# After crashes in a row systemd starts it all the same: no operator is there at night to reset the count.
StartLimitIntervalSec=0

[Service]
# It counts as started when its rules are loaded or refused. A reload starts the program anew and keeps what is open.
# "-": a clean-up that fails makes no stop fail.
Type=notify
ExecStart=${OPEN_CONNECTIONS_PROGRAM} run
ExecReload=${OPEN_CONNECTIONS_PROGRAM} reload
ExecStopPost=-${OPEN_CONNECTIONS_PROGRAM} stopped
# nft owns the rules: it stays while the program is started again.
KillMode=process
# Peers forget a server that does not announce for ${MAY_KNOW_MS / 1000} s, and the holder resets its open connections from then on.
Restart=always
RestartSec=100ms
# The same on a busy server, and on one whose memory runs out.
Nice=-20
OOMScoreAdjust=-1000

[Install]
WantedBy=multi-user.target
`
}
