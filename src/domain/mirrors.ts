/** From which repositories the controller fetches for servers whose apt reaches none: `packages: { from: controller }`. */

/** The public archives of the distributions that hactl knows, and the address at which Debian's HAProxy maintainers publish newer versions. */
const ARCHIVES = [
  /^(?:deb|security|httpredir|cdn-fastly\.deb|haproxy)\.debian\.(?:org|net)$/,
  /^ftp\d?\.(?:[a-z]{2}\.)?debian\.org$/,
  /^(?:(?:[a-z]{2}\.)?archive|security|ports|old-releases)\.ubuntu\.com$/,
]

/**
 * Why the controller does not fetch this URL for a server; undefined where it does. What a server asks for is whatever its sources.list
 * says, and the controller may reach what nobody on a server should read (the metadata service of a cloud, an intranet): so it is known
 * hosts, and those that the operator names as HOST or HOST:PORT.
 */
export function mirrorProblem(url: string, mirrors: readonly string[]): string | undefined {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed?.protocol !== 'http:' && parsed?.protocol !== 'https:') return 'hactl fetches over http and https only'
  if (parsed.username !== '' || parsed.password !== '') return 'hactl sends no password to a mirror'
  // The port is empty where it is that of the protocol.
  const { host, port } = parsed
  const isNamed = mirrors.some(mirror => mirror.toLowerCase() === host)
  if (isNamed || (port === '' && ARCHIVES.some(archive => archive.test(host)))) return undefined
  return `hactl does not fetch from ${host}: packages.mirrors in the inventory does not name it`
}

/** The same file as every mirror understands it: apt asks with a bare plus sign, which some take for a space. */
export function encodedUrl(url: string): string {
  const parsed = new URL(url)
  parsed.pathname = parsed.pathname.replaceAll('+', '%2B')
  return parsed.href
}
