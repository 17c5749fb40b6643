/** How haproxy and keepalived say for themselves that they run what is on disk (src/on-server/services.sh). */
import type { Script } from '../ports.ts'
import { sourceText } from '../shell/library.ts'
import { sh, shWith } from '../shell/sh.ts'
import type { Cluster } from './cluster-types.ts'
import { CHECK_SCRIPT } from './paths.ts'
import { SAY_HAPROXY_RUNS_TO_KEEPALIVED } from './trackers.ts'

export interface ServiceScript {
  /** Before a reload; may leave variables for `loaded`. */
  readonly beforeReload: Script
  /** Ends with 0 once the daemon runs the new file, else prints why. Bounded in time. */
  readonly loaded: Script
  readonly started: Script
}

const services = shWith('services.sh', { CHECK_SCRIPT, WORKERS_PROGRAM: sourceText('haproxy-workers.pl') })

/** The scripts for one server's two services. */
export function serviceScriptsFor(
  cluster: Cluster,
  server: string,
): { readonly haproxy: ServiceScript; readonly keepalived: ServiceScript } {
  // Extended regular expressions.
  const expected = cluster.instances.flatMap(instance => [
    `"iname":"${instance.name.replace(/[.]/g, '\\.')}"`,
    `"vrid":${instance.virtualRouterId},`,
    `"base_priority":${instance.priority[server] ?? 0},`,
    ...instance.virtualAddresses.map(vip => `"${vip.address.replaceAll('.', '\\.')}[ \\/]`),
  ])
  const shows = services`keepalived_shows ${expected}`
  return {
    haproxy: { beforeReload: services`note_workers`, loaded: services`haproxy_loaded`, started: services`haproxy_answers` },
    keepalived: {
      // Before it reads the file: where no file says that haproxy runs, the holder would give the address up.
      beforeReload: cluster.profile === 'fast' ? SAY_HAPROXY_RUNS_TO_KEEPALIVED : sh`:`,
      loaded: shows,
      started: shows,
    },
  }
}
