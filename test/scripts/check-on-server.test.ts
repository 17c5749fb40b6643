/** npm run check:on-server on a machine that has no checkers. */
import { spawnSync } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../../scripts/support/places.ts'
import { tempFolder } from '../support/temp-folder.ts'

const temporary = tempFolder()

test('fails without shellcheck, and says how to get it', () => {
  const node = realpathSync(join(root, 'node_modules/.bin/node'))
  const env = { PATH: temporary() }
  const { status, stderr } = spawnSync(node, [join(root, 'scripts/check-on-server.ts')], { encoding: 'utf8', env })
  expect(status).toBe(1)
  expect(stderr).toContain(
    'shellcheck is not installed on this machine: programs in shell cannot be checked; fix: apt-get install shellcheck\n',
  )
  expect(stderr).toContain('python3 is not installed on this machine: programs in Python were not checked')
})
