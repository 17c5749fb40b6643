/** Which room may import which. Boundaries that nothing checks are not kept. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { onServer } from '../../src/on-server/files.ts'
import { filesFor } from '../../src/shell/library.ts'

const SRC = resolve(import.meta.dirname, '../../src')

/** By the first folder (or file) under src/: what it may import, and what it may import as types only. */
const MAY: Readonly<Record<string, { readonly code: readonly string[]; readonly types?: readonly string[] }>> = {
  state: { code: [], types: ['ports'] },
  ports: { code: [], types: ['secret'] },
  errors: { code: [] },
  'exit-status': { code: ['errors'], types: ['ports'] },
  secret: { code: [] },
  words: { code: [] },
  patience: { code: [] },
  yaml: { code: ['errors'] },
  system: { code: ['errors'], types: ['ports'] },
  'command-log': { code: [], types: ['engine'] },
  inventory: { code: ['errors', 'yaml', 'secret'], types: ['ports'] },
  'on-server': { code: [] },
  shell: { code: ['errors', 'secret', 'on-server'], types: ['ports'] },
  domain: { code: ['errors', 'secret', 'shell', 'state'], types: ['ports', 'inventory'] },
  report: { code: ['domain', 'words'], types: ['state'] },
  engine: { code: ['errors', 'secret', 'yaml', 'shell', 'state', 'patience'], types: ['ports'] },
  // What joins the domain's knowledge and the engine's machinery: a floor of its own above both.
  'engine/operations': { code: ['errors', 'secret', 'shell', 'domain', 'engine'], types: ['state', 'ports', 'report'] },
  // No shell: what runs on servers is written in engine/operations and below.
  app: {
    code: ['errors', 'exit-status', 'yaml', 'inventory', 'domain', 'report', 'engine', 'engine/operations'],
    types: ['state', 'ports', 'secret'],
  },
  // secret: the sudo password that was typed becomes one before it goes anywhere.
  cli: {
    code: ['app', 'errors', 'exit-status', 'yaml', 'secret', 'words', 'patience'],
    types: ['ports', 'state', 'inventory', 'domain', 'engine', 'engine/operations'],
  },
  main: { code: ['app', 'cli', 'command-log', 'engine', 'errors', 'system'], types: ['ports'] },
}

/** Packages that only one file may import. */
const ONE_DOOR: Readonly<Record<string, string>> = {
  'node-ssh': 'engine/ssh/node-ssh.ts',
  listr2: 'cli/view/tree.ts',
  inquirer: 'cli/wizard/inquirer.ts',
  'js-yaml': 'yaml.ts',
  undici: 'system/download.ts',
}

interface Import {
  readonly file: string
  readonly from: string
  readonly isType: boolean
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts'))

const imports: Import[] = files.flatMap(file => {
  const text = readFileSync(join(SRC, file), 'utf8')
  const statics = [...text.matchAll(/^(?:import|export)\s+(type\s+)?(?:[^'"();]*?\sfrom\s+)?'([^']+)'/gms)]
  const dynamics = [...text.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g)]
  return [
    ...statics.map(match => ({ file, from: match[2] ?? '', isType: match[1] !== undefined || hasOnlyTypes(match[0]) })),
    ...dynamics.map(match => ({ file, from: match[1] ?? '', isType: false })),
  ]
})

/** import { type A, type B } from ... */
function hasOnlyTypes(statement: string): boolean {
  const names = /\{([^}]*)\}/
    .exec(statement)?.[1]
    ?.split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
  return names !== undefined && names.length > 0 && names.every(name => name.startsWith('type '))
}

/** Without its comments. */
const codeOf = (file: string) => readFileSync(join(SRC, file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$|\s\/\/ .*$/gm, '')

const layerOf = (path: string) =>
  path.startsWith('engine/operations/') ? 'engine/operations' : (path.split('/')[0]?.replace(/\.ts$/, '') ?? path)

const inOurs = imports
  .filter(({ from }) => from.startsWith('.') && !from.endsWith('.json'))
  .map(entry => ({ ...entry, target: relative(SRC, resolve(SRC, dirname(entry.file), entry.from)) }))

test('reads the imports of every layer', () => {
  expect(new Set(files.map(layerOf))).toEqual(new Set(Object.keys(MAY)))
  expect(inOurs.length).toBeGreaterThan(100)
})

test('imports go up the page only: state, ports, errors <- inventory, domain, report, engine <- engine/operations <- app <- cli <- main', () => {
  const wrong = inOurs.flatMap(({ file, target, isType }) => {
    const [from, to] = [layerOf(file), layerOf(target)]
    const allowed = MAY[from]
    if (from === to || allowed === undefined || allowed.code.includes(to)) return []
    if (allowed.types?.includes(to) === true) {
      return isType
        ? []
        : [`src/${file} imports code of src/${target}; ${from}/ may use its types only: write "import type", or take it as an argument`]
    }
    return [
      `src/${file} imports src/${target}; ${from}/ may import ${allowed.code.join(', ') || 'nothing of ours'}: move what both need up the page, or pass it in`,
    ]
  })
  expect(wrong).toEqual([])
})

test('the command line uses only events of the engine', () => {
  const wrong = inOurs.filter(
    ({ file, target }) => layerOf(file) === 'cli' && layerOf(target) === 'engine' && target !== 'engine/events.ts',
  )
  expect(wrong.map(({ file, target }) => `src/${file} imports src/${target}: add what a renderer must know to engine/events.ts`)).toEqual(
    [],
  )
})

test('the engine names no service: what is peculiar to one comes from the tables that the domain gives it', () => {
  const wrong = files
    .filter(file => layerOf(file) === 'engine')
    .flatMap(file => [...codeOf(file).matchAll(/^.*(?:haproxy|keepalived).*$/gim)].map(([line]) => `src/${file}: ${line.trim()}`))
  expect(
    wrong.map(
      line => `${line}: take it from a ServiceTable or a ServiceLook (src/state/services.ts), or move it to domain/ and pass it in`,
    ),
  ).toEqual([])
})

test('nor does what the engine sends to servers', () => {
  const sent = files
    .filter(file => layerOf(file) === 'engine')
    .flatMap(file => [...codeOf(file).matchAll(/\b(?:onState|shWith|sourceText)\('([^']+)'/g)].map(([, name = '']) => name))
  expect(sent.length).toBeGreaterThan(10)
  const wrong = [...new Set(sent.flatMap(filesFor))].flatMap(name =>
    [...onServer(name).matchAll(/^(?!\s*#).*(?:haproxy|keepalived).*$/gim)].map(([line]) => `src/on-server/${name}: ${line.trim()}`),
  )
  expect(wrong.map(line => `${line}: have it given, or let the domain send it`)).toEqual([])
})

test('a command is imported by app.ts only: what commands share has a file of its own', () => {
  const commands = new Set(inOurs.filter(({ file, isType }) => file === 'app/app.ts' && !isType).map(({ target }) => target))
  const wrong = inOurs.filter(({ file, target }) => layerOf(file) === 'app' && file !== 'app/app.ts' && commands.has(target))
  expect(commands.size).toBeGreaterThan(10)
  expect(
    wrong.map(
      ({ file, target }) => `src/${file} imports the command src/${target}: move what both need to engine/operations or beside them`,
    ),
  ).toEqual([])
})

test('each outside library with effects has one door', () => {
  const wrong = imports.flatMap(({ file, from }) => {
    const door = ONE_DOOR[from]
    return door === undefined || door === file ? [] : [`src/${file} imports ${from}; only src/${door} does: use what that file exports`]
  })
  expect(wrong).toEqual([])
})

test('relative imports end in .ts and built-ins begin with node:', () => {
  const wrong = imports.filter(({ from }) =>
    from.startsWith('.')
      ? !/\.(ts|json)$/.test(from)
      : /^(fs|path|net|tls|os|crypto|child_process|util|url|events|stream)(\/|$)/.test(from),
  )
  expect(wrong.map(({ file, from }) => `src/${file} imports ${from}`)).toEqual([])
})

test('only main.ts touches the process, and nothing below app knows the time or prints', () => {
  const wrong = files.flatMap(file => {
    const code = codeOf(file)
    const found = [
      ...(file === 'main.ts' ? [] : [/(?<![.\w'"])process\.(?!ts)\w+/.exec(code)?.[0]]),
      ...(/^(domain|report|engine(?!\/ssh))\//.test(file)
        ? [/(?<![.\w])(console\.\w+|new Date\b|Date\.\w+|setTimeout|setInterval|Math\.random)\b/.exec(code)?.[0]]
        : []),
    ].filter(hit => hit !== undefined)
    return found.map(hit => `src/${file} uses ${hit}: take a port (Clock, Terminal, env) instead`)
  })
  expect(wrong).toEqual([])
})

test('commands make no exit status of their own, except 0 and the 2 that plan --exit-code is asked for', () => {
  const own = files.filter(file => /^(?:app|cli\/commands)\//.test(file) && file !== 'cli/commands/plan.ts')
  const wrong = own.flatMap(file =>
    [...codeOf(file).matchAll(/^.*(?:\bexit\b(?:: | = ).*\b[1-9]\d*\b|\breturn (?:.*[?:] )?[3-9](?: |$)).*$/gm)].map(
      ([line]) => `src/${file}: ${line.trim()}`,
    ),
  )
  expect(wrong.map(line => `${line}: make it from a code (src/exit-status.ts)`)).toEqual([])
})

test('a text or an exported figure is a constant of one file only', () => {
  const constants = files.flatMap(file =>
    [...codeOf(file).matchAll(/^(export )?const ([A-Z][A-Z0-9_]+)(?:: [^=]+)? = ('[^']+'|[\d_]+)$/gm)].map(
      ([, exported, name = '', value = '']) => ({
        file,
        name,
        value,
        isExported: exported !== undefined,
      }),
    ),
  )
  expect(constants.length).toBeGreaterThan(100)
  const wrong = constants.flatMap(one => {
    const again = constants.find(
      ({ file, name, value }) =>
        file !== one.file && value === one.value && (value.startsWith("'") || (one.isExported && name === one.name)),
    )
    return again === undefined ? [] : [`src/${one.file}: ${one.name} is ${again.name} of src/${again.file}`]
  })
  expect(wrong.map(line => `${line}: import it`)).toEqual([])
})

test('connections to servers are opened in one place, so that the ledger of a run has all of them', () => {
  const connecting = files.filter(file => /\bremote\.connect\(/.test(readFileSync(join(SRC, file), 'utf8')))
  // main.ts loads what is behind the port.
  expect(connecting.toSorted()).toEqual(['app/connect.ts', 'main.ts'])
})
