/**
 * The inventory as its users write it (snake_case, keepalived.conf's and haproxy.cfg's own words), after parsing:
 * every value is valid by itself, nothing is filled in. schema.ts has the shape and the meaning of each key. Types only.
 */
import type * as z from 'zod'
import type { inventorySchema } from './schema.ts'

type Immutable<T> = T extends readonly (infer Item)[]
  ? readonly Immutable<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Immutable<T[Key]> }
    : T

export type Inventory = Immutable<z.output<typeof inventorySchema>>

/** Where a secret comes from, as the inventory names it; `literal` works and `check` warns. */
export type SecretSource = NonNullable<Inventory['become_password']>
export type SshSettings = NonNullable<Inventory['ssh']>
export type InventoryServer = Inventory['servers'][number]
export type GlobalDefs = NonNullable<Inventory['global_defs']>
export type VrrpScript = NonNullable<Inventory['vrrp_script']>
export type InventoryInstance = Inventory['vrrp_instances'][number]
export type InventoryHaproxy = Inventory['haproxy']
export type HaproxyFrontend = NonNullable<InventoryHaproxy['frontends']>[number]
export type HaproxyBackend = NonNullable<InventoryHaproxy['backends']>[number]

/** One thing wrong or doubtful in what the operator wrote. */
export interface Issue {
  /** "servers[1].host"; empty for the file as a whole. */
  readonly path: string
  readonly message: string
  /** "did you mean advert_int?", "set ... to ...". */
  readonly fix?: string
  /** 1-based; undefined where no place can be named. */
  readonly line?: number
  readonly column?: number
}
