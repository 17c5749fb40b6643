/** haproxy, keepalived and systemd-analyze, where this machine has them: scripts/real-programs.ts brings them to the tests. */
import { spawnSync } from 'node:child_process'
import { networkInterfaces } from 'node:os'
import type { TestContext } from 'vitest'
import { skipLacking } from './lacking.ts'

const paths = new Map<string, string>()

function pathOf(program: string): string {
  const script = ['-c', 'command -v -- "$1"', 'sh', program]
  const known =
    paths.get(program) ?? spawnSync('sh', script, { encoding: 'utf8', env: { PATH: `${process.env['PATH']}:/usr/sbin:/sbin` } }).stdout
  paths.set(program, known)
  return known.trim()
}

/** The program under $HACTL_<NAME>, or on the PATH; skips the test, with the reason printed, where it is not there. */
export function realProgram(name: string, context: TestContext): string {
  const wanted = process.env[`HACTL_${name.toUpperCase().replaceAll('-', '_')}`] ?? name
  const path = pathOf(wanted)
  if (path !== '') return path
  return skipLacking(context, `${name} is not installed here: its verdict on the rendered files is not asked for`)
}

export interface ProgramVerdict {
  readonly code: number | null
  readonly output: string
}

export function verdictOf(command: string, ...args: readonly string[]): ProgramVerdict {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } })
  return { code: status, output: stdout + stderr }
}

/** An interface that keepalived takes here; skips the test where there is none but loopback. */
export function realInterface(context: TestContext): string {
  const [nic] = Object.entries(networkInterfaces()).flatMap(([card, own]) => (own?.some(a => !a.internal) === true ? [card] : []))
  return nic ?? skipLacking(context, 'this machine has no interface but loopback, which keepalived refuses')
}

/** haproxy.cfg as haproxy can check it on any machine: which user it becomes is looked up in this machine's passwd. */
export function forHaproxyHere(text: string): string {
  return text.replace(/^(\s*user|\s*group) haproxy$/gm, '$1 root')
}

/** keepalived.conf as keepalived can check it on any machine: the interface and the script must exist where it looks at the file. */
export function forKeepalivedHere(text: string, nic: string): string {
  return text.replace(/^(\s+interface) \S+$/gm, `$1 ${nic}`).replaceAll('/usr/local/bin/haproxy-service-check.sh', '/bin/true')
}
