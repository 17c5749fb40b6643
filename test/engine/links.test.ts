import { expect, test } from 'vitest'
import { createLinks } from '../../src/engine/links.ts'
import { fakeSession, unreachable } from '../support/remote.ts'

test('a lost connection is replaced once for all users of it', async () => {
  const first = fakeSession('srv-1', [])
  let connects = 0
  const links = createLinks([first], async server => {
    connects++
    return fakeSession(server, [])
  })
  const [a, b] = await Promise.all([links.renew(first), links.renew(first)])
  expect(connects).toBe(1)
  expect(a).toBe(b)
  expect(links.current('srv-1')).toBe(a)
  expect(await links.renew(first)).toBe(a)
  expect(first.isClosed).toBe(true)
})

test("a caller that finds another caller's attempt failed makes an attempt of its own", async () => {
  const first = fakeSession('srv-1', [])
  let connects = 0
  const links = createLinks([first], async server => {
    connects++
    if (connects === 1) throw unreachable(server)
    return fakeSession(server, [])
  })
  const [a, b] = await Promise.allSettled([links.renew(first), links.renew(first)])
  expect(a.status).toBe('rejected')
  expect(b.status).toBe('fulfilled')
  expect(first.isClosed).toBe(true)
})

test('a server without a connection is a fault of the caller', () => {
  const links = createLinks([], async () => fakeSession('srv-1', []))
  expect(() => links.current('srv-1')).toThrow(/no connection to srv-1/)
})
