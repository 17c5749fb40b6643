import { expect, test } from 'vitest'
import { renderStatus } from '../../../src/cli/view/status.ts'
import { styleFor } from '../../../src/cli/view/style.ts'
import { HEALTHY } from '../samples.ts'

const shown = (report: typeof HEALTHY) => renderStatus(report, styleFor(false))
const away = {
  ...HEALTHY.servers[0],
  name: 'srv-1',
  reachable: false,
  healthy: false,
  state: 'unknown',
  holds: [],
  haproxy: 'unknown',
  keepalived: 'unknown',
  drift: undefined,
  drained: false,
  drainsAtBoot: false,
  problems: [],
  openConnections: undefined,
  notes: [],
}
const nobody = [{ address: '192.0.2.200', holders: [] }]

test('an address is reported as held by nobody only where every server was seen', () => {
  expect(shown({ ...HEALTHY, vips: nobody })).toContain('192.0.2.200 is held by NOBODY')
  const [, second] = HEALTHY.servers
  const servers = second === undefined ? [] : [away, second]
  const partial = shown({ ...HEALTHY, servers, vips: nobody, unseen: ['srv-1'] })
  expect(partial).toContain('192.0.2.200 is held by none of the servers seen; not seen: srv-1')
  expect(partial).not.toContain('NOBODY')
})

test('with no server in reach the holder and the drift are unknown', () => {
  const text = shown({ ...HEALTHY, servers: [away], vips: nobody, unseen: ['srv-1', 'srv-2'] })
  expect(text).toContain('the holder of 192.0.2.200 is unknown')
  expect(text.split('\n')[1]).toMatch(/^srv-1 .* -$/)
})
