/** From which repositories the controller fetches for servers whose apt reaches none: `packages: { from: controller }`. */

/** The public archives of the distributions that hactl knows, and that of Debian's HAProxy maintainers with newer versions. */
const ARCHIVES = [
  /^(?:deb|security|httpredir|cdn-fastly\.deb|haproxy)\.debian\.(?:org|net)$/,
  /^ftp\d?\.(?:[a-z]{2}\.)?debian\.org$/,
  /^(?:(?:[a-z]{2}\.)?archive|security|ports|old-releases)\.ubuntu\.com$/,
]

/**
 * Why the controller does not fetch this URL for a server; undefined where it does. A server asks for whatever its sources.list says, and
 * the controller may reach what no user of a server should read (the metadata service of a cloud, an intranet). So only known hosts are
 * allowed, and those that the operator names as HOST or HOST:PORT.
 */
export function mirrorProblem(url: string, mirrors: readonly string[]): string | undefined {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed?.protocol !== 'http:' && parsed?.protocol !== 'https:') return 'hactl fetches over http and https only'
  if (parsed.username !== '' || parsed.password !== '') return 'hactl sends no password to a mirror'
  // The port is empty where it is the protocol's default.
  const { host, port } = parsed
  const isNamed = mirrors.some(mirror => mirror.toLowerCase() === host)
  if (isNamed || (port === '' && ARCHIVES.some(archive => archive.test(host)))) return undefined
  return `hactl does not fetch from ${host}: packages.mirrors in the inventory does not name it`
}

/** The URL in a form that every mirror understands: apt does not encode a plus sign, and some mirrors take that for a space. */
export function encodedUrl(url: string): string {
  const parsed = new URL(url)
  parsed.pathname = parsed.pathname.replaceAll('+', '%2B')
  return parsed.href
}
