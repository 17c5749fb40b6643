/** What an upgrade asks of apt and how its answer is read; the scripts run in a real shell. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fetchScript, type Install } from '../../../src/engine/apply/packages.ts'
import { runSteps, type StepsOptions } from '../../../src/engine/apply/steps.ts'
import { markScript, outlookScript, parseOutlook, unmarkScript } from '../../../src/engine/apply/upgrade.ts'
import type { EngineEvent } from '../../../src/engine/events.ts'
import type { Script } from '../../../src/ports.ts'
import { fixedLinks } from '../../support/remote.ts'
import { manualClock } from '../../support/clock.ts'
import { unlessLacking } from '../../support/lacking.ts'
import { bareServer, type ShellServer, shellServerLacks } from '../../support/shell-server.ts'

const NAMES = ['haproxy', 'keepalived']
const NONE = { upgrades: [], others: [], removed: [], held: [], started: 'no' }

describe("apt's answer", () => {
  test('names what is replaced, what comes with it and what would be removed', () => {
    const said = [
      'Inst libssl3 [3.0.1-1] (3.0.2-1 Debian:12 [amd64])',
      'Inst haproxy [2.6.12-1] (2.6.12-1+deb12u4 Debian-Security:12/stable-security [amd64]) []',
      'Inst liblua5.4-0 (5.4.4-3 Debian:12/stable [amd64])',
      'Remv haproxy-extras [1.0]',
      '@@held keepalived',
    ]
    expect(parseOutlook(said, NAMES)).toEqual({
      upgrades: [{ name: 'haproxy', from: '2.6.12-1', to: '2.6.12-1+deb12u4' }],
      others: ['libssl3 3.0.2-1', 'liblua5.4-0 5.4.4-3'],
      removed: ['haproxy-extras'],
      held: ['keepalived'],
      started: 'no',
    })
  })

  test('is nothing to do where it is empty', () => {
    expect(parseOutlook([], NAMES)).toEqual(NONE)
  })

  test('says what an earlier upgrade left unfinished', () => {
    expect(parseOutlook(['@@upgrading drained'], NAMES).started).toBe('drained')
    expect(parseOutlook(['@@upgrading started'], NAMES).started).toBe('started')
    // As earlier versions wrote it.
    expect(parseOutlook(['@@upgrading begun'], NAMES).started).toBe('started')
  })
})

describe('the scripts', unlessLacking(shellServerLacks()), () => {
  let folder: string
  let server: ShellServer
  let events: EngineEvent[]
  let said: string[]

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hactl-upgrade-'))
    server = bareServer(folder, 'srv-1', 1)
    server.write('/var/lib/hactl/lock/info', 'id lock-1\n')
    events = []
    said = []
  })

  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const ports = () => ({ clock: manualClock(), signal: new AbortController().signal })
  const run = (script: Script, failure: StepsOptions['failure'] = 'E_PACKAGE_UNAVAILABLE') =>
    runSteps({ links: fixedLinks([server.session]), ports: ports(), onEvent: event => events.push(event) }, 'srv-1', script, {
      effect: 'none',
      label: 'look for newer versions',
      deadlineMs: 10_000,
      failure,
      onDetail: line => said.push(line),
    })
  const asked = () => server.read('/world/apt-asked.log') ?? ''
  const install = (over: Partial<Install> = {}): Install => ({
    kind: 'install-package',
    id: 'package/haproxy',
    name: 'haproxy',
    version: '2.6.12-1',
    reason: 'not installed',
    ...over,
  })

  test('ask apt for exactly the pinned versions, and install nothing', async () => {
    server.write('/world/apt-simulates', 'Inst haproxy [2.6.12-1~e2e] (2.6.12-1 Debian:12 [amd64])\n')
    await run(outlookScript(['haproxy=2.6.*', 'keepalived'], false))
    expect(parseOutlook(said, NAMES)).toEqual({ ...NONE, upgrades: [{ name: 'haproxy', from: '2.6.12-1~e2e', to: '2.6.12-1' }] })
    expect(asked()).toMatch(/^install .* -s .*haproxy=2\.6\.\* keepalived$/m)
    expect(server.read('/world/packages/haproxy')).toBeUndefined()
  })

  test('leave out packages on hold', async () => {
    server.write('/world/apt-held', 'haproxy\n')
    await run(outlookScript(['haproxy=2.6.*', 'keepalived'], false))
    expect(parseOutlook(said, NAMES).held).toEqual(['haproxy'])
    expect(asked()).toMatch(/^install .* -s keepalived$/m)
    expect(asked()).not.toMatch(/^install .* -s .*haproxy=/m)
  })

  test('fail for a mirror that does not answer when they look for newer versions', async () => {
    server.write('/world/apt-update-says', 'W: Failed to fetch http://mirror.example.com/InRelease  Could not connect\n')
    await expect(run(outlookScript(NAMES, false))).rejects.toMatchObject({
      code: 'E_PACKAGE_UNAVAILABLE',
      why: ['W: Failed to fetch http://mirror.example.com/InRelease  Could not connect'],
    })
  })

  test('only note it before a first installation, where apt may have what it needs', async () => {
    server.write('/world/apt-update-says', 'W: Failed to fetch http://mirror.example.com/InRelease  Could not connect\n')
    await run(fetchScript('run-1', 'lock-1', [install()], { refreshLists: true, download: true, isBrought: false }))
    expect(events).toContainEqual({ kind: 'note', server: 'srv-1', text: expect.stringMatching(/^not every mirror answered: W: Failed/) })
  })

  test('ask for a downgrade only where a package is replaced', async () => {
    await run(fetchScript('run-1', 'lock-1', [install({ pin: '2.6.*' })], { refreshLists: false, download: true, isBrought: false }))
    expect(asked()).toMatch(/--download-only .*haproxy=2\.6\.\*$/m)
    expect(asked()).not.toContain('--allow-downgrades')
    await run(
      fetchScript('run-1', 'lock-1', [install({ from: '2.8.1-1', pin: '2.6.12-1' })], {
        refreshLists: false,
        download: true,
        isBrought: false,
      }),
    )
    expect(asked()).toMatch(/--allow-downgrades .*haproxy=2\.6\.12-1$/m)
  })

  test('refresh lists whose package the mirror has replaced since, and ask again', async () => {
    server.write('/world/apt-lists-old', 'E: Failed to fetch http://mirror.example.com/haproxy_2.6.11.deb  404  Not Found\n')
    await run(fetchScript('run-1', 'lock-1', [install()], { refreshLists: false, download: true, isBrought: false }))
    expect(asked().match(/^(?:update|install )/gm)).toHaveLength(3)
    expect(asked()).toMatch(/^install .*--download-only[^]*\nupdate [^]*\ninstall .*--download-only/)
  })

  test('do not ask a third time', async () => {
    server.write('/world/apt-fails', 'E: Failed to fetch http://mirror.example.com/haproxy_2.6.11.deb  404  Not Found\n')
    const script = fetchScript('run-1', 'lock-1', [install()], { refreshLists: false, download: true, isBrought: false })
    await expect(run(script)).rejects.toMatchObject({
      code: 'E_PACKAGE_UNAVAILABLE',
      why: [expect.stringContaining('404  Not Found'), expect.any(String)],
    })
    expect(asked().match(/--download-only/g)).toHaveLength(2)
  })

  test('report why a repository failed, which apt prints apart from its errors', async () => {
    server.write(
      '/world/apt-fails',
      'Err:3 http://mirror.example.com bookworm Release\n  no route to it\nReading package lists...\n  not this\nE: The repository has no Release file.\n',
    )
    const script = fetchScript('run-1', 'lock-1', [install()], { refreshLists: true, download: true, isBrought: false })
    await expect(run(script)).rejects.toMatchObject({
      why: ['no route to it', 'E: The repository has no Release file.', expect.any(String)],
    })
  })

  test('list the versions of the repositories where the wanted one is missing', async () => {
    server.write('/world/apt-fails', "E: Version '2.8.*' for 'haproxy' was not found\n")
    server.write('/world/apt-madison', 'haproxy | 2.6.12-1 | http://mirror.example.com bookworm/main amd64 Packages\n')
    const script = fetchScript('run-1', 'lock-1', [install({ pin: '2.8.*' })], { refreshLists: false, download: true, isBrought: false })
    await expect(run(script)).rejects.toMatchObject({
      code: 'E_PACKAGE_UNAVAILABLE',
      server: 'srv-1',
      why: ["E: Version '2.8.*' for 'haproxy' was not found", 'haproxy: 2.6.12-1 in the repositories of this server'],
    })
  })

  test('remember that an upgrade has started, and whether it lowered the server, until it has ended', async () => {
    await run(markScript('lock-1', 'drained'), 'E_COMMAND_FAILED')
    await run(outlookScript(NAMES, false))
    expect(parseOutlook(said, NAMES).started).toBe('drained')
    await run(unmarkScript(), 'E_COMMAND_FAILED')
    said = []
    await run(outlookScript(NAMES, false))
    expect(parseOutlook(said, NAMES).started).toBe('no')
  })

  test('change nothing once another run has the lock', async () => {
    server.write('/var/lib/hactl/lock/info', 'id other\n')
    await expect(run(markScript('lock-1', 'started'), 'E_COMMAND_FAILED')).rejects.toMatchObject({ code: 'E_LOCKED' })
    expect(server.read('/var/lib/hactl/upgrading')).toBeUndefined()
  })
})
