/**
 * Packages for a server whose apt reaches no mirror, fetched by whoever runs hactl: apt there asks through a method of hactl's own
 * (apt's "method interface": /usr/share/doc/apt-doc or libapt-pkg-doc, method.html), which hands each question to this connection and waits
 * for the file. What to ask for, which versions, dependencies and signatures stay apt's business.
 */
import type { Script, Session } from '../../ports.ts'
import { asHactlError, HactlError } from '../../errors.ts'
import { joinScripts, sh } from '../../shell/sh.ts'
import { freeGuard, lockedByOther, lockGuard, lockLost } from '../lock.ts'
import { partScripts } from './carry.ts'
import { APT_CONF, DOWNLOADS } from './packages.ts'

/** Longer than everything that apt may do for one server. */
const RELAY_DEADLINE_MS = 3_000_000
const PART_DEADLINE_MS = 120_000

const METHOD = `${DOWNLOADS}/method`
const ASKED = `${DOWNLOADS}/asked`
const BROUGHT = `${DOWNLOADS}/brought`
/** Holds the process id of the relay: without it nobody answers. */
const RELAY = `${DOWNLOADS}/relay`

export type Fetched =
  | { readonly kind: 'whole'; readonly content: Buffer }
  /** isFinal: to ask again would give the same. */
  | { readonly kind: 'failed'; readonly why: string; readonly isFinal: boolean }

export interface Served {
  readonly files: number
  readonly bytes: number
}

/**
 * The method: apt writes messages of "Header: value" lines and an empty one to it; 600 asks for a file. It looks for an answer 20 times
 * a second, for as long as the relay lives.
 */
const METHOD_TEXT = `#!/bin/sh
# hactl: what apt asks for is fetched by whoever runs hactl, and arrives here over SSH.
printf '100 Capabilities\\nVersion: 1.0\\nSingle-Instance: true\\n\\n'
n=0
failed() { printf '400 URI Failure\\nURI: %s\\nMessage: %s\\n%s\\n' "$uri" "$1" "$2"; }
bring() {
  n=$((n + 1)) name=$$.$n
  printf '%s\\n' "$uri" >${ASKED}/$name.new && mv ${ASKED}/$name.new ${ASKED}/$name || { failed 'no room to ask for it'; return; }
  while :; do
    [ -e ${BROUGHT}/$name ] && break
    [ -e ${BROUGHT}/$name.failed ] && { failed "$(cat ${BROUGHT}/$name.failed)"; return; }
    [ -e ${BROUGHT}/$name.later ] && { failed "$(cat ${BROUGHT}/$name.later)" "Transient-Failure: true
"; return; }
    relay=
    read -r relay <${RELAY}
    kill -0 "\${relay:-none}" || { failed 'hactl is not there any more, which would fetch it'; return; }
    sleep 0.05
  done 2>/dev/null
  mv -f ${BROUGHT}/$name "$file" || { failed 'no room to keep it'; return; }
  sum=$(sha256sum <"$file")
  printf '201 URI Done\\nURI: %s\\nFilename: %s\\nSize: %s\\nSHA256-Hash: %s\\n\\n' "$uri" "$file" "$(stat -c %s "$file")" "\${sum%% *}"
}
kind=
while IFS= read -r line; do
  case $line in
    'URI: '*) uri=\${line#URI: } ;;
    'Filename: '*) file=\${line#Filename: } ;;
    [0-9][0-9][0-9]' '*) kind=\${line%% *} ;;
    '') [ "$kind" = 600 ] && bring; kind= ;;
  esac
done
`

/** apt.conf(5). Differences of package lists are small questions, but many; a whole list is one. */
const CONF = [`Dir::Bin::Methods::http "${METHOD}";`, `Dir::Bin::Methods::https "${METHOD}";`, 'Acquire::PDiffs "false";']

/**
 * From now on apt on that server fetches through this connection, until the function that it resolves to is called, which says how much
 * was brought. Throws E_LOCKED where a lock is given that is no longer ours, E_PACKAGE_UNAVAILABLE where there is no room, and what
 * Session.run throws.
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
    const result = await session.run(joinScripts([guard, script]), { label, deadlineMs: PART_DEADLINE_MS, signal: stop.signal })
    if (result.code === 0) return
    throw lockedByOther(result, server) ?? lockLost(result, server, label, 5) ?? noRoom(server, label, result.stderr)
  }

  const tell = (name: string, ending: 'failed' | 'later', why: string) => {
    const path = `${BROUGHT}/${name}`
    const line = why.replaceAll(/\s+/g, ' ').slice(0, 300)
    return run(
      sh`rm -f ${`${path}.new`}; printf '%s\n' ${line} >${`${path}.why`} && mv ${`${path}.why`} ${`${path}.${ending}`}`,
      'say why not',
    )
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

  await run(setUpScript(), "let apt's questions come here")
  const answers: Promise<void>[] = []
  let relay: Promise<unknown> = Promise.resolve()
  await new Promise<void>((resolve, reject) => {
    const label = "hand on apt's questions"
    const onLine = (line: string) => {
      const [word, name, url] = line.split(' ')
      if (word === '@@ready') resolve()
      if (word === '@@ask' && name !== undefined && url !== undefined)
        // Without an answer apt would wait: so the relay ends, which its method sees.
        answers.push(answer(name, url).catch(() => stop.abort()))
    }
    const script = joinScripts([guard, relayScript()])
    relay = session
      .run(script, { label, deadlineMs: RELAY_DEADLINE_MS, signal: stop.signal, onLine })
      .then(
        result => reject(lockedByOther(result, server) ?? lockLost(result, server, label, 5) ?? noRoom(server, label, result.stderr)),
        reject,
      )
  })
  return async () => {
    stop.abort()
    await Promise.allSettled([relay, ...answers])
    return { files, bytes }
  }
}

function noRoom(server: string, label: string, stderr: string): HactlError {
  return new HactlError({
    code: 'E_PACKAGE_UNAVAILABLE',
    server,
    what: `${label}: the server could not take it`,
    why: stderr.trim().split('\n').slice(-5),
    fix: `look at the disk of ${server} (df -h /var); nothing was installed on any server`,
  })
}

function setUpScript(): Script {
  return sh`rm -rf ${DOWNLOADS} && mkdir -p ${DOWNLOADS} && mkdir -m 0700 ${ASKED} ${BROUGHT} || exit 1
printf %s ${METHOD_TEXT} >${METHOD} && chmod 0755 ${METHOD} && printf '%s\n' ${CONF} >${APT_CONF}`
}

/** Ends by itself where its output leads nowhere any more: the connection is gone. */
function relayScript(): Script {
  return sh`echo $$ >${RELAY} || exit 1
trap ${`rm -f ${RELAY}`} EXIT
trap 'exit 1' HUP INT TERM PIPE
echo @@ready
i=0
while [ -e ${RELAY} ]; do
  for asked in ${ASKED}/*; do
    case $asked in *.new) continue ;; esac
    [ -f "$asked" ] || continue
    read -r url <"$asked" && rm -f "$asked" && echo "@@ask \${asked##*/} $url" || exit 1
  done
  i=$((i + 1))
  [ $((i % 20)) -ne 0 ] || echo @@alive || exit 1
  sleep 0.05
done`
}
