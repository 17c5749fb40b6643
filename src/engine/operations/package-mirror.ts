/** What the controller fetches for servers: each file once, although several servers ask for it. */
import { encodedUrl, mirrorProblem } from '../../domain/mirrors.ts'
import type { Fetched } from '../apply/serve-packages.ts'
import type { Download } from '../../ports.ts'

/** A package list of a whole distribution has some 20 MB. No file that hactl installs is larger than this. */
const MAX_FILE_BYTES = 200 * 1024 * 1024
/** All files of a run are kept until it ends. */
const MAX_TOTAL_BYTES = 500 * 1024 * 1024
const SILENCE_MS = 30_000
const MAX_REDIRECTS = 5

/**
 * Fetches a URL that a server's apt asks for. A file that came is kept, so that the next server gets the same bytes. A failed one is fetched
 * again. Rejects with E_INTERRUPTED when `signal` aborts.
 */
export function openPackageMirror(mirrors: readonly string[], download: Download, signal: AbortSignal): (url: string) => Promise<Fetched> {
  const kept = new Map<string, Promise<Fetched>>()
  let total = 0

  async function fetchNow(asked: string): Promise<Fetched> {
    let url = asked
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const problem = mirrorProblem(url, mirrors)
      if (problem !== undefined) return { kind: 'failed', why: url === asked ? problem : `moved: ${problem}`, isFinal: true }
      const found = await download(encodedUrl(url), { maxBytes: MAX_FILE_BYTES, timeoutMs: SILENCE_MS, signal })
      switch (found.kind) {
        case 'whole':
          total += found.content.length
          if (total > MAX_TOTAL_BYTES) return { kind: 'failed', why: `more than ${MAX_TOTAL_BYTES} bytes in one run`, isFinal: true }
          return found
        case 'moved':
          url = found.to
          break
        case 'missing':
          return { kind: 'failed', why: '404  Not Found', isFinal: true }
        case 'failed':
          return { ...found, isFinal: false }
      }
    }
    return { kind: 'failed', why: `moved more than ${MAX_REDIRECTS} times`, isFinal: true }
  }

  return url => {
    const known = kept.get(url)
    if (known !== undefined) return known
    const asked = fetchNow(url)
    kept.set(url, asked)
    const forget = () => kept.delete(url)
    asked.then(fetched => (fetched.kind === 'failed' ? forget() : undefined), forget)
    return asked
  }
}
