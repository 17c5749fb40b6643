/**
 * The grammar of every text that an inventory may hold. Each xIssue gives what the text must be, or undefined where the text is valid.
 * They list what is allowed, so that no accepted text can end a line, a word, a quote or a shell argument early.
 */
import { familyOf, notUnicast, parseAddressWithPrefix } from './address.ts'

export type Grammar = (text: string) => string | undefined

/** Names that every plain object has by inheritance: as a server's name they would be found in every map. */
const RESERVED_NAMES: ReadonlySet<string> = new Set(['controller', ...Object.getOwnPropertyNames(Object.prototype)])

function pattern(allowed: RegExp, must: string): Grammar {
  return text => (allowed.test(text) ? undefined : must)
}

/** A name of a server, cluster or instance: used in file names, commands and keepalived.conf. */
export function nameIssue(text: string): string | undefined {
  if (RESERVED_NAMES.has(text)) return 'must be a name other than this one, which hactl reserves'
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(text)
    ? undefined
    : 'must be 1 to 63 letters, digits, dots, dashes or underscores, and begin with a letter or a digit'
}

/** Linux: IFNAMSIZ in linux/if.h leaves 15 characters. */
export const interfaceIssue = pattern(
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/,
  'must be the name of a network interface: 1 to 15 letters, digits, dots, dashes or underscores',
)

/** A login name; @ for accounts of a directory, as in ops@corp.example.com. */
export const userIssue = pattern(
  /^[A-Za-z0-9_][A-Za-z0-9._@+-]{0,63}$/,
  'must be a user name: letters, digits and . _ @ + -, beginning with a letter, a digit or _',
)

/** Letters of any script: home folders have them. No space, because a path becomes one word of a command line or a configuration file. */
export const pathIssue = pattern(
  /^(~\/)?[\p{L}\p{N}._+@,=:/][\p{L}\p{M}\p{N}._+@,=:/-]{0,1023}$/u,
  'must be a path of letters, digits and . _ - + @ , = : /, which may begin with ~/',
)

/** A path on a server for a file of the operator. */
export const serverFileIssue = pattern(
  /^\/etc\/(?:[A-Za-z0-9_][A-Za-z0-9._-]*\/)*[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/,
  'must be a path under /etc of letters, digits and . _ - /',
)

export const environmentNameIssue = pattern(
  /^[A-Za-z_][A-Za-z0-9_]{0,127}$/,
  'must be the name of an environment variable: letters, digits and _',
)

const LABEL = '[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?'
const HOST_NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*\\.?$`)

function isHostName(text: string): boolean {
  const last = text.replace(/\.$/, '').split('.').at(-1) ?? ''
  // A last label of digits is a mistyped address: resolvers would read 10.1 as 10.0.0.1.
  return text.length <= 253 && HOST_NAME.test(text) && !/^(\d+|0[xX][0-9A-Fa-f]*)$/.test(last)
}

function isHost(text: string): boolean {
  return familyOf(text) !== undefined || isHostName(text)
}

/** What hactl connects to: an address, a host name or an alias of ssh_config. */
export function hostIssue(text: string): string | undefined {
  if (familyOf(text) === undefined) return isHostName(text) ? undefined : 'must be an IP address or a host name'
  const range = notUnicast(text)
  // A loopback address may lead to a server through a forwarded port.
  return range === undefined || range === 'loopback' ? undefined : `must be an address of one server; this one is ${range}`
}

/** The address of a VRRP peer. */
export function addressIssue(text: string): string | undefined {
  if (familyOf(text) === undefined) return 'must be an IP address'
  const range = notUnicast(text)
  return range === undefined ? undefined : `must be an address of one server; this one is ${range}`
}

/** ADDRESS or ADDRESS/PREFIX. */
export function virtualAddressIssue(text: string): string | undefined {
  if (/\s/.test(text)) return 'must be ADDRESS/PREFIX alone; the interface is set by interface:'
  const vip = parseAddressWithPrefix(text)
  if (vip === undefined) return 'must be ADDRESS or ADDRESS/PREFIX, as in 192.0.2.200/24'
  const range = notUnicast(vip.address)
  return range === undefined ? undefined : `must be an address that a server can hold; this one is ${range}`
}

function isPort(text: string): boolean {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65535
}

/** HOST:PORT with an IPv6 address in brackets; the parts, or undefined. */
export function splitHostPort(text: string): { readonly host: string; readonly port: string | undefined } | undefined {
  const bracketed = /^\[([0-9A-Fa-f:.]+)\](?::(\d+))?$/.exec(text)
  if (bracketed !== null) return familyOf(bracketed[1] ?? '') === 6 ? { host: bracketed[1] ?? '', port: bracketed[2] } : undefined
  const plain = /^([^:]*)(?::(\d+))?$/.exec(text)
  return plain === null ? undefined : { host: plain[1] ?? '', port: plain[2] }
}

/** ssh_config ProxyJump: [user@]host[:port], several separated by commas. */
export function proxyJumpIssue(text: string): string | undefined {
  const isHop = (hop: string) => {
    const at = hop.lastIndexOf('@')
    if (at >= 0 && userIssue(hop.slice(0, at)) !== undefined) return false
    const target = splitHostPort(hop.slice(at + 1))
    return target !== undefined && isHost(target.host) && (target.port === undefined || isPort(target.port))
  }
  return text.split(',').every(isHop) ? undefined : 'must be [user@]host[:port], several separated by commas'
}

/** keepalived.conf(5): ! and # begin a comment anywhere in a line, so a mailbox may not hold them although RFC 5322 lets it. */
export function emailIssue(text: string): string | undefined {
  const at = text.indexOf('@')
  const isMail = at > 0 && /^[A-Za-z0-9_][A-Za-z0-9._+=-]{0,63}$/.test(text.slice(0, at)) && isHostName(text.slice(at + 1))
  return isMail ? undefined : 'must be an e-mail address of letters, digits and . _ + = - before the @'
}

/** keepalived.conf(5): smtp_server ADDRESS [PORT]. */
export function smtpServerIssue(text: string): string | undefined {
  const [host = '', port, ...rest] = text.split(' ')
  if (isHost(host) && rest.length === 0 && (port === undefined || isPort(port))) return undefined
  return 'must be an address or a host name, then a space and a port where it is not 25'
}

/** Host header and name for TLS. */
export function probeHostIssue(text: string): string | undefined {
  const target = splitHostPort(text)
  const isValid = target !== undefined && isHost(target.host) && (target.port === undefined || isPort(target.port))
  return isValid ? undefined : 'must be a host name, and a port after a colon where one is needed'
}

/** A repository's host as in sources.list(5), without the scheme and the path. */
export function mirrorIssue(text: string): string | undefined {
  const target = splitHostPort(text)
  const isValid = target !== undefined && isHost(target.host) && (target.port === undefined || isPort(target.port))
  return isValid
    ? undefined
    : 'must be the host of a repository, and a port after a colon where it is not the usual one: mirror.example.com'
}

export const urlPathIssue = pattern(
  /^\/[A-Za-z0-9._~%=?@:,+/-]{0,1023}$/,
  'must be the path of a URL: it begins with / and holds no spaces, quotes or &',
)

/** deb-version(7), with an asterisk at the end as apt-get(8) takes it. It begins with a digit, so that it is never an option. */
export const versionIssue = pattern(
  /^[0-9][A-Za-z0-9.+:~-]{0,63}\*?$/,
  'must be a version of a package as apt shows it, or its beginning and an asterisk: 2.6.* or 1:2.2.7-1',
)

/** haproxy configuration.txt, 2.2: letters, digits, - _ . : */
export const proxyNameIssue = pattern(
  /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,62}$/,
  'must be 1 to 63 letters, digits, dots, colons, dashes or underscores, and not begin with a dash',
)

const CONFIG_WORD = /^[A-Za-z0-9_.,:/@%+=*()[\]^~?][A-Za-z0-9_.,:/@%+=*()[\]^~?!-]*$/

/** One or more words of haproxy.cfg separated by single spaces: nothing that haproxy would unquote, expand or take for a comment. */
export function configWordsIssue(text: string): string | undefined {
  const isValid = text.length <= 1024 && text.split(' ').every(word => CONFIG_WORD.test(word))
  return isValid ? undefined : 'must be words of haproxy.cfg with one space between them: no quotes, $, #, ;, & or \\'
}

function isBindAddress(text: string): boolean {
  const address = text.replace(/^ipv[46]@/, '')
  const socket = /^(unix@)?\/[A-Za-z0-9._/-]{1,100}$/
  if (socket.test(address)) return true
  const cut = address.lastIndexOf(':')
  if (cut < 0) return false
  const [first = '', last, ...rest] = address.slice(cut + 1).split('-')
  if (rest.length > 0 || !isPort(first) || (last !== undefined && (!isPort(last) || Number(last) < Number(first)))) return false
  const host = address.slice(0, cut)
  const bare = /^\[.*\]$/.test(host) ? host.slice(1, -1) : host
  return host === '' || host === '*' || (bare === host ? isHost(host) : familyOf(bare) === 6)
}

/** haproxy configuration.txt, bind: [ADDRESS]:PORT[-PORT] or a socket's path, several with commas, then the line's other words. */
export function bindIssue(text: string): string | undefined {
  const [addresses = '', ...words] = text.split(' ')
  if (!addresses.split(',').every(isBindAddress))
    return 'must begin with ADDRESS:PORT, as in ":80" or "192.0.2.200:443 ssl crt /etc/ssl/site.pem"'
  return words.length === 0 ? undefined : configWordsIssue(words.join(' '))
}

/** haproxy configuration.txt, server: HOST:PORT or the path of a socket. */
export function serverAddressIssue(text: string): string | undefined {
  if (/^(unix@)?\/[A-Za-z0-9._/-]{1,100}$/.test(text)) return undefined
  const target = splitHostPort(text)
  const isValid = target !== undefined && isHost(target.host) && target.port !== undefined && isPort(target.port)
  return isValid ? undefined : 'must be HOST:PORT, as in 192.0.2.111:8080 or "[2001:db8::111]:8080"'
}

/** Every word that ends the present section: haproxy's REGISTER_CONFIG_SECTION, releases 2.0 to 3.4. */
const SECTION_WORDS: ReadonlySet<string> = new Set([
  'acme',
  'backend',
  'cache',
  'crt-store',
  'defaults',
  'fcgi-app',
  'frontend',
  'global',
  'healthcheck',
  'http-errors',
  'listen',
  'log-forward',
  'log-profile',
  'mailers',
  'namespace_list',
  'peers',
  'program',
  'resolvers',
  'ring',
  'ruleset',
  'traces',
  'userlist',
])

/**
 * A line inside a section of haproxy.cfg, in its own syntax. It begins with a plain keyword: haproxy unquotes the first
 * word as well, so '"backend" x' would open a section, and a line that begins with a dot is a directive (.if 0).
 */
export function configLineIssue(text: string): string | undefined {
  const textIssue = freeTextIssue(text)
  if (textIssue !== undefined) return textIssue
  const first = /^[A-Za-z0-9][A-Za-z0-9._-]*(?= |$)/.exec(text)?.[0]
  if (first === undefined) return 'must begin with a keyword of haproxy.cfg'
  return SECTION_WORDS.has(first.toLowerCase()) ? `must be a line of this section; "${first}" would begin another` : undefined
}

/** One line of any text: what an operator's own shell or haproxy reads. */
export function freeTextIssue(text: string): string | undefined {
  if (text.length === 0 || text.length > 4096) return 'must be one line of 1 to 4096 characters'
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return /[\u0000-\u001F\u007F-\u009F\u2028\u2029]/.test(text) ? 'must be one line without control characters' : undefined
}

/** keepalived cuts auth_pass after this many bytes (keepalived.conf(5), authentication). */
export const AUTH_PASS_BYTES = 8

/**
 * What is wrong with a VRRP password, never showing it; undefined where keepalived reads it as it is written.
 * keepalived.conf(5): ! and # begin comments, @ at the start of a word conditional configuration, $ a parameter, quotes and braces group.
 */
export function authPassIssue(value: string): string | undefined {
  if (value.length === 0) return 'must not be empty'
  return /^[\x21-\x7E]+$/.test(value) && !/[!#"'{}$\\]/.test(value) && !value.startsWith('@')
    ? undefined
    : 'must be printable ASCII without spaces and without ! # " \' { } $ \\, and must not begin with @'
}
