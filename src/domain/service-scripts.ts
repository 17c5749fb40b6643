/** The table of services: how haproxy and keepalived themselves show that they run what is on disk (src/on-server/services.sh). */
import { sourceText } from '../shell/library.ts'
import { sh, shWith } from '../shell/sh.ts'
import type { ServiceTable } from '../state/services.ts'
import type { Cluster } from './cluster-types.ts'
import { handOverUnitOf } from './hand-over-unit.ts'
import { CHECK_SCRIPT, HAPROXY_CFG, KEEPALIVED_CONF } from './paths.ts'
import { SAY_HAPROXY_RUNS_TO_KEEPALIVED } from './trackers.ts'

const services = shWith('services.sh', {
  CHECK_SCRIPT,
  WORKERS_PROGRAM: sourceText('haproxy-workers.pl'),
  ANSWER_PROGRAM: sourceText('keepalived-answer.pl'),
})

/** One server's services in the form that the engine needs. */
export function serviceTableFor(cluster: Cluster, server: string): ServiceTable {
  // Extended regular expressions.
  const expected = cluster.instances.flatMap(instance => [
    `"iname":"${instance.name.replace(/[.]/g, '\\.')}"`,
    `"vrid":${instance.virtualRouterId},`,
    `"base_priority":${instance.priority[server] ?? 0},`,
    ...instance.virtualAddresses.map(vip => `"${vip.address.replaceAll('.', '\\.')}[ \\/]`),
  ])
  const shows = services`keepalived_shows ${expected}`
  const answers = services`haproxy_answers`
  return {
    haproxy: {
      unit: 'haproxy',
      holdsAddresses: false,
      config: HAPROXY_CFG,
      shipsConfig: true,
      comparedId: undefined,
      companion: handOverUnitOf('haproxy'),
      beforeReload: services`note_workers`,
      loaded: services`haproxy_loaded`,
      started: answers,
      putBack: answers,
    },
    keepalived: {
      unit: 'keepalived',
      holdsAddresses: true,
      config: KEEPALIVED_CONF,
      shipsConfig: false,
      comparedId: 'file/keepalived.conf',
      companion: handOverUnitOf('keepalived'),
      // Before keepalived reads the file: where no track file says that haproxy runs, the holder would give the address up.
      beforeReload: cluster.profile === 'fast' ? SAY_HAPROXY_RUNS_TO_KEEPALIVED : sh`:`,
      loaded: shows,
      started: shows,
      putBack: sh`:`,
    },
  }
}
