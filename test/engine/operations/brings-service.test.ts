import { describe, expect, test } from 'vitest'
import { bringsService, handingsBroughtFor } from '../../../src/engine/operations/brings-service.ts'
import type { Action, Plan } from '../../../src/state/plan.ts'
import { OPEN_CONNECTIONS_SCRIPT } from '../../../src/domain/paths.ts'

const HANDING = { instance: 'web', from: 'srv-1', to: 'srv-2' }
const RELOAD = { kind: 'service', id: 'service/keepalived', unit: 'keepalived', steps: ['reload'] } as unknown as Action
const action = (kind: Action['kind'], id: string, path = '') => ({ kind, id, path }) as Action
const START = action('open-tool', 'open-connections/service')
const FIREWALL = [action('write-file', 'file/firewall'), action('write-file', 'file/firewall-unit'), action('open-tool', 'firewall/rules')]
const REMOVAL = action('remove-file', 'file/open-connections', OPEN_CONNECTIONS_SCRIPT)

const planOf = (actions: Readonly<Record<string, readonly Action[]>>) =>
  ({ servers: Object.entries(actions).map(([server, own]) => ({ server, actions: own, unchanged: [] })) }) as unknown as Plan

describe('what keeps open connections comes first where an address moves', () => {
  test.for([
    ['the service starts on one of the two', { 'srv-1': [RELOAD], 'srv-2': [START] }],
    ['its files change', { 'srv-1': [RELOAD, action('write-file', 'file/open-connections-settings')] }],
  ] as const)('and %s', ([, actions]) => {
    expect(handingsBroughtFor(planOf(actions), [HANDING])).toEqual([HANDING])
  })

  test.for([
    ['only the firewall changes, as with open_connections: reset or profile classic', { 'srv-1': [RELOAD, ...FIREWALL] }],
    ['the plan takes the service away', { 'srv-1': [RELOAD, ...FIREWALL, REMOVAL], 'srv-2': [RELOAD, START] }],
    ['no keepalived is loaded', { 'srv-1': [START] }],
    ['only a third server gets it', { 'srv-1': [RELOAD], 'srv-3': [START] }],
  ] as const)('but not where %s', ([, actions]) => {
    expect(handingsBroughtFor(planOf(actions), [HANDING])).toEqual([])
  })

  test('without the rules of the packet filter, which belong to the ports of an haproxy.cfg that comes later', () => {
    expect(FIREWALL.filter(bringsService)).toEqual([])
    expect(bringsService(START)).toBe(true)
  })
})
