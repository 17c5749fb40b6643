/** What is left of an inventory when everything that its schema refused is taken out: the rules still judge the rest. */
import type { Finding } from './findings.ts'
import type { InventoryInput } from './schema.ts'
import type { YamlPath } from '../yaml.ts'

/** Anything may be missing; what is there is valid by itself. Lists keep their positions. */
export type Draft<T> = T extends readonly (infer Item)[]
  ? readonly (Draft<Item> | undefined)[]
  : T extends object
    ? { readonly [Key in keyof T]?: Draft<T[Key]> | undefined }
    : T

export type InventoryDraft = Draft<InventoryInput>

/** A copy of `value` without the refused keys. Refused values are undefined, and their keys still show that something was meant. */
export function withoutRefused(value: unknown, refused: readonly Finding[]): InventoryDraft {
  // JSON because the copy must not share what two aliases share: taking a value out of one would take it out of both.
  const copy: unknown = JSON.parse(JSON.stringify(value ?? {}))
  if (typeof copy !== 'object' || copy === null || Array.isArray(copy)) return {}
  for (const { path, part } of refused) takeOut(copy, path, part ?? 'value')
  return copy as InventoryDraft
}

function takeOut(root: object, path: YamlPath, part: 'key' | 'value'): void {
  let parent: unknown = root
  for (const step of path.slice(0, -1)) {
    if (typeof parent !== 'object' || parent === null || !Object.hasOwn(parent, step)) return
    parent = (parent as Record<string | number, unknown>)[step]
  }
  const last = path.at(-1)
  if (last === undefined || typeof parent !== 'object' || parent === null) return
  if (!Object.hasOwn(parent, last)) return
  if (part === 'key') delete (parent as Record<string | number, unknown>)[last]
  else (parent as Record<string | number, unknown>)[last] = undefined
}
