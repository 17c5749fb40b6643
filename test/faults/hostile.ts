/** Hostile text for random places of an inventory. */
import type { Random } from '../inventory/random.ts'

type Path = readonly string[]

/** Fragments that end words, lines, comments and scripts; those with `canary` in them make a file where a shell reads them. */
const fragmentsFor = (canary: string): readonly [string, ...string[]] => [
  `$(touch ${canary})`,
  `\`touch ${canary}\``,
  `; touch ${canary} #`,
  `' ; touch ${canary} ; '`,
  `"\ntouch ${canary}\n"`,
  `\n  server evil 192.0.2.66:80\n`,
  `| touch ${canary}`,
  '\r\n',
  '\0',
  '\u001b[2J',
  '\u0085',
  '\u2028',
  '\u202e',
  '%s%n',
  '${HOME}',
  '../../../../etc/shadow',
  '-oProxyCommand=touch',
  '*evil',
  '!!js/function "x"',
  '<<',
  '__proto__',
  'x'.repeat(10_000),
]

/** The inventory with something hostile at one to three places: in a text, as a key, or of another kind altogether. */
export function spoilt(inventory: unknown, random: Random, canary: string): unknown {
  let value = inventory
  for (let times = 1 + random.int(3); times > 0; times--) {
    const leaves = leavesOf(value)
    const leaf = leaves[random.int(leaves.length)]
    if (leaf === undefined) continue
    const fragment = random.pick(fragmentsFor(canary))
    const text = String(leaf.value)
    const at = random.int(text.length + 1)
    const path = random.chance(10) ? [...leaf.path.slice(0, -1), `${leaf.path.at(-1)}${fragment}`] : leaf.path
    value = withValue(
      value,
      path,
      random.chance(15) ? [fragment, null, { [fragment]: leaf.value }] : text.slice(0, at) + fragment + text.slice(at),
    )
  }
  return value
}

function leavesOf(value: unknown, path: Path = []): readonly { readonly path: Path; readonly value: unknown }[] {
  if (typeof value !== 'object' || value === null) return [{ path, value }]
  return Object.entries(value).flatMap(([key, below]) => leavesOf(below, [...path, key]))
}

function withValue(root: unknown, path: Path, value: unknown): unknown {
  const [step, ...rest] = path
  if (step === undefined) return value
  if (Array.isArray(root)) return root.map((item: unknown, at) => (String(at) === step ? withValue(item, rest, value) : item))
  return { ...(root as object), [step]: withValue((root as Record<string, unknown>)[step], rest, value) }
}
