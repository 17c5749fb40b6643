import { basename, dirname, relative, resolve } from 'node:path'
import type { SetupAnswers } from '../../app/setup.ts'
import { HactlError } from '../../errors.ts'
import type { Command, CommandContext } from '../command.ts'
import { usageError } from '../flags.ts'
import { confirmed, notInteractive } from '../run-input.ts'
import { issueText } from '../view/issues.ts'
import { discover } from '../wizard/discover.ts'
import { answersFromFlags, askAnswers, missingFlags, withDefaults, type AnswerGrammar } from '../wizard/questions.ts'

export const setup: Command = async context => {
  const { argument, flags, output, ports } = context
  const path = resolve(ports.cwd, argument ?? flags.text('inventory') ?? 'inventory.yml')
  const exists = await ports.files.exists(path)
  if (exists && !flags.on('force') && (flags.on('yes') || !context.interactive)) {
    throw usageError(`${path} exists already`, 'give another file, or --force to overwrite it')
  }
  const { answerProblem, buildInventory, parseBackendAnswer, parseServerAnswer } = await import('../../app/setup.ts')
  const answers = await collect(context, dirname(path), { server: parseServerAnswer, backend: parseBackendAnswer, problem: answerProblem })
  const { text, issues, warnings } = buildInventory(answers)
  if (issues.length > 0) {
    throw new HactlError({
      code: 'E_USAGE',
      what: 'these answers make no inventory',
      why: issues.map(issueText),
      fix: 'answer these differently; nothing was written',
    })
  }
  output.text(text)
  for (const warning of warnings) output.text(`warning: ${issueText(warning)}`)
  const question = exists ? `${basename(path)} exists already. Overwrite it?` : `Write this to ${basename(path)}?`
  if (!(exists && flags.on('force')) && !(await confirmed(context, question, !exists))) {
    throw new HactlError({
      code: 'E_DECLINED',
      what: 'not confirmed; nothing was written',
      fix: 'run hactl setup again, or write the file yourself',
    })
  }
  await ports.files.write(path, text, 0o644)
  const shown = relative(ports.cwd, path)
  const named = shown === 'inventory.yml' ? '' : ` ${shown}`
  output.text(`${shown} is written. Next: hactl check${named}, then hactl deploy${named}`)
  return { exit: 0, result: { file: path, warnings: warnings.map(issueText) } }
}

async function collect(context: CommandContext, folder: string, grammar: AnswerGrammar): Promise<SetupAnswers> {
  const given = answersFromFlags(context.flags, grammar)
  const found = await discover(context.ports, folder)
  const missing = missingFlags(given)
  if (missing.length === 0 && (context.flags.on('yes') || !context.interactive)) return withDefaults(given, found)
  if (!context.interactive) throw notInteractive('what is still missing', `give ${missing.join(' and ')}`)
  return askAnswers(given, found, grammar, await context.prompter())
}
