/** /usr/local/bin/haproxy-service-check.sh: the script by which keepalived checks haproxy. */
import type { Cluster } from '../cluster-types.ts'
import { programText } from '../../shell/library.ts'
import { CHECK_PROGRAM, GENERATED_LINE, HAPROXY_MASTER_SOCKET } from '../paths.ts'

/** Questions per run, the ms from one to the next, and how long each may take. */
export const CHECK_ASKS = 5
export const CHECK_SPACING_MS = 185
export const CHECK_LIMIT_MS = 160

/** One wait for an answer; the limit is a number of these. */
const WAIT_MS = 20

/** A run ends by itself this long after its start: keepalived would stop it after a second. */
const CHECK_END_MS = 880

export function renderCheckScript(cluster: Cluster): string {
  const head = `${GENERATED_LINE}\n`
  if (cluster.profile === 'classic') return programText('haproxy-check-classic.sh', head)
  return programText('haproxy-check.sh', head, {
    MASTER_SOCKET: HAPROXY_MASTER_SOCKET,
    PROGRAM: CHECK_PROGRAM,
    ASKS: CHECK_ASKS,
    END_SECONDS: CHECK_END_MS / 1000,
    SPACING_SECONDS: CHECK_SPACING_MS / 1000,
    WAITS: CHECK_LIMIT_MS / WAIT_MS,
    WAIT_SECONDS: WAIT_MS / 1000,
  })
}

/** The program by which the check script of profile fast asks. */
export function renderCheckProgram(): string {
  return programText('haproxy-check.pl', `${GENERATED_LINE}\n`)
}
