import { execFileSync } from 'node:child_process'
import { chmodSync, lutimesSync, mkdirSync, mkdtempSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openConnectionsLook } from '../../../src/domain/open-connections/look.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { clusterWith } from '../example.ts'

const PROGRAM = '/usr/local/lib/hactl/open-connections.pl'
const STARTED = '/run/systemd/units/invocation:hactl-open-connections.service'
const LOADED = '/run/hactl/open-connections.loaded'
const SAID = `rules owner,persist
instance web held
open web 443 7
proven web srv-2 yes
proven web srv-3 no
instance mail kept
unarmed mail
open mail 25 3
open mail 587 1
proven mail srv-2 yes
`

const folder = tempFolder()
const look = openConnectionsLook(clusterWith())
const read = (text: string) => look.parse(name => (name === 'open-connections' ? text : undefined)).openConnections

/** A server that is a folder, with these programs: what its answer says. */
function answerOf(
  programs: Readonly<Record<string, string>>,
  prepare: (place: (path: string) => string) => void = () => {},
  said = look.said.raw,
) {
  const root = mkdtempSync(join(folder(), 'server-'))
  const place = (path: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    return join(root, path)
  }
  for (const [path, body] of Object.entries(programs)) {
    writeFileSync(place(path), `#!/bin/sh\n${body}\n`)
    chmodSync(place(path), 0o755)
  }
  prepare(place)
  const script = said.replaceAll(/(?<![A-Za-z0-9._+/-])\/(?=(?:etc|run|usr\/local)\/)/g, `${root}/`)
  const env = { PATH: `${root}/bin:${root}/usr/local/bin:/usr/bin:/bin` }
  const out = execFileSync('/bin/sh', ['-c', script], { env, encoding: 'utf8' })
  return read(out.replace(/^@@begin open-connections\n([^]*)\n@@end open-connections\n$/, '$1').replaceAll(root, ''))
}

test('a server whose nft takes the rules can keep open connections', () => {
  const seen = answerOf({ '/bin/nft': 'cat >/dev/null; exit 0' })
  expect(seen).toEqual({ ability: { kind: 'able' }, savedIn: [] })
})

test('a server whose nft refuses them cannot, and says why in one line', () => {
  const seen = answerOf({ '/bin/nft': 'cat >/dev/null; echo "Error: syntax error, unexpected wildcard" >&2; echo more >&2; exit 1' })
  expect(seen?.ability).toEqual({
    kind: 'unable',
    why: 'its nft or its kernel refuses the rules: Error: syntax error, unexpected wildcard',
  })
})

test('a saved ruleset that contains the table is reported', () => {
  const saved = (text: string) =>
    answerOf({ '/bin/nft': 'cat >/dev/null' }, place => writeFileSync(place('/etc/nftables.conf'), text))?.savedIn
  expect(saved('table inet filter {\n}\ntable ip hactl { # progname nft\n\tflags owner\n}\n')).toEqual(['/etc/nftables.conf'])
  expect(saved('# table ip hactl {\ntable ip hactl-own {\n}\n')).toEqual([])
})

test('a file that the saved ruleset includes is reported, too', () => {
  const saved = (include: string) =>
    answerOf({ '/bin/nft': 'cat >/dev/null' }, place => {
      writeFileSync(place('/etc/nftables.conf'), `#!/usr/sbin/nft -f\n${include.replaceAll('/etc', place('/etc'))}\n`)
      for (const name of ['own.nft', 'hactl.nft', 'hactl.txt'])
        writeFileSync(place(`/etc/nftables.d/${name}`), name === 'own.nft' ? 'table ip own {\n}\n' : 'table ip6 hactl {\n}\n')
    })?.savedIn
  expect(saved('include "/etc/nftables.d/*.nft"')).toEqual(['/etc/nftables.d/hactl.nft'])
  expect(saved(' include "nftables.d/hactl.nft" # ours')).toEqual(['/etc/nftables.d/hactl.nft'])
  // A name that hactl does not show.
  expect(saved('include "/etc/nftables.d/hactl.txt"')).toEqual([])
  expect(saved('# include "/etc/nftables.d/*.nft"')).toEqual([])
  expect(saved('include "/etc/nftables.d/nothing*.nft"\ninclude "/etc"')).toEqual([])
})

test('a service that runs says what it has, and its rules prove that they can be loaded', () => {
  const seen = answerOf({ '/bin/nft': 'exit 1', [PROGRAM]: `cat <<'X'\n${SAID}X` }, place => {
    symlinkSync('x', place(STARTED))
    writeFileSync(place(LOADED), '')
  })
  expect(seen).toEqual({
    ability: { kind: 'able' },
    service: {
      isRunning: true,
      isOutdated: true,
      isFresh: true,
      hasRules: true,
      windows: [
        { instance: 'mail', port: 25, connections: 3 },
        { instance: 'mail', port: 587, connections: 1 },
      ],
      unarmed: ['mail'],
      unproven: [{ instance: 'web', peer: 'srv-3' }],
    },
    savedIn: [],
  })
})

test('files that were written after the last reload are told, those before it are not', () => {
  const started = (loadedAt: number) =>
    answerOf({ '/bin/nft': 'exit 1', [PROGRAM]: 'echo rules owner' }, place => {
      for (const kind of ['nft', 'conf']) writeFileSync(place(PROGRAM.replace(/pl$/, kind)), '')
      symlinkSync('x', place(STARTED))
      lutimesSync(place(STARTED), 1, 1)
      writeFileSync(place(LOADED), '')
      utimesSync(place(LOADED), loadedAt, loadedAt)
    })?.service
  expect(started(1)?.isOutdated).toBe(true)
  expect(started(1)).not.toHaveProperty('isFresh')
  expect(started(Date.now() / 1000)).toMatchObject({ isFresh: true })
  expect(started(4_000_000_000)?.isOutdated).toBe(false)
})

test('rules that are refused while older ones are loaded are told, with why', () => {
  expect(read('running\nrules refused a.nft:1:2-3: Error: Not supported\nable')?.service).toMatchObject({
    hasRules: true,
    refused: 'a.nft:1:2-3: Error: Not supported',
  })
})

test('a service that does not answer has no rules that are known, and is left as it is', () => {
  const seen = answerOf({ '/bin/nft': 'exec sleep 9', '/bin/timeout': 'exit 124', [PROGRAM]: 'exec sleep 9' }, place =>
    symlinkSync('x', place(STARTED)),
  )
  expect(seen?.ability).toEqual({ kind: 'able' })
  expect(seen?.service).toMatchObject({ isRunning: true, windows: [], unproven: [] })
  expect(seen?.service).not.toHaveProperty('hasRules')
})

test('a program whose service was stopped is told as stopped', () => {
  expect(answerOf({ '/bin/nft': 'cat >/dev/null', [PROGRAM]: '' })?.service).toMatchObject({ isRunning: false })
})

test('what no service says is not believed', () => {
  const seen = read(
    'running\nrules owner\ninstance web kept\nopen web 443 99999999999999\nopen web x 1\nopen other 80 4\nunarmed other\nable\nsaved /etc/shadow\nsaved /etc/\u001b[2J.conf\nsaved ../x.conf',
  )
  expect(seen?.service?.windows).toEqual([])
  expect(seen?.service?.unarmed).toEqual([])
  expect(seen?.savedIn).toEqual([])
  expect(read('rubbish')?.ability).toEqual({ kind: 'unable', why: 'it did not say whether it can' })
})

describe('where the inventory does not keep them', () => {
  const reset = openConnectionsLook(clusterWith({}, { open_connections: 'reset' }))

  test('a server without the service says nothing, and is not asked what it can', () => {
    const root = mkdtempSync(join(folder(), 'server-'))
    const script = reset.said.raw.replaceAll('/usr/local/', `${root}/usr/local/`)
    expect(execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' })).toBe('')
    expect(reset.parse(() => undefined)).toEqual({})
  })

  test('a service that is still there says what it has open', () => {
    const seen = answerOf(
      { '/bin/nft': 'exit 1', [PROGRAM]: `cat <<'X'\n${SAID}X` },
      place => {
        symlinkSync('x', place(STARTED))
        writeFileSync(place(LOADED), '')
      },
      reset.said.raw,
    )
    expect(seen?.service?.windows).toHaveLength(2)
  })
})
