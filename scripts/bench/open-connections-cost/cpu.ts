/** CPU times as /proc tells them. No I/O. */

/** /proc counts in hundredths of a second, whatever the kernel's own clock is. */
const TICK_MS = 10

export interface Process {
  /** Its number, and when it started: numbers are used again. */
  readonly key: string
  readonly pid: number
  readonly parent: number
  /** Its own time, and that of its children that have ended. */
  readonly cpuMs: number
  /** /proc/PID/cgroup */
  readonly cgroup: string
}

/** The time that all processors have worked so far, interrupts included: user, nice, system, irq and softirq of /proc/stat. */
export function parseMachineCpuMs(stat: string): number {
  const [user, nice, system, _idle, _iowait, irq, softirq] = (/^cpu +(.*)/m.exec(stat)?.[1] ?? '').split(' ').map(Number)
  return [user, nice, system, irq, softirq].reduce<number>((sum, ticks) => sum + (ticks ?? Number.NaN), 0) * TICK_MS
}

/** Of /proc/PID/stat and /proc/PID/cgroup; undefined where the text is none of them. */
export function parseProcess(stat: string, cgroup: string): Process | undefined {
  // A name may contain blanks and brackets.
  const [, pid, rest] = /^(\d+) \(.*\) (.*)/s.exec(stat) ?? []
  if (pid === undefined || rest === undefined) return undefined
  const at = rest.split(' ')
  const number = (field: number) => Number(at[field - 3])
  const cpuMs = (number(14) + number(15) + number(16) + number(17)) * TICK_MS
  return Number.isNaN(cpuMs) ? undefined : { key: `${pid} ${at[22 - 3]}`, pid: Number(pid), parent: number(4), cpuMs, cgroup }
}

/**
 * What these processes used from one look to another. One that ended meanwhile counts with its parent's time, if the parent is one of them; it
 * then counts with all its time. NaN where none is one of them.
 */
export function cpuBetween(before: readonly Process[], after: readonly Process[], isOne: (process: Process) => boolean): number {
  const earlier = new Map(before.map(({ key, cpuMs }) => [key, cpuMs]))
  const found = after.filter(isOne)
  return found.length === 0 ? Number.NaN : found.reduce((sum, { key, cpuMs }) => sum + cpuMs - (earlier.get(key) ?? 0), 0)
}

/** Tells the processes that are nobody's of a measurement: not in one of the containers, not `own` or below it, and no threads of the kernel. */
export function othersIn(processes: readonly Process[], containers: readonly string[], own: number): (process: Process) => boolean {
  const parents = new Map(processes.map(({ pid, parent }) => [pid, parent]))
  const isBelow = (pid: number | undefined, top: number): boolean => pid !== undefined && (pid === top || isBelow(parents.get(pid), top))
  return ({ pid, cgroup }) => !containers.some(id => cgroup.includes(id)) && !isBelow(pid, own) && !isBelow(pid, KERNEL_THREADS)
}
const KERNEL_THREADS = 2
