/** The resident service that keeps open connections over a move: its program, its unit, and its settings for one server. Pure. */
import { programText } from '../../shell/library.ts'
import type { Cluster } from '../cluster-types.ts'
import type { NodeFacts } from '../node-facts.ts'
import { GENERATED_LINE, OPEN_CONNECTIONS_PROGRAM } from '../paths.ts'
import { placesOf, portsBoundByName, portsOfHaproxy } from './places.ts'

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
After=systemd-sysctl.service nftables.service
Before=keepalived.service haproxy.service
RequiresMountsFor=${OPEN_CONNECTIONS_PROGRAM}
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=${OPEN_CONNECTIONS_PROGRAM} run
ExecReload=${OPEN_CONNECTIONS_PROGRAM} reload
ExecStopPost=-${OPEN_CONNECTIONS_PROGRAM} stopped
# nft owns the rules: it stays while the program is started again.
KillMode=process
Restart=always
RestartSec=100ms
Nice=-20
OOMScoreAdjust=-1000

[Install]
WantedBy=multi-user.target
`
}
