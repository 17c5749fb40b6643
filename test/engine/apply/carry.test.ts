/** Packages carried to a server, by the real scripts in a real shell. */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type CarriedPackage, carryPackages } from '../../../src/engine/apply/carry.ts'
import { fetchScript } from '../../../src/engine/apply/packages.ts'
import { bareServer, type ShellServer, shellServerLacks } from '../../support/shell-server.ts'
import { unlessLacking } from '../../support/lacking.ts'

const FOLDER = '/var/cache/apt/hactl'

function carried(fileName: string, text: string): CarriedPackage {
  const content = Buffer.from(text)
  return { fileName, content, sha256: createHash('sha256').update(content).digest('hex') }
}

const HAPROXY = carried('haproxy_2.6.12-1_amd64.deb', 'Package: haproxy\nVersion: 2.6.12-1\n')
// Longer than one part.
const KEEPALIVED = carried('keepalived_1%3a2.2.7-1+b2_amd64.deb', `Package: keepalived\n${'x'.repeat(700_000)}\n`)

describe('on a server', unlessLacking(shellServerLacks()), () => {
  let folder: string
  let server: ShellServer

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hactl-carry-'))
    server = bareServer(folder, 'srv-1', 1)
    server.write('/var/lib/hactl/lock/info', 'id lock-1\n')
  })

  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const carry = (packages: readonly CarriedPackage[], lockId = 'lock-1') =>
    carryPackages(server.session, packages, lockId, new AbortController().signal)

  test('every byte arrives, and apt has no other repository', async () => {
    await carry([HAPROXY, KEEPALIVED])
    expect(server.read(`${FOLDER}/haproxy_2.6.12-1_amd64.deb`)).toBe(HAPROXY.content.toString())
    expect(server.read(`${FOLDER}/keepalived_1_2.2.7-1+b2_amd64.deb`)).toBe(KEEPALIVED.content.toString())
    const index = server.read(`${FOLDER}/Packages`) ?? ''
    expect(index).toContain(`Filename: ./haproxy_2.6.12-1_amd64.deb\nSize: ${HAPROXY.content.length}\nSHA256: ${HAPROXY.sha256}\n\n`)
    expect(index).toContain(`Filename: ./keepalived_1_2.2.7-1+b2_amd64.deb\nSize: ${KEEPALIVED.content.length}\n`)
    expect(server.read(`${FOLDER}/apt.conf`)).toContain('Dir::Etc::SourceParts "/dev/null";')
  })

  test('what an earlier run left there is removed', async () => {
    server.write(`${FOLDER}/haproxy_1.8.0-1_amd64.deb`, 'Package: haproxy\n')
    await carry([HAPROXY])
    expect(server.read(`${FOLDER}/haproxy_1.8.0-1_amd64.deb`)).toBeUndefined()
  })

  test('a file that arrives damaged is refused', async () => {
    await expect(carry([{ ...HAPROXY, sha256: KEEPALIVED.sha256 }])).rejects.toMatchObject({
      code: 'E_PACKAGE_UNAVAILABLE',
      server: 'srv-1',
    })
    expect(server.read(`${FOLDER}/apt.conf`)).toBeUndefined()
  })

  test('nothing is sent once another run has the lock', async () => {
    await expect(carry([HAPROXY], 'lock-2')).rejects.toMatchObject({ code: 'E_LOCKED' })
    expect(server.read(`${FOLDER}/haproxy_2.6.12-1_amd64.deb`)).toBeUndefined()
  })

  test('without the lock, packages of another run are not touched while that run is alive', async () => {
    server.write(`${FOLDER}/haproxy_1.8.0-1_amd64.deb`, 'Package: haproxy\n')
    server.write('/var/lib/hactl/lock/info', 'id lock-2\nowner ops@laptop\nreason deploy\n')
    server.write('/var/lib/hactl/lock/beat', '')
    const look = () => carryPackages(server.session, [HAPROXY], undefined, new AbortController().signal)
    await expect(look()).rejects.toMatchObject({ code: 'E_LOCKED', message: expect.stringContaining('ops@laptop, deploy') })
    expect(server.read(`${FOLDER}/haproxy_1.8.0-1_amd64.deb`)).toBeDefined()
    // Its owner has died long ago.
    utimesSync(join(server.root, 'var/lib/hactl/lock/beat'), 1_000_000, 1_000_000)
    await look()
    expect(server.read(`${FOLDER}/haproxy_1.8.0-1_amd64.deb`)).toBeUndefined()
  })

  test('apt uses the carried packages where there are any, and its own mirrors otherwise', async () => {
    const install = {
      kind: 'install-package',
      id: 'package/haproxy',
      name: 'haproxy',
      version: undefined,
      reason: 'not installed',
    } as const
    const fetch = (isCarried: boolean) =>
      server.session.run(fetchScript('run-1', 'lock-1', [install], { refreshLists: true, download: true, isBrought: isCarried }), {
        effect: 'none',
        label: 'fetch the packages',
        deadlineMs: 10_000,
      })
    await carry([HAPROXY])
    await fetch(true)
    expect(server.read('/world/apt-asked.log')).toMatch(/^carried update .*\ncarried install .*--download-only/)
    server.remove('/world/apt-asked.log')
    await fetch(false)
    expect(server.read('/world/apt-asked.log')).toMatch(/^update .*\ninstall .*--download-only/)
  })
})
