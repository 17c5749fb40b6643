import { describe, expect, test } from 'vitest'
import { openPackageMirror } from '../../../src/engine/operations/package-mirror.ts'
import type { Download, Downloaded } from '../../../src/ports.ts'

const INDEX = 'http://mirror.example.net/debian/dists/bookworm/InRelease'
const whole = (text: string): Downloaded => ({ kind: 'whole', content: Buffer.from(text) })

/** The answers of mirrors by URL, in order where there are several. */
function world(answers: Readonly<Record<string, readonly Downloaded[]>>, mirrors: readonly string[] = []) {
  const asked: string[] = []
  const left = new Map(Object.entries(answers).map(([url, all]) => [url, [...all]]))
  const download: Download = async url => {
    asked.push(url)
    const all = left.get(url) ?? []
    return (all.length > 1 ? all.shift() : all[0]) ?? { kind: 'missing' }
  }
  return { asked, fetch: openPackageMirror(['mirror.example.net', ...mirrors], download, new AbortController().signal) }
}

test('a file that several servers ask for is fetched once', async () => {
  const { asked, fetch } = world({ [INDEX]: [whole('Origin: Debian')] })
  const all = await Promise.all([fetch(INDEX), fetch(INDEX)])
  all.push(await fetch(INDEX))
  expect(all).toEqual(Array(3).fill(whole('Origin: Debian')))
  expect(asked).toEqual([INDEX])
})

test('a file that failed is fetched again, and then kept', async () => {
  const { asked, fetch } = world({ [INDEX]: [{ kind: 'failed', why: 'ECONNRESET' }, whole('Origin: Debian')] })
  expect(await fetch(INDEX)).toEqual({ kind: 'failed', why: 'ECONNRESET', isFinal: false })
  expect(await fetch(INDEX)).toMatchObject({ kind: 'whole' })
  await fetch(INDEX)
  expect(asked).toHaveLength(2)
})

test("a missing file is reported in apt's words, because apt can go on without some files", async () => {
  expect(await world({}).fetch(INDEX)).toEqual({ kind: 'failed', why: '404  Not Found', isFinal: true })
})

describe('a mirror that moved', () => {
  test('is followed to an allowed host', async () => {
    const there = 'https://mirror.example.com/debian/InRelease'
    const { asked, fetch } = world({ [INDEX]: [{ kind: 'moved', to: there }], [there]: [whole('here')] }, ['mirror.example.com'])
    expect(await fetch(INDEX)).toEqual(whole('here'))
    expect(asked).toEqual([INDEX, there])
  })

  test('is not followed to any other host', async () => {
    const { asked, fetch } = world({ [INDEX]: [{ kind: 'moved', to: 'http://169.254.169.254/latest/' }] })
    expect(await fetch(INDEX)).toMatchObject({ kind: 'failed', why: expect.stringContaining('169.254.169.254'), isFinal: true })
    expect(asked).toEqual([INDEX])
  })

  test('in a circle is an error', async () => {
    const { asked, fetch } = world({ [INDEX]: [{ kind: 'moved', to: INDEX }] })
    expect(await fetch(INDEX)).toMatchObject({ kind: 'failed', isFinal: true })
    expect(asked.length).toBeLessThan(10)
  })
})

test('a host that is not named is never asked', async () => {
  const { asked, fetch } = world({})
  expect(await fetch('http://intranet.example.com/secret')).toMatchObject({
    kind: 'failed',
    why: expect.stringContaining('packages.mirrors'),
  })
  expect(asked).toEqual([])
})

test('names are encoded for the mirror, and kept by the name that the server uses', async () => {
  const url = 'http://mirror.example.net/pool/x_1+b2_amd64.deb'
  const { fetch } = world({ [url.replace('+', '%2B')]: [whole('deb')] })
  expect(await fetch(url)).toEqual(whole('deb'))
})
