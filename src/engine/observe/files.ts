/** Files, as stat, sha256sum and md5sum print them, and what hactl's own record says of them. */
import type { ObservedFile, ObservedNode } from '../../state/observed.ts'
import { linesOf, splitOnce } from './sections.ts'

/** The record of what hactl wrote: "SHA256  PATH" per line, as sha256sum(1) prints it. */
export function parseOwned(text: string): Map<string, string> {
  return new Map(
    linesOf(text).flatMap(line => {
      const match = /^([0-9a-f]{64}) {2}(\/.+)$/.exec(line)
      return match === null ? [] : [[match[2] ?? '', match[1] ?? ''] as const]
    }),
  )
}

export function parseFiles(
  sections: ReadonlyMap<string, string>,
  paths: readonly string[],
  owned: ReadonlyMap<string, string>,
): Record<string, ObservedFile | undefined> {
  const text = (name: string) => sections.get(name) ?? ''
  const sums = checksumsOf(text('sums'))
  const md5 = checksumsOf(text('md5'))
  const links = new Map(linesOf(text('symlinks')).map(line => splitOnce(line, ' ')))
  const shipped = new Map(
    linesOf(text('packages')).flatMap(line => {
      const match = /^ (\/\S+) ([0-9a-f]{32})/.exec(line)
      return match === null ? [] : [[match[1] ?? '', match[2] ?? ''] as const]
    }),
  )
  const stats = new Map(
    linesOf(text('stats')).map(line => {
      const [mode = '', owner = '', group = '', , ...path] = line.split(' ')
      return [path.join(' '), { mode: mode.padStart(4, '0'), owner, group }] as const
    }),
  )
  return Object.fromEntries(
    paths.map(path => {
      const stat = stats.get(path)
      const sha256 = sums.get(path)
      if (stat === undefined || sha256 === undefined) return [path, undefined]
      const md5sum = md5.get(path)
      return [
        path,
        {
          path,
          sha256,
          ...stat,
          ...(links.has(path) ? { linkTo: links.get(path) } : {}),
          content: decodeContent(sections.get(`content ${path}`)),
          pristineConffile: md5sum !== undefined && shipped.get(path) === md5sum,
          ownedSha256: owned.get(path),
        },
      ]
    }),
  )
}

function checksumsOf(text: string): Map<string, string> {
  return new Map(
    linesOf(text).flatMap(line => {
      const match = /^\\?([0-9a-f]+) [ *](\/.*)$/.exec(line)
      return match === null ? [] : [[match[2] ?? '', match[1] ?? ''] as const]
    }),
  )
}

function decodeContent(base64: string | undefined): string | undefined {
  if (base64 === undefined) return undefined
  const bytes = Buffer.from(base64, 'base64')
  const text = bytes.toString('utf8')
  return Buffer.from(text, 'utf8').equals(bytes) ? text : undefined
}

export function parseFolders(text: string): ObservedNode['programFolders'] {
  return linesOf(text).flatMap(line => {
    const [, mode, owner, group, path] = /^(\d+) (\S+) (\S+) \d+ (.+)$/.exec(line) ?? []
    return mode === undefined || owner === undefined || group === undefined || path === undefined ? [] : [{ path, mode, owner, group }]
  })
}
