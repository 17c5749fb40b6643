/** The program that prints the content of files in a look, as perl runs it. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { sourceText } from '../../src/shell/library.ts'
import { unlessLacking } from '../support/lacking.ts'
import { shellServerLacks } from '../support/shell-server.ts'
import { tempFolder } from '../support/temp-folder.ts'

const folder = tempFolder()

test('the content of files of every length, with every byte, comes in base64, and an unreadable file has none', {
  ...unlessLacking(shellServerLacks()),
}, () => {
  // A line of what perl packs has 45 bytes, and three bytes make a group.
  const contents = [0, 1, 2, 3, 44, 45, 46, 90, 91, 256, 1000].map(length => Buffer.from(Array.from({ length }, (_, at) => (at * 7) % 256)))
  const paths = contents.map((content, at) => {
    const path = join(folder(), `${at} of these`)
    writeFileSync(path, content)
    return path
  })
  const missing = join(folder(), 'missing')
  const { stdout, stderr } = spawnSync('perl', ['-e', sourceText('contents.pl'), '--', ...paths, missing], { encoding: 'utf8' })
  const section = (path: string, text: string) => `@@begin content ${path}\n${text}\n@@end content ${path}\n`
  const wanted = contents.map((content, at) => section(paths[at] ?? '', content.toString('base64')))
  expect({ stdout, stderr }).toEqual({ stdout: [...wanted, section(missing, '')].join(''), stderr: '' })
})
