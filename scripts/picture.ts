// Makes the README's picture from a real run:  npm run demo | tee demo.txt; npx node scripts/picture.ts demo.txt docs/demo.svg
// Takes lines as they were printed; what it leaves out is marked with "...".
import { readFileSync, writeFileSync } from 'node:fs'
import { linesWorthSeeing, renderPicture } from './demo/picture.ts'

const [from, to] = process.argv.slice(2)
if (from === undefined || to === undefined) {
  console.error('usage: npx node scripts/picture.ts DEMO.TXT PICTURE.SVG')
  process.exit(3)
}
writeFileSync(to, renderPicture(linesWorthSeeing(readFileSync(from, 'utf8'))))
