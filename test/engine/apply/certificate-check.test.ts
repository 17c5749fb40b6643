/** haproxy must accept a certificate before it is put in place; haproxy itself is played. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { desiredNode } from '../../../src/domain/desired.ts'
import { validateScript } from '../../../src/engine/apply/prepare.ts'
import { joinScripts } from '../../../src/shell/sh.ts'
import { clusterWith, factsOfServer } from '../../domain/example.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const folder = tempFolder()
const PATH = '/etc/haproxy/certs/site.pem'

/** What the check of the certificate prints, with a haproxy that shows what it is given and ends with `status`. */
function checkWith(status: number) {
  const cluster = { ...clusterWith(), certificates: [{ path: PATH, text: 'pem' }] }
  const resource = desiredNode(cluster, 'srv-1', factsOfServer(cluster, 'srv-1')).resources.find(
    ({ id }) => id === 'file/certificates/site.pem',
  )
  if (resource?.kind !== 'file') throw new Error('there is no certificate')
  const write = {
    ...resource,
    kind: 'write-file',
    reason: 'content differs',
    before: undefined,
    beforeSha256: undefined,
    after: resource.content,
    validation: resource.validation,
  } as const
  writeFileSync(join(folder(), 'haproxy'), `#!/bin/sh\necho "haproxy $*"\ncat "$3"\nexit ${status}\n`, { mode: 0o755 })
  const env = { PATH: `${folder()}:${process.env['PATH'] ?? ''}` }
  return spawnSync('/bin/sh', ['-c', joinScripts(validateScript('run-1', write, [write])).raw], { encoding: 'utf8', env })
}

test('haproxy reads the staged file as it will at a start, whatever haproxy.cfg names', () => {
  const { status, stdout } = checkWith(0)
  expect(status).toBe(0)
  expect(stdout.split('\n')).toEqual([
    `@@step check/certificates/site.pem check the new ${PATH}`,
    'haproxy -c -f /dev/stdin',
    'frontend check',
    ' mode http',
    ' timeout client 1s',
    ` bind 127.0.0.1:1 ssl crt ${PATH}`,
    '@@done check/certificates/site.pem',
    '',
  ])
})

test('a certificate that haproxy refuses stops the run, and the reason names haproxy', () => {
  const { status, stdout } = checkWith(1)
  expect(status).toBe(1)
  expect(stdout).toContain(`@@fail check/certificates/site.pem ${PATH} was refused by haproxy\n`)
})
