import { basename, dirname, relative, resolve } from 'node:path'
import type { SetupAnswers } from '../../app/setup.ts'
import { HactlError } from '../../errors.ts'
import type { Command, CommandContext } from '../command.ts'
import { assertNew, assertWritable } from '../output-file.ts'
import { confirmed, notInteractive } from '../run-input.ts'
import { issueText } from '../view/issues.ts'
import { discover } from '../wizard/discover.ts'
import { answersFromFlags, askAnswers, missingFlags, withDefaults, type AnswerGrammar } from '../wizard/questions.ts'

const ELSEWHERE = 'give another file'

export const setup: Command = async context => {
  const { argument, flags, output, ports } = context
  const path = resolve(ports.cwd, argument ?? flags.text('inventory') ?? 'inventory.yml')
  await assertWritable(path, context, ELSEWHERE)
  const exists = await ports.files.exists(path)
  if (flags.on('yes') || !context.interactive) await assertNew(path, context, ELSEWHERE)
  const { answerProblem, parseBackendAnswer, parseServerAnswer } = await import('../../app/answers.ts')
  const { buildInventory, configDoubt } = await import('../../app/setup.ts')
  const answers = await collect(context, dirname(path), { server: parseServerAnswer, backend: parseBackendAnswer, problem: answerProblem })
  const { text, issues, warnings: doubts } = buildInventory(answers)
  const noConfig = await configDoubt(answers, dirname(path), ports)
  const warnings = noConfig === undefined ? doubts : [...doubts, noConfig]
  if (issues.length > 0) {
    throw new HactlError({
      code: 'E_USAGE',
      what: 'these answers do not make a valid inventory',
      why: issues.map(issueText),
      fix: 'give other answers; nothing was written',
    })
  }
  output.text(text)
  for (const warning of warnings) output.text(`warning: ${issueText(warning)}`)
  const question = exists ? `${basename(path)} exists already. Overwrite it?` : `Write this to ${basename(path)}?`
  if (!(exists && flags.on('force')) && !(await confirmed(context, question, !exists))) {
    throw new HactlError({
      code: 'E_DECLINED',
      what: 'the inventory was not confirmed; nothing was written',
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
