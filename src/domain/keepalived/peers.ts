/** Whether two servers' keepalived.conf files let them hear each other. Pure. */
import { viewsOf } from './classify.ts'

/**
 * Instances of `newcomer` (a keepalived.conf) whose adverts go one by one and whom the server with `running` does not know: it would send
 * them nothing, so that they take the address beside its master. A file that cannot be read in full knows nobody.
 */
export function instancesUnknownTo(running: string, newcomer: string): readonly string[] {
  const there = viewsOf(running) ?? []
  return (viewsOf(newcomer) ?? [])
    .filter(own => own.mode === 'unicast')
    .filter(own => {
      const peer = there.find(other => other.virtualRouterId === own.virtualRouterId && other.family === own.family)
      return peer === undefined || !peer.peers.split(' ').includes(own.sourceAddress)
    })
    .map(own => own.name)
}
