/**
 * fixtures/rendered/<inventory>/<server>/<file>: what a server gets for fixtures/inventories/<inventory>.yml, to the byte.
 * A new folder there is a new case; `vitest run -u` writes its files. The same files go through the programs that will read them.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestContext } from 'vitest'
import { buildCluster } from '../../src/domain/cluster.ts'
import { desiredNode } from '../../src/domain/desired.ts'
import { nodeFactsFor } from '../../src/domain/node-facts.ts'
import { parseInventory } from '../../src/inventory/parse.ts'
import { Secret } from '../../src/secret.ts'
import type { FileResource } from '../../src/state.ts'
import { addresses, observed } from '../domain/example.ts'

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

test.for(cases)('$name is rendered to the byte', async ({ name, file }) => {
  await expect(file.content).toMatchFileSnapshot(join(fixtures, 'rendered', name))
})

test.for(inventories)('%s has no file that nothing renders any more', inventory => {
  const there = readdirSync(join(fixtures, 'rendered', inventory), { recursive: true, withFileTypes: true }).filter(e => e.isFile())
  const wanted = new Set(cases.map(c => join(fixtures, 'rendered', c.name)))
  expect(there.map(e => join(e.parentPath, e.name)).filter(path => !wanted.has(path))).toEqual([])
})

describe('the programs that read them', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'hactl-rendered-'))
  })
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  /** The program under $HACTL_<NAME>, or on the PATH; undefined, with the reason printed, where it is not there. */
  function program(name: string, context: TestContext): string {
    const wanted = process.env[`HACTL_${name.toUpperCase().replaceAll('-', '_')}`] ?? name
    const found = spawnSync('sh', ['-c', 'command -v -- "$1"', 'sh', wanted], { env: { PATH: `${process.env['PATH']}:/usr/sbin:/sbin` } })
    if (found.status === 0) return found.stdout.toString().trim()
    const reason = `${name} is not installed here: its verdict on the rendered files is not asked for`
    process.stderr.write(`${reason}\n`)
    return context.skip(reason)
  }

  function verdict(command: string, ...args: readonly string[]): { readonly code: number | null; readonly output: string } {
    const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } })
    return { code: status, output: stdout + stderr }
  }

  function staged(name: string, content: string): string {
    const path = join(folder, name.replaceAll('/', '_'))
    writeFileSync(path, content)
    return path
  }

  // Certificates and names that only exist on real servers stand in every-field.
  test.for(cases.filter(c => c.file.id === 'file/haproxy.cfg' && !c.name.startsWith('every-field')))(
    'haproxy takes $name without a warning',
    ({ name, file }, context) => {
      const haproxy = program('haproxy', context)
      // Which user haproxy becomes is looked up in this machine's passwd.
      const text = file.content.replace(/^(\s*user|\s*group) haproxy$/gm, '$1 root')
      const { code, output } = verdict(haproxy, '-c', '-f', staged(name, text))
      expect(output).not.toMatch(/\[(WARNING|ALERT)\]/)
      expect(code).toBe(0)
    },
  )

  test.for(cases.filter(c => c.file.id === 'file/keepalived.conf'))('keepalived takes $name in silence', ({ name, file }, context) => {
    const keepalived = program('keepalived', context)
    const [nic] = Object.entries(networkInterfaces()).flatMap(([card, own]) => (own?.some(a => !a.internal) === true ? [card] : []))
    if (nic === undefined) return context.skip('this machine has no interface but loopback, which keepalived refuses')
    // The interface and the script must exist where keepalived looks at the file.
    const text = file.content
      .replace(/^(\s+interface) \S+$/gm, `$1 ${nic}`)
      .replaceAll('/usr/local/bin/haproxy-service-check.sh', '/bin/true')
    expect(verdict(keepalived, '-t', '-f', staged(name, text))).toEqual({ code: 0, output: '' })
  })

  test.for(cases.filter(c => c.file.id === 'file/check-script'))('sh takes $name in silence', ({ name, file }) => {
    expect(verdict('sh', '-n', staged(name, file.content))).toEqual({ code: 0, output: '' })
  })

  test.for(cases.filter(c => c.file.id.endsWith('-dropin')))('systemd takes $name in silence', ({ name, file }, context) => {
    const analyze = program('systemd-analyze', context)
    const unit = name.includes('keepalived') ? 'keepalived' : 'haproxy'
    const path = join(folder, `${unit}-${name.split('/').join('-')}.service`)
    // A drop-in is judged as part of a unit: this is the least that a unit needs.
    writeFileSync(path, `${file.content}\nType=exec\nExecStart=/bin/true\n`)
    const { output } = verdict(analyze, 'verify', '--man=no', path)
    expect(output.split('\n').filter(line => line.includes(folder))).toEqual([])
  })
})
