import { expect, test } from 'vitest'
import type { Cluster } from '../../../src/domain/cluster-types.ts'
import type { Links } from '../../../src/engine/links.ts'
import { askedOf, readJournals } from '../../../src/engine/operations/account.ts'
import { Secret } from '../../../src/secret.ts'
import { manualClock } from '../../support/clock.ts'
import { fakeSession } from '../../support/remote.ts'

test.for([
  [{ kind: 'http', address: '192.0.2.200', port: 80, path: '/health?token=s3cr3t#x' }, 'http://192.0.2.200:80/health'],
  [{ kind: 'https', address: '2001:db8::200', port: 443, path: '/' }, 'https://[2001:db8::200]:443/'],
  [{ kind: 'tcp', address: '192.0.2.200', port: 5432, path: '/' }, 'tcp://192.0.2.200:5432'],
] as const)('%j was asked as %s', ([target, asked]) => {
  expect(askedOf({ ...target, timeoutMs: 1000 })).toBe(asked)
})

test("the servers' journals are read without the passwords that the inventory knows", async () => {
  const line = {
    __REALTIME_TIMESTAMP: '1700000000000000',
    SYSLOG_IDENTIFIER: 'Keepalived',
    MESSAGE: 'Auth data = k33pal1v, again k33pal1v',
  }
  const session = fakeSession('srv-1', [
    { when: /^recent_journal /, reply: ({ emit }) => (emit('clock 1700000000000 10.0 10.0'), emit(JSON.stringify(line)), { code: 0 }) },
  ])
  const instances = [{ authentication: { type: 'PASS', pass: new Secret('k33pal1v') } }, { authentication: undefined }] as const
  const links = { servers: ['srv-1'], current: () => session } as unknown as Links
  const clock = manualClock()
  const cluster = { instances } as unknown as Cluster
  const ports = { clock, signal: new AbortController().signal }
  const [journal] = await readJournals({ cluster, links, ports }, clock.monotonic())
  expect(journal?.lines.map(({ message }) => message)).toEqual(['Auth data = ***, again ***'])
})
