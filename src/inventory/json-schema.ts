/** The content of schema.ts in other forms: JSON Schema for editors, a list of fields for the manual, known keys for suggestions. */
import * as z from 'zod'
import { inventorySchema } from './schema.ts'

/** The part of JSON Schema (draft 7) that inventorySchema becomes. */
export interface JsonSchema {
  readonly type?: string
  readonly title?: string
  readonly description?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | JsonSchema
  readonly propertyNames?: JsonSchema
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly enum?: readonly (string | number)[]
  readonly const?: string | number
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
  /** schema.ts's own: what applies where the key is absent, as prose. */
  readonly normally?: string
  /** schema.ts's own: the comment above the key in a written inventory. */
  readonly comment?: string
}

export interface InventoryField {
  /** "servers[].ssh.port"; a value by server ends in ".SERVER". */
  readonly path: string
  /** "text", "whole number 1..255", "list of text", "secret", ... */
  readonly type: string
  readonly required: boolean
  readonly description: string
  /** Prose. */
  readonly default?: string
}

let rawSchema: JsonSchema | undefined

function raw(): JsonSchema {
  rawSchema ??= z.toJSONSchema(inventorySchema, { io: 'input', target: 'draft-7' }) as JsonSchema
  return rawSchema
}

/** The JSON Schema that ships as inventory.schema.json. */
export function inventoryJsonSchema(): JsonSchema {
  const described = (schema: JsonSchema): JsonSchema => {
    const { normally, comment: _, description, properties, items, anyOf, additionalProperties, ...rest } = schema
    return {
      ...rest,
      ...(description === undefined ? {} : { description: normally === undefined ? description : `${description} Default: ${normally}.` }),
      ...(properties === undefined
        ? {}
        : { properties: Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, described(value)])) }),
      ...(additionalProperties === undefined
        ? {}
        : { additionalProperties: typeof additionalProperties === 'boolean' ? additionalProperties : described(additionalProperties) }),
      ...(items === undefined ? {} : { items: described(items) }),
      ...(anyOf === undefined ? {} : { anyOf: anyOf.map(described) }),
    }
  }
  const { $schema, ...rest } = described(raw()) as JsonSchema & { $schema?: string }
  return { ...($schema === undefined ? {} : { $schema }), title: 'hactl inventory', ...rest }
}

/** The sections of a written inventory in their order: a top-level key and the comment above it. */
export function inventorySections(): readonly { readonly key: string; readonly comment: string }[] {
  return Object.entries(raw().properties ?? {}).map(([key, { comment, description = '' }]) => ({ key, comment: comment ?? description }))
}

/** Every key of the inventory in the order of the schema. */
export function inventoryFields(): readonly InventoryField[] {
  const fields: InventoryField[] = []
  const walk = (schema: JsonSchema, path: string) => {
    for (const [key, value] of Object.entries(schema.properties ?? {})) {
      const at = path === '' ? key : `${path}.${key}`
      fields.push({
        path: at,
        type: typeOf(value),
        required: schema.required?.includes(key) ?? false,
        description: value.description ?? '',
        ...(value.normally === undefined ? {} : { default: value.normally }),
      })
      if (value.properties !== undefined) walk(value, at)
      if (value.items?.properties !== undefined) walk(value.items, `${at}[]`)
    }
  }
  walk(raw(), '')
  return fields
}

function typeOf(schema: JsonSchema): string {
  if (schema.anyOf !== undefined) {
    const kinds = schema.anyOf.map(typeOf)
    return schema.anyOf.some(branch => branch.properties?.['env'] !== undefined) ? 'secret' : kinds.join(' or ')
  }
  if (schema.enum !== undefined) return schema.enum.join(' or ')
  if (schema.const !== undefined) return String(schema.const)
  if (schema.items !== undefined) return schema.items.properties === undefined ? `list of ${typeOf(schema.items)}` : 'list'
  if (typeof schema.additionalProperties === 'object') return `${typeOf(schema.additionalProperties)} by server`
  switch (schema.type) {
    case 'string':
      return 'text'
    case 'integer':
      return `whole number ${schema.minimum}..${schema.maximum}`
    case 'number':
      return `number ${schema.minimum}..${schema.maximum}`
    case 'boolean':
      return 'true or false'
    case undefined:
    default:
      return 'mapping'
  }
}

/** The keys that a mapping at this path may have; empty where the path is no section of the schema. */
export function knownKeys(path: readonly (string | number)[]): readonly string[] {
  let schemas: readonly JsonSchema[] = [raw()]
  for (const step of path) {
    schemas = schemas.flatMap(schema => {
      const below = typeof step === 'number' ? schema.items : (schema.properties?.[step] ?? schema.additionalProperties)
      if (typeof below !== 'object') return []
      return [below, ...(below.anyOf ?? [])]
    })
  }
  return schemas.flatMap(schema => Object.keys(schema.properties ?? {}))
}
