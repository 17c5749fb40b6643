/** Reads as much of a haproxy.cfg as hactl needs: sections, and what listens where. Never judges it: haproxy -c does. */
import { canonicalAddress } from '../addresses.ts'

interface ConfigLine {
  /** 1-based. */
  readonly line: number
  readonly words: readonly string[]
}

export interface Section {
  /** "global", "defaults", "frontend", "listen", "backend", ... */
  readonly kind: string
  readonly name: string | undefined
  readonly line: number
  readonly lines: readonly ConfigLine[]
  /** The `mode` of this section: its own, else that of its defaults section, else tcp. */
  readonly mode: string
}

export interface Bind {
  readonly section: string
  readonly line: number
  /** undefined for all addresses. */
  readonly address: string | undefined
  readonly port: number
  /** The last port of a range; the same as `port` for one port. */
  readonly lastPort: number
  readonly loopback: boolean
  readonly mode: 'http' | 'tcp'
  readonly ssl: boolean
  readonly transparent: boolean
}

const SECTIONS = new Set([
  'global',
  'defaults',
  'frontend',
  'backend',
  'listen',
  'peers',
  'resolvers',
  'userlist',
  'mailers',
  'program',
  'cache',
  'ring',
  'http-errors',
  'log-forward',
  'fcgi-app',
  'crt-store',
  'traces',
  'acme',
  'log-profile',
])

/**
 * Words of one line by haproxy's rules: blanks separate, quotes and backslashes protect, # starts a comment.
 * HAProxy configuration manual 2.2, "Quoting and escaping".
 */
export function haproxyWords(line: string): readonly string[] {
  const words: string[] = []
  let word: string | undefined
  let quote: '"' | "'" | undefined
  for (let i = 0; i < line.length; i++) {
    const c = line.charAt(i)
    if (quote === undefined && c === '#') break
    if (quote === undefined && /\s/.test(c)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (c === '\\' && quote !== "'") {
      i++
      word = (word ?? '') + line.charAt(i)
    } else if (quote === undefined && (c === '"' || c === "'")) {
      quote = c
      word ??= ''
    } else if (quote === c) {
      quote = undefined
    } else {
      word = (word ?? '') + c
    }
  }
  if (word !== undefined) words.push(word)
  return words
}

/** All sections in the order of the file. */
export function parseHaproxySections(text: string): readonly Section[] {
  const sections: { kind: string; name: string | undefined; line: number; lines: ConfigLine[]; mode: string; inherited: string }[] = []
  const defaultsByName = new Map<string, string>()
  let defaultsMode = 'tcp'
  text.split('\n').forEach((raw, index) => {
    const words = haproxyWords(raw)
    const [first, second] = words
    if (first === undefined) return
    const current = sections.at(-1)
    if (SECTIONS.has(first)) {
      const from = words[2] === 'from' ? words[3] : first === 'defaults' ? undefined : words[words.indexOf('from') + 1]
      const named = words.includes('from') && from !== undefined ? defaultsByName.get(from) : undefined
      const inherited = first === 'defaults' ? (named ?? 'tcp') : (named ?? defaultsMode)
      sections.push({ kind: first, name: second, line: index + 1, lines: [], mode: inherited, inherited })
      if (first === 'defaults') {
        defaultsMode = inherited
        if (second !== undefined) defaultsByName.set(second, inherited)
      }
      return
    }
    if (current === undefined) return
    current.lines.push({ line: index + 1, words })
    if (first === 'mode' && second !== undefined) {
      current.mode = second
      if (current.kind === 'defaults') {
        defaultsMode = second
        if (current.name !== undefined) defaultsByName.set(current.name, second)
      }
    }
  })
  return sections.map(({ inherited: _inherited, ...section }) => section)
}

/** "192.0.2.1:80", ":80", "*:80", "[::]:443", "ipv4@192.0.2.1:80", ":8000-8010" -> address and ports; undefined for sockets. */
export function parseBindAddress(
  text: string,
): { readonly address: string | undefined; readonly port: number; readonly lastPort: number } | undefined {
  const bare = text.replace(/^(ipv4|ipv6|quic4|quic6|tcp4|tcp6)@/, '')
  const match = /^(.*):(\d{1,5})(?:-(\d{1,5}))?$/.exec(bare)
  if (match === null) return undefined
  const [, host = '', digits = '', last = digits] = match
  const port = Number(digits)
  const lastPort = Math.min(Math.max(port, Number(last)), 65535)
  if (port < 1 || port > 65535) return undefined
  const inner = host.replace(/^\[(.*)\]$/, '$1')
  if (inner === '' || inner === '*' || inner === '::' || inner === '0.0.0.0') return { address: undefined, port, lastPort }
  return { address: canonicalAddress(inner)?.address ?? inner, port, lastPort }
}

function isLoopback(address: string | undefined): boolean {
  return address !== undefined && (address === '::1' || address === 'localhost' || address.startsWith('127.'))
}

// "rhttp@" listens nowhere: it connects to a server, which sends its requests back by that connection.
const NO_ADDRESS = /^(?:\/|(?:unix|uxst|uxdg|uxdgram|abns|abnsz|fd|sockpair|rhttp)@)/

/** Binds whose port the file does not say ("bind :${PORT}"): what follows "bind", and the section. */
export function unreadBinds(text: string): readonly { readonly section: Pick<Section, 'kind' | 'name'>; readonly word: string }[] {
  return parseHaproxySections(text)
    .filter(({ kind }) => kind === 'frontend' || kind === 'listen')
    .flatMap(section =>
      section.lines
        .filter(({ words }) => words[0] === 'bind')
        .flatMap(({ words }) => (words[1] ?? '').split(','))
        .filter(word => !NO_ADDRESS.test(word) && parseBindAddress(word) === undefined)
        .map(word => ({ section, word })),
    )
}

/** The ports of all of the file's binds that clients reach over a network; undefined where the file does not say one of them. */
export function clientPorts(text: string): readonly Pick<Bind, 'port' | 'lastPort'>[] | undefined {
  return unreadBinds(text).length > 0 ? undefined : readBinds(text).filter(({ loopback }) => !loopback)
}

/** Every TCP bind of the file's frontend and listen sections, in order. Unix sockets and descriptors are left out. */
export function readBinds(text: string): readonly Bind[] {
  const binds: Bind[] = []
  for (const section of parseHaproxySections(text)) {
    if (section.kind !== 'frontend' && section.kind !== 'listen') continue
    for (const { line, words } of section.lines) {
      if (words[0] !== 'bind') continue
      for (const one of (words[1] ?? '').split(',')) {
        const parsed = parseBindAddress(one)
        if (parsed === undefined) continue
        binds.push({
          section: section.name ?? section.kind,
          line,
          address: parsed.address,
          port: parsed.port,
          lastPort: parsed.lastPort,
          loopback: isLoopback(parsed.address),
          mode: section.mode === 'http' ? 'http' : 'tcp',
          ssl: words.includes('ssl'),
          transparent: words.includes('transparent'),
        })
      }
    }
  }
  return binds
}

/** The paths of a configuration's certificates, all absolute. Relative ones without a crt-base are left out: hactl cannot resolve them. */
export interface CertificateNames {
  /** Certificates, and folders of them. */
  readonly paths: readonly string[]
  /** Lists of certificates (crt-list), to be read on the server. */
  readonly lists: readonly string[]
  /** global's crt-base, to which relative names in a list refer. */
  readonly base: string | undefined
}

/**
 * What `crt` and `crt-list` of bind and server lines name, and `crt` of a crt-store's load lines (configuration.txt 3.0, 3.11).
 */
export function certificateNames(text: string): CertificateNames {
  const sections = parseHaproxySections(text)
  const baseOf = (section: Section | undefined) => section?.lines.findLast(({ words }) => words[0] === 'crt-base')?.words[1]
  const base = baseOf(sections.findLast(section => section.kind === 'global' && baseOf(section) !== undefined))
  // The name of a list is not relative to crt-base, but the names in it are.
  const named = (keyword: string, begin: string | undefined) =>
    sections.flatMap(section => {
      const isStore = section.kind === 'crt-store'
      const from = isStore ? (baseOf(section) ?? begin) : begin
      return section.lines
        .filter(({ words }) => (isStore ? ['load'] : ['bind', 'server', 'default-server']).includes(words[0] ?? ''))
        .flatMap(({ words }) => words.flatMap((word, at) => (word === keyword ? words.slice(at + 1, at + 2) : [])))
        .flatMap(path => absoluteFrom(from, path))
    })
  return {
    paths: [...new Set(named('crt', base))],
    lists: [...new Set(named('crt-list', undefined))],
    base: base?.startsWith('/') === true ? base : undefined,
  }
}

function absoluteFrom(base: string | undefined, path: string): readonly string[] {
  // "@store/name" is a certificate that a load line has named.
  if (path.startsWith('@')) return []
  if (path.startsWith('/')) return [path]
  return base?.startsWith('/') === true ? [`${base}/${path}`] : []
}
