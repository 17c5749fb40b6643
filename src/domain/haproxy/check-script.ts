/** /usr/local/bin/haproxy-service-check.sh: the script by which keepalived checks haproxy. */
import type { CheckScript, Cluster } from '../cluster-types.ts'
import { programText } from '../../shell/library.ts'
import { CHECK_PROGRAM, GENERATED_LINE, HAPROXY_MASTER_SOCKET, TRACK_DIR } from '../paths.ts'

/** Questions per run. */
export const CHECK_ASKS = 5

/** One wait for an answer; the limit of a question is a number of these. */
const WAIT_MS = 20

/** How a run of profile fast goes, in ms. */
interface CheckPace {
  /** From one question to the next. */
  readonly spacingMs: number
  /** How long each may take on a server that is not short of CPU. */
  readonly limitMs: number
  /** A run ends by then, counted from its start by keepalived, which cuts it off after the timeout. */
  readonly endMs: number
}

/**
 * The questions fill the time that keepalived gives a run: who gives more of it has slow servers (decision 34). A timeout below a second
 * leaves some out, and hurries none.
 */
export function checkPace({ timeout }: Pick<CheckScript, 'timeout'>): CheckPace {
  const times = Math.max(1, timeout)
  return {
    spacingMs: Math.round(185 * times),
    limitMs: Math.floor(8 * times) * WAIT_MS,
    endMs: Math.round(880 * timeout),
  }
}

export function renderCheckScript(cluster: Cluster): string {
  const head = `${GENERATED_LINE}\n`
  if (cluster.profile === 'classic') return programText('haproxy-check-classic.sh', head)
  const { spacingMs, limitMs, endMs } = checkPace(cluster.check)
  return programText('haproxy-check.sh', head, {
    MASTER_SOCKET: HAPROXY_MASTER_SOCKET,
    PROGRAM: CHECK_PROGRAM,
    TRACK_DIR,
    ASKS: CHECK_ASKS,
    END_SECONDS: endMs / 1000,
    SPACING_SECONDS: spacingMs / 1000,
    WAITS: limitMs / WAIT_MS,
    WAIT_SECONDS: WAIT_MS / 1000,
  })
}

/** The program by which the check script of profile fast asks. */
export function renderCheckProgram(): string {
  return programText('haproxy-check.pl', `${GENERATED_LINE}\n`)
}
