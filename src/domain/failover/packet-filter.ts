/** Cutting traffic with the server's own packet filter (src/on-server/cut.sh), and ending the cut. */
import { shWith } from '../../shell/sh.ts'
import type { Script } from '../../ports.ts'
import type { Disturbance } from '../../state/drill.ts'

/** Where a disturbance happens. */
export interface DrillPlace {
  /** The interface that carries the virtual address. */
  readonly interface: string
  readonly vip: string
}

const cut = shWith('cut.sh')
const uncut = shWith('uncut.sh')

export const CUT_NEEDS: NonNullable<Disturbance['needs']> = {
  script: cut`can_cut`,
  what: 'neither nft nor iptables works on the server: without a packet filter hactl cannot cut traffic so that the cut is undone by itself',
  fix: 'apt-get install nftables (no rule of its own changes any traffic), or leave this drill out',
}

/** Ends the cut. Changes nothing where nothing was cut. */
export const UNCUT = uncut`uncut`

export const IS_UNCUT = uncut`is_uncut`

/** No VRRP passes in these directions. */
export function cutVrrpScript(directions: readonly ('in' | 'out')[]): Script {
  return cut`cut_vrrp ${directions}`
}

/** Nothing passes on the interface except, where wanted, the SSH connection's own port. */
export function cutLinkScript(place: DrillPlace, keepsSsh: boolean): Script {
  return cut`cut_link ${place.interface} ${place.vip} ${keepsSsh ? 'keep' : 'sever'}`
}
