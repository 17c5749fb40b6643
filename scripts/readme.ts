// Renews the tables of README.md and docs/*.md from the source. npm run docs
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { renewBlocks } from './readme-blocks.ts'
import { root } from './support/places.ts'

const docs = existsSync(join(root, 'docs')) ? readdirSync(join(root, 'docs')).map(name => join('docs', name)) : []
for (const file of ['README.md', ...docs].filter(name => name.endsWith('.md') && existsSync(join(root, name)))) {
  const text = readFileSync(join(root, file), 'utf8')
  const renewed = renewBlocks(text, file)
  if (renewed === text) continue
  writeFileSync(join(root, file), renewed)
  console.log(`renewed the tables of ${file}`)
}
