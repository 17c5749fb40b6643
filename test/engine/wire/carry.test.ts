import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { CARRY_QUESTION, mergeCarry } from '../../../src/engine/wire/carry.ts'
import type { CarryLink } from '../../../src/state/wire.ts'

const V4: CarryLink = {
  interface: 'eth0',
  family: 4,
  address: '192.0.2.12',
  virtualAddress: '192.0.2.200',
  stranger: '192.0.2.1',
  port: 8945,
  peers: ['192.0.2.11', '192.0.2.13'],
}
const V6: CarryLink = {
  interface: 'eth1',
  family: 6,
  address: '2001:db8::12',
  virtualAddress: '2001:db8::200',
  stranger: '2001:db8::1',
  port: 8945,
  peers: ['2001:db8::11'],
}
const TIMES = { leastMs: 1500, mostMs: 4000 }
const ANSWER = '0 met 192.0.2.11\n0 met 192.0.2.13\n0 met 192.0.2.99\n0 carried 192.0.2.11\n0 end\n1 met 2001:db8::11\n'

test('every network has its own answer, and one that was cut off does not count', () => {
  const [first, second] = CARRY_QUESTION.parse(ANSWER, [V4, V6])
  expect(first).toEqual({ link: V4, met: ['192.0.2.11', '192.0.2.13'], carried: ['192.0.2.11'] })
  expect(second).toBeUndefined()
})

test('a packet that arrived at one of two times counts as carried', () => {
  const first = CARRY_QUESTION.parse(ANSWER, [V4, V6])
  const second = CARRY_QUESTION.parse('0 carried 192.0.2.13\n0 end\n1 end\n', [V4, V6])
  const [v4, v6] = mergeCarry(first, second)
  expect(v4).toEqual({ link: V4, met: ['192.0.2.11', '192.0.2.13'], carried: ['192.0.2.11', '192.0.2.13'] })
  expect(v6).toEqual({ link: V6, met: [], carried: [] })
  expect(mergeCarry(first, [])).toEqual(first)
})

test('each family has its stranger, and words of the inventory and of servers stay quoted words', () => {
  const hostile = { ...V4, interface: "eth0'; reboot #", peers: ['$(reboot)'] }
  const { raw } = CARRY_QUESTION.script([hostile, V6], 'mark', TIMES)
  const out = execFileSync('sh', ['-c', `perl() { shift 2; printf '<%s>' "$@"; }\n${raw}`], { encoding: 'utf8' })
  expect(out).toContain("<eth0'; reboot #><192.0.2.12><192.0.2.200><192.0.2.1><8945><mark><1.5><4><$(reboot)>")
  expect(out).toContain('<eth1><2001:db8::12><2001:db8::200><2001:db8::1><8945><mark><1.5><4><2001:db8::11>')
})
