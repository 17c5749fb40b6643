import { dirname, relative, resolve } from 'node:path'
import type { Command } from '../command.ts'
import { usageError } from '../flags.ts'
import { assertNew, assertWritable } from '../output-file.ts'
import { runInput } from '../run-input.ts'
import { issueText } from '../view/issues.ts'
import { printable } from '../view/style.ts'

const ELSEWHERE = 'give another --output'

/** Reads what runs on servers and writes files on this machine only. It is not named `import`, which is a word of the language. */
export const importCommand: Command = async context => {
  const { app, flags, operands, output, ports } = context
  const { answerProblem, parseServerAnswer } = await import('../../app/answers.ts')
  const servers = operands.map((text, at) => {
    const answer = parseServerAnswer(text, at)
    if ('problem' in answer) throw usageError(answer.problem, 'hactl import --help shows examples')
    return answer.value
  })
  const twice = servers.find(({ name }, at) => servers.findIndex(other => other.name === name) < at)
  if (twice !== undefined) throw usageError(`two servers are called ${twice.name}`, 'name each server once, as in srv-1=HOST srv-2=HOST')
  const checked = (flag: string, kind: 'user' | 'path', text: string | undefined) => {
    const problem = text === undefined ? undefined : answerProblem[kind](text)
    if (problem !== undefined) throw usageError(`${flag}: ${problem}`, 'hactl import --help shows examples')
    return text
  }
  const path = resolve(ports.cwd, flags.text('output') ?? flags.text('inventory') ?? 'inventory.yml')
  await assertWritable(path, context, ELSEWHERE)
  await assertNew(path, context, ELSEWHERE)
  const report = await app.importServers(
    {
      ...(await runInput(context)),
      servers,
      output: path,
      sshUser: checked('--ssh-user', 'user', flags.text('sshUser')),
      identityFile: checked('--identity-file', 'path', flags.text('identityFile')),
      knownHosts: checked('--known-hosts', 'path', flags.text('knownHosts')),
    },
    ports,
    output.event,
  )
  await output.settle()
  for (const file of report.files) await assertNew(file.path, context, ELSEWHERE)
  // The inventory is written last, when the files that it names exist.
  for (const file of report.files.toReversed()) await ports.files.write(file.path, file.text, file.mode)
  const shown = (file: string) => relative(ports.cwd, file)
  const named = shown(path) === 'inventory.yml' ? '' : ` ${shown(path)}`
  for (const note of report.notes) output.text(`note: ${printable(note)}`)
  for (const issue of report.issues) output.problem(`fix by hand: ${issueText(issue)}`)
  for (const warning of report.warnings) output.text(`warning: ${issueText(warning)}`)
  output.text(`written to ${shown(dirname(path)) || '.'}: ${report.files.map(file => relative(dirname(path), file.path)).join(', ')}`)
  output.text(`Next: hactl check${named}, then hactl plan${named}; files that hactl did not make need hactl deploy --adopt`)
  const { notes } = report
  const result = { file: path, files: report.files.map(file => file.path), notes, issues: report.issues.map(issueText) }
  return { exit: 0, result: { ...result, warnings: report.warnings.map(issueText) } }
}
