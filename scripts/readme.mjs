// Renews the tables of README.md and docs/*.md from the source. Needs a Node that runs TypeScript as it is: npx node scripts/readme.mjs
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { renewBlocks } from './readme-blocks.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const docs = existsSync(join(root, 'docs')) ? readdirSync(join(root, 'docs')).map(name => join('docs', name)) : []
for (const file of ['README.md', ...docs].filter(name => name.endsWith('.md') && existsSync(join(root, name)))) {
  const text = readFileSync(join(root, file), 'utf8')
  const renewed = renewBlocks(text, file)
  if (renewed === text) continue
  writeFileSync(join(root, file), renewed)
  console.log(`renewed the tables of ${file}`)
}
