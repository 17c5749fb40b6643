/**
 * test/support/hostile-inventories.ts against the real readers: accepted values arrive byte for byte, in the shell and in the
 * configuration files; all others are refused before any server is contacted.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { targetsOf } from '../../src/app/connect.ts'
import { loadCluster } from '../../src/app/load.ts'
import { lockClaim } from '../../src/app/lock-claim.ts'
import { probeTargetFor } from '../../src/engine/operations/probe-target.ts'
import { renderError } from '../../src/cli/view/error.ts'
import { styleFor } from '../../src/cli/view/style.ts'
import type { Cluster } from '../../src/domain/cluster-types.ts'
import { desiredNode } from '../../src/domain/desired.ts'
import { nodeFactsFor } from '../../src/domain/node-facts.ts'
import { listHistoryScript, parseHistory, recordScript, type HistoryEntry } from '../../src/engine/history.ts'
import { withLock } from '../../src/engine/lock.ts'
import { serverProbeScript } from '../../src/engine/server-prober.ts'
import { EXIT_OF, HactlError } from '../../src/errors.ts'
import { addresses, observed } from '../domain/example.ts'
import { CANARY, hostileInventory, type HostileInventory } from '../support/hostile-inventories.ts'
import { INVENTORY_PATH, memoryPorts } from '../support/memory-ports.ts'
import { forHaproxyHere, forKeepalivedHere, realInterface, realProgram, verdictOf } from '../support/real-programs.ts'
import { bareServer, shellServerLacks } from '../support/shell-server.ts'
import { manualClock } from '../support/clock.ts'
import { unlessLacking } from '../support/lacking.ts'

const COUNT = 600
/** Long enough for a busy machine. */
const PATIENCE_MS = 60_000

const SHIPPED = 'frontend shipped\n    bind :8090\n    mode http\n'

interface Accepted {
  readonly hostile: HostileInventory
  readonly cluster: Cluster
  /** "srv-one file/haproxy.cfg" and its content. */
  readonly files: ReadonlyMap<string, string>
}

interface Refused {
  readonly hostile: HostileInventory
  readonly error: HactlError
}

/** All that happens before a server is contacted, and all that would be written. */
async function judge(hostile: HostileInventory, text: string, env: HostileInventory['env']): Promise<Accepted | Refused> {
  const files = new Map([
    ['inventory.yml', text],
    ['haproxy-usual.cfg', SHIPPED],
  ])
  const ports = memoryPorts(files, { env })
  try {
    const loaded = await loadCluster(INVENTORY_PATH, ports)
    await targetsOf(loaded, { limit: [], forks: 8, timeoutMs: 1000 }, ports)
    const { cluster } = loaded
    const seen = cluster.servers.map(({ name }, at) => {
      const cards = cluster.instances.map(instance => instance.interface[name] ?? 'eth0')
      return [name, observed(addresses(...cards.map(card => `${card} 192.0.2.${at + 11}/24`)))] as const
    })
    const facts = nodeFactsFor(cluster, Object.fromEntries(seen))
    const rendered = cluster.servers.flatMap(({ name }, at) => {
      const known = facts[name]
      if (known === undefined) throw new Error(`no facts of ${name}`)
      return desiredNode(cluster, name, known).resources.flatMap(one =>
        one.kind === 'file' ? [[`${at} ${one.id}`, one.content] as const] : [],
      )
    })
    return { hostile, cluster, files: new Map(rendered) }
  } catch (error) {
    if (error instanceof HactlError && EXIT_OF[error.code] === 3) return { hostile, error }
    throw new Error(`number ${hostile.number}, ${hostile.place}`, { cause: error })
  }
}

const accepted: Accepted[] = []
const refused: Refused[] = []
const usual = new Map<string, Accepted>()
let folder: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hactl-hostile-'))
  rmSync(CANARY, { force: true })
  for (let number = 0; number < COUNT; number++) {
    const hostile = hostileInventory(number)
    const judged = await judge(hostile, hostile.text, hostile.env)
    if ('error' in judged) refused.push(judged)
    else accepted.push(judged)
    if (usual.has(hostile.usualText)) continue
    const without = await judge(hostile, hostile.usualText, { VRRP_AUTH_PASS: 'pass1234', SUDO_PASSWORD: 'sudo-usual' })
    if ('error' in without) throw without.error
    usual.set(hostile.usualText, without)
  }
}, PATIENCE_MS)

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
  rmSync(CANARY, { force: true })
})

test('a hostile value would leave a trace on this machine if anything executed it', () => {
  expect(spawnSync('sh', ['-c', `: "x$(touch ${CANARY})"`]).status).toBe(0)
  expect(existsSync(CANARY)).toBe(true)
  rmSync(CANARY)
})

test(`of ${COUNT} hostile inventories some are refused and some are accepted, so that the other tests of this file prove something`, () => {
  expect(refused.length).toBeGreaterThan(COUNT / 4)
  expect(accepted.length).toBeGreaterThan(COUNT / 20)
  expect(new Set(accepted.map(one => one.hostile.place)).size).toBeGreaterThan(10)
})

test('a refusal names the fault without control characters and without secrets', () => {
  const wrong = refused.flatMap(({ hostile, error }) => {
    const text = renderError(error, { columns: 120, verbose: true, style: styleFor(false) })
    // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
    const isPrintable = !/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/.test(text)
    const isSecret = /^env |\.literal$/.test(hostile.place)
    const leaks = isSecret && hostile.hostile.length > 3 && text.includes(hostile.hostile.slice(0, 40))
    return isPrintable && !leaks && text.length < 4000 && error.fix !== undefined
      ? []
      : [{ number: hostile.number, place: hostile.place, text }]
  })
  expect(wrong).toEqual([])
})

test('an accepted value replaces the usual value byte for byte, and nothing else differs', () => {
  const wrong = accepted.flatMap(({ hostile, files }) => {
    const before = usual.get(hostile.usualText)?.files ?? new Map<string, string>()
    return [...before].flatMap(([name, text]) => {
      const lines = text.split('\n')
      const now = files.get(name)?.split('\n') ?? []
      const differs = now.length !== lines.length || lines.some((line, at) => line !== now[at] && !carries(line, now[at] ?? '', hostile))
      return differs ? [{ number: hostile.number, place: hostile.place, hostile: hostile.hostile, name }] : []
    })
  })
  expect(wrong).toEqual([])
})

/** keepalived takes the first 8 characters of a password, so hactl writes no more. */
function carries(line: string, now: string, { place, usual: from, hostile: to }: HostileInventory): boolean {
  return now === line.replaceAll(from, () => (place === 'env VRRP_AUTH_PASS' ? to.slice(0, 8) : to))
}

describe('in a real shell', unlessLacking(shellServerLacks()), () => {
  test(
    'every script from an accepted inventory is valid shell, and runs only what hactl wrote',
    () => {
      const scripts = new Set<string>()
      for (const { cluster, files } of accepted) {
        for (const instance of cluster.instances) scripts.add(serverProbeScript(probeTargetFor(cluster, instance, undefined), 0).raw)
        for (const [name, text] of files) if (name.endsWith('file/check-script')) scripts.add(text)
      }
      const paths = [...scripts].map((text, at) => {
        const path = join(folder, `script-${at}`)
        writeFileSync(path, text)
        return path
      })
      // The probe's time is over before it begins: the shell reads all its words, and nothing is sent.
      const probes = paths.slice(0, -1)
      const each = 'for f; do sh -n "$f" || exit; done'
      expect(spawnSync('sh', ['-c', each, 'sh', ...paths], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' })
      const run = 'for f; do grep -q ^exec.perl "$f" || continue; sh "$f" </dev/null || exit; done'
      expect(spawnSync('sh', ['-c', run, 'sh', ...probes], { encoding: 'utf8', cwd: folder })).toMatchObject({ status: 0, stderr: '' })
      expect(existsSync(CANARY)).toBe(false)
    },
    PATIENCE_MS,
  )

  test(
    'the history gives back any name of an inventory and of its operator',
    async () => {
      const server = bareServer(folder, 'srv-1', 1)
      server.write('/var/lib/hactl/owned', '')
      const entries: HistoryEntry[] = []
      for (let number = 0; number < 56; number++) {
        // No file name and no argument can hold a NUL.
        const source = hostileInventory(number).hostile.replaceAll('\0', '').toWellFormed()
        if (source.length > 5000) continue
        const id = `20261122T1015${String(number).padStart(2, '0')}Z-1f3a`
        entries.push({ id, owner: source, command: 'deploy', cluster: 'edge', source, changed: [source] })
      }
      for (const entry of entries) {
        expect(await server.session.run(recordScript(entry), { effect: 'none', label: 'record', deadlineMs: PATIENCE_MS })).toMatchObject({
          code: 0,
          stderr: '',
        })
      }
      const { stdout } = await server.session.run(listHistoryScript(), { effect: 'none', label: 'list', deadlineMs: PATIENCE_MS })
      expect(parseHistory('srv-1', stdout)).toEqual(entries.slice(-30).map(entry => ({ version: 1, ...entry, files: [] })))
      expect(existsSync(CANARY)).toBe(false)
    },
    PATIENCE_MS,
  )

  test(
    'the lock has its reason, and its owner in plain letters',
    async () => {
      const server = bareServer(folder, 'srv-2', 2)
      for (const number of [0, 1, 2, 3, 5, 9, 10, 20, 24, 36, 39]) {
        const hostile = hostileInventory(number).hostile.replaceAll('\0', '')
        const claim = lockClaim(`drain ${hostile}`, memoryPorts(new Map(), { env: { USER: hostile } }))
        expect(claim.owner).toMatch(/^[A-Za-z0-9._-]{1,64}@[A-Za-z0-9._-]{1,64}$/)
        const info = await withLock([server.session], claim, manualClock(), async () => server.read('/var/lib/hactl/lock/info'))
        expect(info).toBe(`id ${claim.id}\nowner ${claim.owner}\nreason drain ${hostile}\n`)
        expect(server.read('/var/lib/hactl/lock/info')).toBeUndefined()
      }
      expect(existsSync(CANARY)).toBe(false)
    },
    PATIENCE_MS,
  )
})

describe('the programs that read the files', () => {
  /** Each text once, however many inventories it comes from. */
  const distinct = (id: string) => {
    const texts = new Map<string, HostileInventory>()
    for (const { hostile, files } of accepted) for (const [name, text] of files) if (name.endsWith(id)) texts.set(text, hostile)
    return texts
  }
  const staged = (text: string) => {
    const path = join(folder, createHash('sha256').update(text).digest('hex'))
    writeFileSync(path, text)
    return path
  }

  test(
    'keepalived accepts every keepalived.conf without a message, and runs nothing from it',
    context => {
      const keepalived = realProgram('keepalived', context)
      const nic = realInterface(context)
      const wrong = [...distinct('file/keepalived.conf')].flatMap(([text, { number, place }]) => {
        // It asks DNS for the name, and refuses one that does not resolve.
        if (place === 'global_defs.smtp_server') return []
        const verdict = verdictOf(keepalived, '-t', '-f', staged(forKeepalivedHere(text, nic)))
        return verdict.code === 0 && verdict.output === '' ? [] : [{ number, place, verdict }]
      })
      expect(wrong).toEqual([])
      expect(existsSync(CANARY)).toBe(false)
    },
    PATIENCE_MS,
  )

  // Lines in haproxy.cfg's own syntax are the operator's: haproxy may refuse them, and then hactl deploys nothing.
  const isOwnSyntax = (place: string) => /\.(option|lines|global|defaults|options|bind|balance)\b/.test(place)

  test(
    'haproxy accepts every haproxy.cfg, or refuses the one line that is in its own syntax',
    context => {
      const haproxy = realProgram('haproxy', context)
      const wrong = [...distinct('file/haproxy.cfg')].flatMap(([text, { number, place, hostile }]) => {
        const { code, output } = verdictOf(haproxy, '-c', '-f', staged(forHaproxyHere(text)))
        const isFine = code === 0 || (isOwnSyntax(place) && output.includes('[ALERT]'))
        return isFine ? [] : [{ number, place, hostile, output }]
      })
      expect(wrong).toEqual([])
      expect(existsSync(CANARY)).toBe(false)
    },
    PATIENCE_MS,
  )
})
