import { describe, expect, test } from 'vitest'
import { styleFor } from '../../../src/cli/view/style.ts'
import { maskPair, renderDiff, renderPlan, renderSum } from '../../../src/cli/view/plan.ts'
import { KEEPALIVED_MASKS, NOTHING_TO_DO, planOf, writeFile } from '../samples.ts'

const plain = styleFor(false)

describe('secrets in a diff', () => {
  test('are masked on both sides', () => {
    expect(renderDiff(writeFile()).join('\n')).toBe(`--- /etc/keepalived/keepalived.conf	now
+++ /etc/keepalived/keepalived.conf	wanted
@@ -1,4 +1,4 @@
 vrrp_instance VRRP1 {
-  priority 100
-  auth_pass ***
+  priority 101
+  auth_pass *** (changed)
 }`)
  })

  test('that did not change do not look changed', () => {
    const [before, after] = maskPair('auth_pass same\n', 'auth_pass same\n', KEEPALIVED_MASKS)
    expect(before).toBe('auth_pass ***\n')
    expect(after).toBe(before)
  })

  test('are compared one by one where there are several', () => {
    const [before, after] = maskPair('auth_pass a\nauth_pass b\n', 'auth_pass a\nauth_pass c\nauth_pass d\n', KEEPALIVED_MASKS)
    expect(before).toBe('auth_pass ***\nauth_pass ***\n')
    expect(after).toBe('auth_pass ***\nauth_pass *** (changed)\nauth_pass ***\n')
  })

  test('with a dollar sign are masked whole', () => {
    expect(maskPair('', 'auth_pass $1$&x\n', KEEPALIVED_MASKS)[1]).toBe('auth_pass ***\n')
  })

  test('of a removed file are masked too', () => {
    const lines = renderDiff({
      kind: 'remove-file',
      id: 'file/x',
      path: '/etc/x',
      reason: 'not wanted',
      before: 'auth_pass old-one\n',
      beforeSha256: 'abc',
      masks: KEEPALIVED_MASKS,
    })
    expect(lines).toContain('-auth_pass ***')
  })
})

describe('a plan', () => {
  test('shows a diff that two servers share once', () => {
    const text = renderPlan(planOf(), plain, false)
    expect(text.match(/priority 101/g)).toHaveLength(1)
    expect(text).toContain('the same diff as on srv-1')
  })

  test('lists what is unchanged, and why, only when asked', () => {
    expect(renderPlan(planOf(), plain, false)).not.toContain('already as wanted')
    expect(renderPlan(planOf(), plain, true)).toContain('= file/haproxy.cfg  haproxy.cfg is already as wanted')
  })

  test('marks new files with + and changed ones with ~', () => {
    const fresh = writeFile({ before: undefined, beforeSha256: undefined })
    const text = renderPlan(
      planOf({ servers: [{ server: 'srv-1', actions: [fresh, writeFile({ id: 'file/other' })], unchanged: [] }] }),
      plain,
      false,
    )
    expect(text).toContain('+ file/keepalived.conf')
    expect(text).toContain('~ file/other')
  })

  test('says so where the present file cannot be shown', () => {
    expect(renderDiff(writeFile({ before: undefined, beforeSha256: 'abc' }))).toEqual([
      '(the current file is not text, or is too large to show)',
    ])
  })

  test('shows the totals', () => {
    expect(renderSum(planOf())).toBe('2 servers: 3 to change, 1 unchanged')
    expect(renderSum(NOTHING_TO_DO)).toBe('1 server: nothing to change, 1 unchanged')
  })
})
