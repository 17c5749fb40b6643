/** Packages, as dpkg-query and apt-cache print them. */
import type { ObservedNode, ObservedPackage } from '../../state/observed.ts'
import { linesOf } from './sections.ts'

/** By name; `candidatesText` is empty where apt was not asked. */
export function parsePackages(names: readonly string[], installedText: string, candidatesText: string): ObservedNode['packages'] {
  const installed = parseInstalled(installedText)
  const candidates = parseCandidates(candidatesText)
  return Object.fromEntries(
    names.map(name => [name, { installed: installed.get(name), ...(candidates.get(name) ?? { candidate: undefined }) }]),
  )
}

/** Other lines have the conffiles of these packages (files.ts): they begin with a blank. */
function parseInstalled(text: string): Map<string, string> {
  return new Map(
    linesOf(text).flatMap(line => {
      const [name = '', status, version] = line.split(' ')
      return status === 'installed' && version !== undefined ? [[name, version] as const] : []
    }),
  )
}

// apt-cache(8) policy: "NAME:\n  Installed: (none)\n  Candidate: 2.6.12-1\n  Version table:\n     2.6.12-1 500\n        500 http://..."
function parseCandidates(text: string): Map<string, Pick<ObservedPackage, 'candidate' | 'available'>> {
  const known = new Map<string, { candidate: string | undefined; available: string[] }>()
  let current = { candidate: undefined as string | undefined, available: [] as string[] }
  for (const line of linesOf(text)) {
    const name = /^(\S+):$/.exec(line)?.[1]
    if (name !== undefined) {
      current = { candidate: undefined, available: [] }
      known.set(name, current)
    }
    const candidate = /^\s+Candidate: (\S+)$/.exec(line)?.[1]
    if (candidate !== undefined && candidate !== '(none)') current.candidate = candidate
    const version = /^ (?:\*\*\*| {3}) (\S+)(?: -?\d+)?$/.exec(line)?.[1]
    if (version !== undefined) current.available.push(version)
  }
  return known
}
