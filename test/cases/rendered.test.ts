/**
 * fixtures/rendered/<inventory>/<server>/<file>: what a server gets for fixtures/inventories/<inventory>.yml, byte for byte.
 * A new folder there is a new case; `vitest run -u` writes its files. The programs that will read the files check them too.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildCluster } from '../../src/domain/cluster.ts'
import { desiredNode } from '../../src/domain/desired.ts'
import { nodeFactsFor } from '../../src/domain/node-facts.ts'
import { parseInventory } from '../../src/inventory/parse.ts'
import { Secret } from '../../src/secret.ts'
import type { FileResource } from '../../src/state/desired.ts'
import { addresses, observed } from '../domain/example.ts'
import { linesWithoutReason } from '../domain/unit-file.ts'
import { forHaproxyHere, forKeepalivedHere, realInterface, realProgram, verdictOf } from '../support/real-programs.ts'

const fixtures = join(import.meta.dirname, '../../fixtures')
const inventories = readdirSync(join(fixtures, 'rendered'))

/** Every server has the interfaces that the inventory names, or eth0, with .11, .12, .13 of the documentation's and the article's networks. */
function filesOf(inventoryName: string): readonly { readonly server: string; readonly file: FileResource }[] {
  const path = join(fixtures, 'inventories', `${inventoryName}.yml`)
  const { inventory, issues } = parseInventory(readFileSync(path, 'utf8'), path)
  if (inventory === undefined) throw new Error(issues.map(i => i.message).join('; '))
  const config = inventory.haproxy.config
  const cluster = buildCluster(inventory, {
    authPass: () => new Secret('pass1234'),
    haproxyConfigText: config === undefined ? undefined : readFileSync(join(fixtures, 'inventories', config), 'utf8'),
    haproxyConfigPath: config,
  })
  const seen = cluster.servers.map((server, i) => {
    const name = cluster.instances.map(instance => instance.interface[server.name]).find(n => n !== undefined) ?? 'eth0'
    const own = addresses(`${name} 192.0.2.1${i + 1}/24`, `${name} 192.168.0.10${i + 1}/24`, `${name} 2001:db8::1${i + 1}/64`)
    return [server.name, observed(own)] as const
  })
  const facts = nodeFactsFor(cluster, Object.fromEntries(seen))
  return cluster.servers.flatMap(({ name }) => {
    const own = facts[name]
    if (own === undefined) throw new Error(`no facts of ${name}`)
    return desiredNode(cluster, name, own).resources.flatMap(file => (file.kind === 'file' ? [{ server: name, file }] : []))
  })
}

const cases = inventories.flatMap(inventory =>
  filesOf(inventory).map(({ server, file }) => ({ name: `${inventory}/${server}/${file.id.slice('file/'.length)}`, file })),
)

test.for(cases)('renders $name byte for byte', async ({ name, file }) => {
  await expect(file.content).toMatchFileSnapshot(join(fixtures, 'rendered', name))
})

test.for(inventories)('%s has only files that are still rendered', inventory => {
  const there = readdirSync(join(fixtures, 'rendered', inventory), { recursive: true, withFileTypes: true }).filter(e => e.isFile())
  const wanted = new Set(cases.map(c => join(fixtures, 'rendered', c.name)))
  expect(there.map(e => join(e.parentPath, e.name)).filter(path => !wanted.has(path))).toEqual([])
})

test.for(cases.filter(c => /-(?:unit|dropin)$/.test(c.name)))('$name gives a reason for its lines', ({ file }) => {
  expect(linesWithoutReason(file.content)).toEqual([])
})

test.for(cases.filter(c => /\b(?:evidence [A-Z]\d|decisions? \d)/.test(c.file.content)))(
  '$name says where the evidence and the decisions are that its comments name',
  ({ file }) => {
    const [head = ''] = file.content.split(/\n(?!#)/, 1)
    expect(head).toContain("\n# Evidence and decisions that comments name are in docs/ of hactl's repository.")
  },
)

describe('the programs that read them', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'hactl-rendered-'))
  })
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  function staged(name: string, content: string): string {
    const path = join(folder, name.replaceAll('/', '_'))
    writeFileSync(path, content)
    return path
  }

  // every-field has certificates and names that exist only on real servers.
  test.for(cases.filter(c => c.file.id === 'file/haproxy.cfg' && !c.name.startsWith('every-field')))(
    'haproxy accepts $name without a warning',
    ({ name, file }, context) => {
      const haproxy = realProgram('haproxy', context)
      const { code, output } = verdictOf(haproxy, '-c', '-f', staged(name, forHaproxyHere(file.content)))
      expect(output).not.toMatch(/\[(WARNING|ALERT)\]/)
      expect(code).toBe(0)
    },
  )

  test.for(cases.filter(c => c.file.id === 'file/keepalived.conf'))(
    'keepalived accepts $name without a message',
    ({ name, file }, context) => {
      const keepalived = realProgram('keepalived', context)
      const text = forKeepalivedHere(file.content, realInterface(context))
      expect(verdictOf(keepalived, '-t', '-f', staged(name, text))).toEqual({ code: 0, output: '' })
    },
  )

  test.for(cases.filter(c => c.file.id === 'file/check-script'))('sh accepts $name without a message', ({ name, file }) => {
    expect(verdictOf('sh', '-n', staged(name, file.content))).toEqual({ code: 0, output: '' })
  })

  test.for(cases.filter(c => c.file.id.endsWith('-dropin')))('systemd accepts $name without a message', ({ name, file }, context) => {
    const analyze = realProgram('systemd-analyze', context)
    const unit = name.includes('keepalived') ? 'keepalived' : 'haproxy'
    const path = join(folder, `${unit}-${name.split('/').join('-')}.service`)
    // A drop-in is judged as part of a unit: this is the least that a unit needs.
    writeFileSync(path, `${file.content}\nType=exec\nExecStart=/bin/true\n`)
    const { output } = verdictOf(analyze, 'verify', '--man=no', path)
    expect(output.split('\n').filter(line => line.includes(folder))).toEqual([])
  })
})
