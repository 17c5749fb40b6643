/** Servers at which a newer version of hactl was at work: every command says so, and none changes anything. */
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { drain } from '../../../src/app/drain.ts'
import { history } from '../../../src/app/history.ts'
import { plan } from '../../../src/app/plan.ts'
import { remove } from '../../../src/app/remove.ts'
import { rollback } from '../../../src/app/rollback.ts'
import { status } from '../../../src/app/status.ts'
import { undrain } from '../../../src/app/undrain.ts'
import { unlock } from '../../../src/app/unlock.ts'
import { upgrade } from '../../../src/app/upgrade.ts'
import { verifyFailover } from '../../../src/app/verify-failover.ts'
import { withLock } from '../../../src/engine/lock.ts'
import { assertKnownFormat, STATE_FORMAT } from '../../../src/engine/server-state/format.ts'
import { asHactlError, HactlError } from '../../../src/errors.ts'
import { verdictOn } from '../../../src/exit-status.ts'
import { manualClock } from '../../support/clock.ts'
import { INVENTORY_PATH, PACKAGE_ROOT } from '../../support/memory-ports.ts'
import { NO_WAIT } from '../../support/open-said.ts'
import { haproxyCfg, type ShellCluster, shellCluster } from '../../support/shell-cluster.ts'
import { fingerprint, type ShellServer, shellServerLacks } from '../../support/shell-server.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const FORMAT = '/var/lib/hactl/format'
const NEWER = `format ${STATE_FORMAT + 1}\nhactl 9.8.7\n`

describe('the file that names the format', () => {
  const refusal = (text: string) => {
    try {
      assertKnownFormat('srv-1', text)
      return undefined
    } catch (error) {
      return error instanceof HactlError ? [error.message, ...error.why, error.fix ?? ''].join('\n') : error
    }
  }

  test.for(['', '\n', 'format 1\n', `format ${STATE_FORMAT}\nhactl 0.1.0\n`])('is accepted: %j', text => {
    expect(refusal(text)).toBeUndefined()
  })

  test('of a newer version is refused with the name of that version', () => {
    expect(refusal(NEWER)).toMatch(
      /of format 3, and this version \(\d\S+\) reads up to 2\nhactl 9[.]8[.]7 wrote it\n.*\nuse hactl 9[.]8[.]7 or newer$/s,
    )
  })

  test.for(['format two\n', 'format 99999999\n', '{"format":3}', `format 3\nhactl ${'\u001B'}[2J\n`])(
    'that this version cannot read is refused: %j',
    text => {
      expect(refusal(text)).toMatch(/a newer version of hactl wrote it[^]*\nuse a newer version of hactl$/)
    },
  )
})

describe.skipIf(shellServerLacks() !== undefined)('a state of a newer format', () => {
  let cluster: ShellCluster
  let newer: ShellServer
  let before: readonly string[]

  const prints = () => cluster.servers.map(({ root }) => fingerprint(root))
  const common = { inventoryPath: INVENTORY_PATH, limit: [], forks: 8, timeoutMs: 1000, confirm: async () => true }
  const move = { ...common, server: 'srv-2' }
  const unheard = () => {}
  const refused = {
    code: 'E_STATE_FORMAT',
    server: 'srv-2',
    message: expect.stringContaining(`is of format ${STATE_FORMAT + 1}, and this version`),
    why: expect.arrayContaining(['hactl 9.8.7 wrote it']),
    fix: 'use hactl 9.8.7 or newer',
  }

  beforeAll(async () => {
    cluster = shellCluster()
    const second = cluster.servers[1]
    if (second === undefined) throw new Error('three servers')
    newer = second
    await cluster.deploy()
    cluster.files.set('haproxy.cfg', haproxyCfg('two'))
    await cluster.deploy()
    newer.write(FORMAT, NEWER)
    cluster.files.set('haproxy.cfg', haproxyCfg('three'))
  })
  afterAll(() => cluster.remove())
  beforeEach(() => {
    before = prints()
  })

  test.for<readonly [string, (c: ShellCluster) => Promise<unknown>]>([
    ['deploy', c => c.deploy()],
    ['plan', c => plan({ ...common, adopt: false, reload: false }, c.ports, unheard, PACKAGE_ROOT)],
    ['rollback', c => rollback({ ...common, wait: NO_WAIT, id: undefined }, c.ports, unheard, PACKAGE_ROOT)],
    ['remove', c => remove({ ...common, wait: NO_WAIT }, c.ports, unheard)],
    ['history', c => history(common, c.ports)],
    ['unlock', c => unlock({ ...common, force: true }, c.ports)],
    ['upgrade', c => upgrade({ ...common, wait: NO_WAIT }, c.ports, unheard, PACKAGE_ROOT)],
    ['drain', c => drain({ ...move, persist: false, force: true, waitMs: undefined }, c.ports, unheard)],
    ['undrain', c => undrain(move, c.ports, unheard)],
    [
      'verify-failover',
      c => verifyFailover({ ...common, drills: [], all: false, destructive: false, from: [] }, c.ports, unheard, PACKAGE_ROOT),
    ],
  ])('is refused by %s before anything is changed', async ([, command]) => {
    const error: unknown = await command(cluster).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject(refused)
    expect(verdictOn(asHactlError(error), cluster.ports).exit).toBe(5)
    expect(prints()).toEqual(before)
  })

  test('is reported by status, which says nothing else about that server', async () => {
    const report = await status(common, cluster.ports, PACKAGE_ROOT)
    expect(report.exit).toBe(5)
    expect(report.servers[1]).toMatchObject({ name: 'srv-2', state: 'unknown', drift: undefined })
    expect(report.servers[1]?.problems.join()).toMatch(/of format 3, .*\(use hactl 9[.]8[.]7 or newer\)/)
    expect(report.servers[0]).toMatchObject({ reachable: true })
  })

  test('that came after the look is refused when the lock is taken, and no lock stays', async () => {
    let hasWorked = false
    const claim = { id: 'a', owner: 'ops@laptop', reason: 'deploy' }
    const work = withLock(
      cluster.servers.map(({ session }) => session),
      claim,
      manualClock(),
      async () => {
        hasWorked = true
      },
    )
    await expect(work).rejects.toMatchObject(refused)
    expect(hasWorked).toBe(false)
    expect(cluster.servers.map(server => server.read('/var/lib/hactl/lock/info'))).toEqual([undefined, undefined, undefined])
    expect(prints()).toEqual(before)
  })
})
