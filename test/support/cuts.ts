/** Connections that die at a given script, and what the exit status of the run may then say of its servers. */
import { HactlError } from '../../src/errors.ts'
import { verdictOn } from '../../src/exit-status.ts'
import type { Ports, Session } from '../../src/ports.ts'

/**
 * Where a connection dies. unsent: before all of the script has arrived, which the controller knows; not run: the script arrived and does
 * not run, which it does not know; run: the script runs to its end, which it does not know either.
 */
interface Cut {
  readonly server: string
  /** The index of the script on this server, from 0. */
  readonly at: number
  readonly how: 'unsent' | 'not run' | 'run'
}

/** A script that reached a server. */
interface Seen {
  readonly server: string
  readonly label: string
  /** By the state of the server before and after it, whatever the script says of itself. */
  readonly hasChanged: boolean
}

export interface World {
  readonly ports: Ports
  /** The whole state of a server as text. */
  readonly stateOf: (server: string) => string
  /** The result may have an exit status of its own; 0, and anything that is no number, is no failure. */
  readonly run: (ports: Ports) => Promise<unknown>
  readonly remove?: () => void
}

interface Ended {
  readonly seen: readonly Seen[]
  /** Whether any server was in another state than at first, also for a moment only. */
  readonly hasChanged: boolean
  /** undefined: the run did not fail. */
  readonly exit: number | undefined
  readonly code: string | undefined
}

/** Runs a command in a new world, one connection of which dies at `cut`. */
async function runCut(make: () => World | Promise<World>, cut: Cut | undefined): Promise<Ended> {
  const world = await make()
  const seen: Seen[] = []
  const counts = new Map<string, number>()
  const first = new Map<string, string>()
  let hasChanged = false
  const wrap = (session: Session): Session => {
    const { server } = session
    let isDead = false
    const die = (didNotRun: boolean): never => {
      isDead = true
      throw new HactlError({ code: 'E_CONNECTION_LOST', server, what: `the connection to ${server} was lost`, didNotRun })
    }
    return {
      ...session,
      async run(script, options) {
        if (isDead) die(true)
        const at = counts.get(server) ?? 0
        counts.set(server, at + 1)
        const isHere = cut?.server === server && cut.at === at
        if (isHere && cut.how !== 'run') die(cut.how === 'unsent')
        const before = world.stateOf(server)
        if (!first.has(server)) first.set(server, before)
        const index = seen.push({ server, label: options.label, hasChanged: false }) - 1
        try {
          const result = await session.run(script, options)
          return isHere ? die(false) : result
        } finally {
          const after = world.stateOf(server)
          seen[index] = { server, label: options.label, hasChanged: after !== before }
          hasChanged ||= after !== first.get(server)
        }
      },
    }
  }
  const ports: Ports = {
    ...world.ports,
    remote: { connect: async (target, signal) => wrap(await world.ports.remote.connect(target, signal)) },
  }
  try {
    const told = await world.run(ports)
    return { seen, hasChanged, exit: typeof told === 'number' && told !== 0 ? told : undefined, code: undefined }
  } catch (thrown) {
    if (!(thrown instanceof HactlError)) throw thrown
    return { seen, hasChanged, exit: verdictOn(thrown, world.ports).exit, code: thrown.code }
  } finally {
    world.remove?.()
  }
}

/** What the exit statuses of a command get wrong, over every place where a connection of it may die; and how many runs failed. */
export async function wrongStatuses(
  make: () => World | Promise<World>,
): Promise<{ readonly wrong: readonly string[]; readonly failed: number }> {
  const whole = await runCut(make, undefined)
  if (whole.exit !== undefined) throw new Error(`the run that nothing disturbs ends with ${whole.code}`)
  const wrong: string[] = []
  let failed = 0
  for (const server of new Set(whole.seen.map(each => each.server))) {
    const own = whole.seen.filter(each => each.server === server)
    for (const [at, { label, hasChanged }] of own.entries()) {
      const check = (how: Cut['how'], { exit, code }: Ended, isChanged: boolean) => {
        if (exit === undefined) return
        failed++
        const saysUnchanged = exit === 4 || exit === 5
        if (saysUnchanged !== isChanged) return
        wrong.push(`${server} ${at} "${label}", ${how}: ${code} ends with ${exit}, and ${isChanged ? 'something' : 'nothing'} was changed`)
      }
      const run = await runCut(make, { server, at, how: 'run' })
      check('run', run, run.hasChanged)
      // Where the script changes nothing, the server is the same without it.
      if (!hasChanged) continue
      const unsent = await runCut(make, { server, at, how: 'unsent' })
      check('unsent', unsent, unsent.hasChanged)
      // This cannot be distinguished from a script that ran: a server that may have been changed counts as changed.
      const notRun = await runCut(make, { server, at, how: 'not run' })
      check('not run', notRun, run.hasChanged)
    }
  }
  return { wrong, failed }
}
