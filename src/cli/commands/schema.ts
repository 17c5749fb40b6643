import { join } from 'node:path'
import { HactlError } from '../../errors.ts'
import type { Command } from '../command.ts'

export const schema: Command = async ({ ports, output, packageRoot }) => {
  const path = join(packageRoot, 'inventory.schema.json')
  const bytes = await ports.files.read(path)
  if (bytes === undefined) {
    throw new HactlError({ code: 'E_INTERNAL', what: `${path} is missing`, fix: 'install hactl again: the file is part of the package' })
  }
  const text = bytes.toString('utf8')
  if (output.json) return { exit: 0, result: { schema: JSON.parse(text) as unknown } }
  output.important(text)
  return { exit: 0, result: {} }
}
