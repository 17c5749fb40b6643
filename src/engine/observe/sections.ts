/** A probe's answer: sections between "@@begin NAME" and "@@end NAME", closed by "@@end all". */
import { HactlError } from '../../errors.ts'

/** The text of each section by its name. Throws E_PROBE_CUT when the closing mark is missing: a cut answer says nothing about what is absent. */
export function parseSections(server: string, stdout: string): Map<string, string> {
  const sections = new Map<string, string>()
  let name: string | undefined
  let body: string[] = []
  let complete = false
  for (const line of stdout.split('\n')) {
    if (name === undefined) {
      if (line.startsWith('@@begin ')) {
        name = line.slice('@@begin '.length)
        body = []
      } else if (line === '@@end all') complete = true
    } else if (line === `@@end ${name}`) {
      sections.set(name, body.join('\n'))
      name = undefined
    } else body.push(line)
  }
  if (!complete || name !== undefined) {
    throw new HactlError({
      code: 'E_PROBE_CUT',
      server,
      what: 'the facts of this server are incomplete: its answer ended early',
      why: [name === undefined ? 'the closing mark is missing' : `the answer stopped in the section "${name}"`],
      fix: 'run again; if it happens again, look at the disk space and the login messages of this server',
    })
  }
  return sections
}

export function linesOf(text: string): string[] {
  return text.split('\n').filter(line => line.trim() !== '')
}

export function splitOnce(line: string, separator: string): [string, string] {
  const at = line.indexOf(separator)
  return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + separator.length)]
}
