import { expect, test } from 'vitest'
import { encodedUrl, mirrorProblem } from '../../src/domain/mirrors.ts'

const FILE = '/debian/dists/bookworm/InRelease'

test.for([
  'http://deb.debian.org',
  'https://deb.debian.org',
  'http://security.debian.org',
  'http://ftp.debian.org',
  'http://ftp.de.debian.org',
  'http://ftp2.de.debian.org',
  'http://archive.ubuntu.com',
  'http://de.archive.ubuntu.com',
  'http://ports.ubuntu.com',
  'https://haproxy.debian.net',
])('the public archives are fetched from without being named: %s', origin => {
  expect(mirrorProblem(`${origin}${FILE}`, [])).toBeUndefined()
})

test.for([
  'http://169.254.169.254/latest/meta-data/',
  'http://127.0.0.1/debian/',
  'http://intranet.example.com/debian/',
  'http://deb.debian.org.example.com/debian/',
  'http://deb.debian.org@192.0.2.1/debian/',
  'http://xdeb.debian.org/',
  'http://deb.debian.org:8080/debian/',
  'http://evil.de.archive.ubuntu.com/',
  'file:///etc/passwd',
  'ftp://deb.debian.org/debian/',
  'deb.debian.org/debian/',
  '',
])('nothing else is, whatever a server asks for: %s', url => {
  expect(mirrorProblem(url, [])).toMatch(/^hactl (?:does not fetch from|fetches over http|sends no password)/)
})

test('what the operator names is, at that port alone', () => {
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

test('a plus sign in a name is asked for as every mirror understands it', () => {
  expect(encodedUrl('http://deb.debian.org/pool/k/keepalived_2.2.7-1+b2~x_amd64.deb')).toBe(
    'http://deb.debian.org/pool/k/keepalived_2.2.7-1%2Bb2~x_amd64.deb',
  )
})
