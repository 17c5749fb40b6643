/** Figures as people read them. */

/** "340 ms", "1.2 s", "2 min 5 s". */
export function formatMs(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 9995) return `${Math.round(ms / 10) / 100} s`
  if (ms < 59_950) return `${Math.round(ms / 100) / 10} s`
  const seconds = Math.round(ms / 1000)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/** Why the outage of a drill is no figure. `to`: who took over. */
export function endlessOutage(to: string | undefined): string {
  return to === undefined ? 'nobody took over' : 'the outage did not end'
}

/** "1 change", "3 changes". */
export function count(n: number, one: string, many: string = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`
}
