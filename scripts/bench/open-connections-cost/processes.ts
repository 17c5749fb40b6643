/** Looks at /proc. */
import { readdirSync, readFileSync } from 'node:fs'
import { parseMachineCpuMs, parseProcess, type Process } from './cpu.ts'

export const machineCpuMs = () => parseMachineCpuMs(readFileSync('/proc/stat', 'utf8'))

/** All that run, those in containers included. */
export function allProcesses(): readonly Process[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(pid => {
      try {
        return parseProcess(readFileSync(`/proc/${pid}/stat`, 'utf8'), readFileSync(`/proc/${pid}/cgroup`, 'utf8')) ?? []
      } catch {
        // It has ended meanwhile.
        return []
      }
    })
}

export const availableBytes = () => Number(/^MemAvailable: +(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) * 1024
