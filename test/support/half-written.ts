/**
 * Whether a power cut left a file half-written. One that a deploy makes live must be as it was before the deploy, as the deploy makes it, or as
 * its package ships it. What hactl keeps for itself differs from run to run: all that hactl reads of it must be whole or absent.
 */
import { createHash } from 'node:crypto'
import { STATE } from '../../src/engine/server-state/layout.ts'

/** Path to checksum, of files on one server. */
export type Sums = ReadonlyMap<string, string>

/** A shell line that prints "MD5  PATH" of all that a deploy makes live. What dpkg or hactl put beside a file, to be renamed, nobody reads yet. */
export const SUMS =
  'find /etc/haproxy /etc/keepalived /etc/systemd/system /etc/sysctl.d /etc/tmpfiles.d /etc/apt/apt.conf.d /etc/default/haproxy /etc/default/keepalived ' +
  '/usr/local -xdev -type f ! -name "*.hactl-new" ! -name "*.dpkg-new" -print0 2>/dev/null | xargs -0 -r md5sum'

/** A shell line that prints the same of the files of installed packages that may be edited. */
export const PACKAGED = `dpkg-query -W -f '\${Conffiles}\\n' haproxy keepalived 2>/dev/null | awk 'NF >= 2 { print $2 "  " $1 }'`

/** A shell line that prints "PATH BASE64" of each file that hactl keeps for itself. */
export const KEPT = `find ${STATE.STATE_DIR} -type f 2>/dev/null | while IFS= read -r path; do printf '%s ' "$path"; base64 -w 0 "$path"; echo; done`

export function parseSums(text: string): Sums {
  return new Map(
    text
      .split('\n')
      .filter(line => line !== '')
      .map(line => [line.slice(34), line.slice(0, 32)]),
  )
}
const EMPTY = 'd41d8cd98f00b204e9800998ecf8427e'

/**
 * The files that hold something else than one of the three, with what they hold. No deploy writes an empty file: one that is still empty after
 * the next deploy was emptied by the power cut, and nobody noticed.
 */
export function halfWritten(found: Sums, before: Sums, after: Sums, packaged: Sums): readonly string[] {
  return [...found]
    .filter(([path, sum]) => ![before, packaged, ...(sum === EMPTY ? [] : [after])].some(whole => whole.get(path) === sum))
    .map(([path, sum]) => `${path} ${sum}`)
}

const LINES = {
  sums: /^[0-9a-f]{64} {2}\/\S+$/,
  manifest: /^[0-7]{3,4} \S+ \S+ [0-9a-f]{64}-\S+ \/\S+$/,
  record: /^(?:file \+ \/\S+ \/\S+|file - \/\S+ -|unit \S+ \S+ \S+ \S*|sysctl \S+ .*)$/,
} as const

const areLines = (line: RegExp) => (text: string) =>
  text === '' ||
  (text.endsWith('\n') &&
    text
      .trimEnd()
      .split('\n')
      .every(one => line.test(one)))
const areSomeLines = (line: RegExp) => (text: string) => text !== '' && areLines(line)(text)

function isObject(text: string): boolean {
  try {
    return typeof JSON.parse(text) === 'object'
  } catch {
    return false
  }
}

const COPY = '[0-9a-f]{64}-[^/]+'
const IN_RUN = 'runs/[^/]+'

/** What each file under hactl's folder must be (docs/server-state.md). To hactl an empty stamp, note of the lock, entry of a run, or list of what was before counts as absent. */
const FORMS: readonly (readonly [path: RegExp, isWhole: (text: string) => boolean])[] = [
  [/^format$/, areSomeLines(/^(?:format \d+|hactl \S+)$/)],
  [/^owned$/, areSomeLines(LINES.sums)],
  [/^members$/, areSomeLines(/^(?:# .*|\S+ \S+)$/)],
  [/^installed$/, areLines(/^\S+$/)],
  [/^loaded\/[^/]+$/, areLines(/^[0-9a-f]{64}$/)],
  [/^original\/units$/, areLines(/^\S+ \S+ \S+$/)],
  [/^original\/sysctl$/, areLines(/^\S+ .*$/)],
  [new RegExp(`^original/${COPY}$`), text => text !== ''],
  [/^history\/[^/.][^/]*\/meta\.json$/, isObject],
  [/^history\/[^/.][^/]*\/sums$/, areSomeLines(LINES.sums)],
  [/^history\/[^/.][^/]*\/manifest$/, areSomeLines(LINES.manifest)],
  [new RegExp(`^${IN_RUN}/previous/record$`), areLines(LINES.record)],
  [new RegExp(`^${IN_RUN}/previous/owned$`), areLines(LINES.sums)],
  [new RegExp(`^${IN_RUN}/entry\\.json$`), text => text === '' || isObject(text)],
  [/^lock\/info$/, areLines(/^(?:id|owner|reason) .*$/)],
  [/^upgrading$/, areSomeLines(/^(?:started|drained)$/)],
]

/** What hactl would read and is not whole, of the files that KEPT prints; with what is wrong of it. */
export function halfWrittenState(kept: string): readonly string[] {
  const files = new Map(
    kept
      .split('\n')
      .filter(line => line !== '')
      .map(line => {
        const [path = '', base64 = ''] = line.split(' ')
        return [path.slice(path.indexOf(STATE.STATE_DIR) + STATE.STATE_DIR.length + 1), Buffer.from(base64, 'base64')] as const
      }),
  )
  const wrong = [...files].flatMap(([path, bytes]) => {
    const text = bytes.toString('utf8')
    const form = FORMS.find(([pattern]) => pattern.test(path))
    return form === undefined || form[1](text) ? [] : [`${path}: ${JSON.stringify(text.slice(0, 200))}`]
  })
  return [...wrong, ...[...files].flatMap(([path, bytes]) => brokenCopies(path, bytes.toString('utf8'), files))]
}

/** What a manifest or a record names, and is not there as it says. */
function brokenCopies(path: string, text: string, files: ReadonlyMap<string, Buffer>): readonly string[] {
  const folder = path.slice(0, path.lastIndexOf('/'))
  const lines = text.split('\n').map(line => line.split(' '))
  if (/^history\/[^/.][^/]*\/manifest$/.test(path)) {
    const sums = files.get(`${folder}/sums`)?.toString('utf8').split('\n') ?? []
    return lines.flatMap(([, , , copy = '', live]) => {
      const bytes = files.get(`${folder}/files/${copy}`)
      const isWhole = bytes !== undefined && sums.includes(`${sha256(bytes)}  ${live}`)
      return copy === '' || isWhole ? [] : [`${folder}/files/${copy}: not what ${folder}/sums says`]
    })
  }
  if (!/^runs\/[^/]+\/previous\/record$/.test(path)) return []
  return lines.flatMap(([word, mark, , place = '']) => {
    const copy = `${folder}/${place.slice(place.lastIndexOf('/') + 1)}`
    return word === 'file' && mark === '+' && (files.get(copy)?.length ?? 0) === 0
      ? [`${copy}: empty or missing, and ${path} names it`]
      : []
  })
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
