import { expect, test } from 'vitest'
import type { DrillCase } from '../../../src/domain/failover/verdict.ts'
import { restorationFindings } from '../../../src/domain/failover/restoration.ts'

const ABOUT = { drill: 'haproxy-stop', vip: '192.0.2.200', from: 'srv-1' } as DrillCase
const state = (server: string) => ({ server, units: { haproxy: 'active' }, holds: [], residue: [] })

test('everything that is not as before is reported with its fix', () => {
  const record = { samples: [], before: [state('srv-1'), state('srv-2')], after: [{ ...state('srv-1'), units: { haproxy: 'failed' } }] }
  const texts = (holders: readonly string[]) => restorationFindings(ABOUT, record, holders).map(({ text }) => text)
  expect(texts([])).toEqual([
    'srv-1: haproxy was active and is failed: systemctl start haproxy',
    'srv-2 could not be reached after the drill: bring it back, then run hactl status --limit srv-2',
    'nobody holds 192.0.2.200 after the drill: hactl status shows which server is not healthy',
    '192.0.2.200 does not answer after the drill: hactl status shows which server is not healthy',
  ])
  // The server that had the address before keeps it.
  expect(texts(['srv-1', 'srv-2'])).toContain('srv-1 and srv-2 hold 192.0.2.200 after the drill: systemctl restart keepalived on srv-2')
})
