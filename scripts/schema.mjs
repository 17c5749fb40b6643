// Renews inventory.schema.json from src/inventory/schema.ts. Needs a Node that runs TypeScript as it is: npx node scripts/schema.mjs
import { writeFileSync } from 'node:fs'
import { inventoryJsonSchema } from '../src/inventory/json-schema.ts'

writeFileSync(new URL('../inventory.schema.json', import.meta.url), `${JSON.stringify(inventoryJsonSchema(), null, 2)}\n`)
