/**
 * Packages for a server whose apt reaches no mirror, fetched by the machine that runs hactl. apt there asks through a method of hactl's own
 * (apt's "method interface": /usr/share/doc/apt-doc or libapt-pkg-doc, method.html), which hands each question to this connection and waits
 * for the file. apt itself still decides what to ask for, in which version and with which dependencies, and checks the signatures.
 */
import type { Script, Session } from '../../ports.ts'
import { asHactlError, HactlError } from '../../errors.ts'
import { programText } from '../../shell/library.ts'
import { joinScripts, sh, shWith } from '../../shell/sh.ts'
import { freeGuard, lockedByOther, lockGuard, lockLost } from '../lock.ts'
import { CARRY_VARIABLES, partScripts } from './carry.ts'
import { DOWNLOADS } from './packages.ts'

/** Longer than apt may need for one server. */
const RELAY_DEADLINE_MS = 3_000_000
const PART_DEADLINE_MS = 120_000

const METHOD = `${DOWNLOADS}/method`
const ASKED = `${DOWNLOADS}/asked`
const BROUGHT = `${DOWNLOADS}/brought`
/** Holds the process id of the relay, without which no question is answered. */
const RELAY = `${DOWNLOADS}/relay`

export type Fetched =
  | { readonly kind: 'whole'; readonly content: Buffer }
  /** isFinal: asking again would give the same. */
  | { readonly kind: 'failed'; readonly why: string; readonly isFinal: boolean }

export interface Served {
  readonly files: number
  readonly bytes: number
}

const PLACES = { ASKED_DIR: ASKED, BROUGHT_DIR: BROUGHT, RELAY_PID: RELAY }

const relay = shWith('relay.sh', { ...CARRY_VARIABLES, METHOD, ...PLACES })

/** apt.conf(5). Differences of package lists (PDiffs) need many small questions, and a whole list needs one. */
const CONF = [`Dir::Bin::Methods::http "${METHOD}";`, `Dir::Bin::Methods::https "${METHOD}";`, 'Acquire::PDiffs "false";']

/**
 * Lets apt on that server fetch through this connection until the function that it resolves to is called, which says how much was brought.
 * Throws E_LOCKED where the run no longer holds the given lock, E_PACKAGE_UNAVAILABLE where there is no room, and what Session.run throws.
 */
export async function servePackages(
  session: Session,
  fetch: (url: string) => Promise<Fetched>,
  lockId: string | undefined,
): Promise<() => Promise<Served>> {
  const guard = lockId === undefined ? freeGuard() : lockGuard(lockId)
  const { server } = session
  const stop = new AbortController()
  let [files, bytes] = [0, 0]
  const run = async (script: Script, label: string) => {
    const result = await session.run(joinScripts([guard, script]), {
      effect: 'none',
      label,
      deadlineMs: PART_DEADLINE_MS,
      signal: stop.signal,
    })
    if (result.code === 0) return
    throw lockedByOther(result, server) ?? lockLost(result, server, label) ?? noRoom(server, label, result.stderr)
  }

  const tell = (name: string, ending: 'failed' | 'later', why: string) => {
    const line = why.replaceAll(/\s+/g, ' ').slice(0, 300)
    return run(relay`tell_why ${name} ${ending} ${line}`, 'report why not')
  }
  const carry = async (name: string, url: string, content: Buffer) => {
    const path = `${BROUGHT}/${name}`
    const parts = partScripts(content, `${path}.new`)
    for (const [index, part] of parts.entries()) {
      const isLast = index === parts.length - 1
      await run(isLast ? sh`${part} && mv ${`${path}.new`} ${path}` : part, `carry ${url}`)
    }
    files += 1
    bytes += content.length
  }
  const answer = async (name: string, url: string) => {
    try {
      const fetched = await fetch(url)
      if (fetched.kind === 'whole') await carry(name, url, fetched.content)
      else await tell(name, fetched.isFinal ? 'failed' : 'later', fetched.why)
    } catch (error) {
      const { message, why } = asHactlError(error)
      await tell(name, 'failed', why.at(-1) ?? message)
    }
  }

  await run(setUpScript(), 'relay the requests of apt')
  const answers: Promise<void>[] = []
  let relaying: Promise<unknown> = Promise.resolve()
  await new Promise<void>((resolve, reject) => {
    const label = 'answer the requests of apt'
    const onLine = (line: string) => {
      const [word, name, url] = line.split(' ')
      if (word === '@@ready') resolve()
      if (word === '@@ask' && name !== undefined && url !== undefined)
        // apt would wait for an answer for ever. So the relay ends, and apt's method sees that.
        answers.push(answer(name, url).catch(() => stop.abort()))
    }
    const script = joinScripts([guard, relay`relay`])
    relaying = session
      .run(script, { effect: 'none', label, deadlineMs: RELAY_DEADLINE_MS, signal: stop.signal, onLine })
      .then(
        result => reject(lockedByOther(result, server) ?? lockLost(result, server, label) ?? noRoom(server, label, result.stderr)),
        reject,
      )
  })
  return async () => {
    stop.abort()
    await Promise.allSettled([relaying, ...answers])
    return { files, bytes }
  }
}

function noRoom(server: string, label: string, stderr: string): HactlError {
  return new HactlError({
    code: 'E_PACKAGE_UNAVAILABLE',
    server,
    what: `${label}: the server could not store it`,
    why: stderr.trim().split('\n').slice(-5),
    fix: `look at the disk of ${server} (df -h /var); nothing was installed on any server`,
  })
}

function setUpScript(): Script {
  const method = programText('apt-method.sh', '', PLACES)
  return relay`set_up_method ${method} ${CONF.join('\n')}`
}
