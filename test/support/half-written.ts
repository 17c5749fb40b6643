/** Whether a power cut left a file half-written: each must be as it was before the deploy, as the deploy makes it, or as its package ships it. */

/** Path to checksum, of files on one server. */
export type Sums = ReadonlyMap<string, string>

/** A shell line that prints "MD5  PATH" of all that a deploy makes live. What dpkg or hactl put beside a file, to be renamed, nobody reads yet. */
export const SUMS =
  'find /etc/haproxy /etc/keepalived /etc/systemd/system /etc/sysctl.d /etc/tmpfiles.d /etc/apt/apt.conf.d /etc/default/haproxy /etc/default/keepalived ' +
  '/usr/local -xdev -type f ! -name "*.hactl-new" ! -name "*.dpkg-new" -print0 2>/dev/null | xargs -0 -r md5sum'

/** A shell line that prints the same of the files of installed packages that may be edited. */
export const PACKAGED = `dpkg-query -W -f '\${Conffiles}\\n' haproxy keepalived 2>/dev/null | awk 'NF >= 2 { print $2 "  " $1 }'`

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
