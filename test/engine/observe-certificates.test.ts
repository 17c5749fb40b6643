import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { certificateNames } from '../../src/domain/haproxy/read.ts'
import { keepalivedLook } from '../../src/domain/keepalived/look.ts'
import { parseProbe } from '../../src/engine/observe/parse.ts'
import { probeScript } from '../../src/engine/observe/script.ts'
import { unlessLacking } from '../support/lacking.ts'
import { tempFolder } from '../support/temp-folder.ts'

const PATIENCE_MS = 60_000
const lacks = spawnSync('sh', ['-c', 'command -v openssl']).status === 0 ? undefined : 'this machine has no openssl'

const folder = tempFolder()

test('the end of certificates is read on the server: of files, of folders, of files without one, and with names that a shell would interpret', {
  ...unlessLacking(lacks),
  timeout: PATIENCE_MS,
}, () => {
  const nested = join(folder(), "a folder'; touch pwned; '")
  mkdirSync(nested)
  const make = (path: string, days: number) => {
    const argv = ['req', '-x509', '-newkey', 'ed25519', '-nodes', '-subj', '/CN=example.com', '-days', String(days)]
    expect(spawnSync('openssl', [...argv, '-keyout', `${path}.key`, '-out', path]).status).toBe(0)
  }
  make(join(folder(), 'site.pem'), 30)
  make(join(nested, 'b.pem'), 400)
  make(join(folder(), 'listed.pem'), 50)
  make(join(folder(), 'relative.pem'), 60)
  writeFileSync(join(folder(), 'empty.pem'), '')
  const list = join(folder(), "a list'; touch pwned; '")
  writeFileSync(
    list,
    `# none.pem\n\n  ${folder()}/listed.pem [alpn h2 ssl-min-ver TLSv1.2] *.example.com !x.example.com\n@store/site\n$(id).pem\nrelative.pem`,
  )
  const request = {
    packages: [],
    paths: [],
    units: [],
    sysctls: [],
    look: keepalivedLook([]),
    checkScript: '/nowhere/check',
    programs: [],
    virtualAddresses: [],
    certificates: {
      paths: [join(folder(), 'site.pem'), join(folder(), 'empty.pem'), nested, join(folder(), 'gone.pem')],
      lists: [list, join(folder(), 'gone.list')],
      base: folder(),
    },
  }
  const { stdout } = spawnSync('sh', ['-c', probeScript(request, 1).raw], { encoding: 'utf8', cwd: folder() })
  const days = parseProbe('srv-1', stdout, request).certificates.map(({ path, secondsLeft }) => [
    path,
    secondsLeft === undefined ? undefined : Math.round(secondsLeft / 86_400),
  ])
  expect(days).toEqual([
    [join(folder(), 'site.pem'), 30],
    [join(folder(), 'empty.pem'), undefined],
    [join(nested, 'b.pem'), 400],
    [join(folder(), 'gone.pem'), undefined],
    [join(folder(), 'listed.pem'), 50],
    [join(folder(), '$(id).pem'), undefined],
    [join(folder(), 'relative.pem'), 60],
    [join(folder(), 'gone.list'), undefined],
  ])
})

test('certificates are named by crt of bind and server lines, under crt-base where they are relative', () => {
  const cfg = `global
    crt-base /etc/ssl/private
frontend web
    bind :443 ssl crt site.pem crt /etc/ssl/other.pem alpn h2
    bind :8443 ssl crt "/etc/ssl/with a space.pem"
    # bind :9443 ssl crt /etc/ssl/comment.pem
backend app
    server app-1 192.0.2.111:443 ssl crt client.pem
    http-request set-header X-Note crt
`
  expect(certificateNames(cfg)).toEqual({
    paths: ['/etc/ssl/private/site.pem', '/etc/ssl/other.pem', '/etc/ssl/with a space.pem', '/etc/ssl/private/client.pem'],
    lists: [],
    base: '/etc/ssl/private',
  })
  const none = { paths: [], lists: [], base: undefined }
  expect(certificateNames('frontend web\n    bind :443 ssl crt site.pem crt-list sites\n')).toEqual(none)
})

test('lists of certificates are named too, and what a crt-store loads, from a base of its own where it has one', () => {
  const cfg = `global
    crt-base /etc/ssl/private
crt-store
    load crt site.pem key site.key alias site
crt-store more
    crt-base /etc/ssl/more
    load crt "b.pem"
frontend web
    bind :443 ssl crt-list /etc/haproxy/sites crt @more/b.pem
    bind :8443 ssl crt-list sites
`
  expect(certificateNames(cfg)).toEqual({
    paths: ['/etc/ssl/private/site.pem', '/etc/ssl/more/b.pem'],
    lists: ['/etc/haproxy/sites'],
    base: '/etc/ssl/private',
  })
})
