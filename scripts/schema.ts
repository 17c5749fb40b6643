// Renews inventory.schema.json from src/inventory/schema.ts. npm run docs
import { writeFileSync } from 'node:fs'
import { inventoryJsonSchema } from '../src/inventory/json-schema.ts'

writeFileSync(new URL('../inventory.schema.json', import.meta.url), `${JSON.stringify(inventoryJsonSchema(), null, 2)}\n`)
