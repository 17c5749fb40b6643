import { expect, test } from 'vitest'
import { encodedUrl, mirrorProblem } from '../../src/domain/mirrors.ts'

const FILE = '/debian/dists/bookworm/InRelease'

const DEBIAN = 'debian.org'
const UBUNTU = 'ubuntu.com'

test.for([
  `http://deb.${DEBIAN}`,
  `https://deb.${DEBIAN}`,
  `http://security.${DEBIAN}`,
  `http://ftp.${DEBIAN}`,
  `http://ftp.de.${DEBIAN}`,
  `http://ftp2.de.${DEBIAN}`,
  `http://archive.${UBUNTU}`,
  `http://de.archive.${UBUNTU}`,
  `http://ports.${UBUNTU}`,
  'https://haproxy.debian.net',
])('the public archives are fetched from without being named: %s', origin => {
  expect(mirrorProblem(`${origin}${FILE}`, [])).toBeUndefined()
})

test.for([
  'http://169.254.169.254/latest/meta-data/',
  'http://127.0.0.1/debian/',
  'http://intranet.example.com/debian/',
  `http://deb.${DEBIAN}.example.com/debian/`,
  `http://deb.${DEBIAN}@192.0.2.1/debian/`,
  `http://xdeb.${DEBIAN}/`,
  `http://deb.${DEBIAN}:8080/debian/`,
  `http://evil.de.archive.${UBUNTU}/`,
  'file:///etc/passwd',
  `ftp://deb.${DEBIAN}/debian/`,
  `deb.${DEBIAN}/debian/`,
  '',
])('nothing else is, whatever a server asks for: %s', url => {
  expect(mirrorProblem(url, [])).toMatch(/^hactl (?:does not fetch from|fetches over http|sends no password)/)
})

test('the hosts that the operator names are allowed, at that port only', () => {
  const mirrors = ['Mirror.example.com', 'cache.example.com:3142', '[2001:db8::1]:8080']
  for (const origin of [
    'http://mirror.example.com',
    'https://mirror.example.com',
    'http://cache.example.com:3142',
    'http://[2001:db8::1]:8080',
  ])
    expect(mirrorProblem(`${origin}${FILE}`, mirrors)).toBeUndefined()
  for (const origin of [
    'http://mirror.example.com:8080',
    'http://cache.example.com',
    'http://mirror.example.com.',
    'http://x.mirror.example.com',
  ])
    expect(mirrorProblem(`${origin}${FILE}`, mirrors)).toMatch(/packages\.mirrors in the inventory does not name it/)
})

test('a plus sign in a name is encoded, so that every mirror understands it', () => {
  expect(encodedUrl(`http://deb.${DEBIAN}/pool/k/keepalived_2.2.7-1+b2~x_amd64.deb`)).toBe(
    `http://deb.${DEBIAN}/pool/k/keepalived_2.2.7-1%2Bb2~x_amd64.deb`,
  )
})
