/** How a script ends what it has begun. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { finallyDo } from '../../scripts/support/process.ts'

describe('what is done in the end', () => {
  const printed: unknown[] = []
  beforeEach(() => {
    printed.length = 0
    vi.spyOn(console, 'error').mockImplementation((...words: readonly unknown[]) => void printed.push(...words))
  })
  afterEach(() => vi.restoreAllMocks())
  const fails = (why: string) => () => Promise.reject(new Error(why))

  test('is done after the work, whose result is given', async () => {
    const done: string[] = []
    const work = async () => done.push('work')
    expect(await finallyDo(work, async () => done.push('end'))).toBe(1)
    expect(done).toEqual(['work', 'end'])
  })

  test('is done after work that failed, and the failure stays', async () => {
    const end = vi.fn<() => Promise<void>>(async () => {})
    await expect(finallyDo(fails('the work failed'), end)).rejects.toThrow('the work failed')
    expect(end).toHaveBeenCalledOnce()
    expect(printed).toEqual([])
  })

  test('hides no failure of the work with its own, which is printed', async () => {
    await expect(finallyDo(fails('the work failed'), fails('the end failed'))).rejects.toThrow('the work failed')
    expect(printed).toEqual(['the end failed'])
  })

  test('must not fail itself', async () => {
    await expect(finallyDo(async () => 1, fails('the end failed'))).rejects.toThrow('the end failed')
  })
})
