// What checks the programs of src/on-server: shellcheck for sh, perl -wc for Perl. `--strict`: a checker that is not here is a failure, too.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { sourceText } from '../src/shell/library.ts'

const FOLDER = join(import.meta.dirname, '../src/on-server')
const CHECKERS = [
  { program: 'shellcheck', files: '*.sh', get: 'apt-get install shellcheck' },
  { program: 'perl', files: '*.pl', get: 'apt-get install perl-base' },
]

const isStrict = process.argv.includes('--strict') || process.env['CI'] === 'true'
const names = readdirSync(FOLDER)
const has = (program: string) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0
const missing = CHECKERS.filter(({ program }) => !has(program))
for (const { program, files, get } of missing)
  console.error(
    `${program} is not installed on this machine: src/on-server/${files} ${isStrict ? 'cannot be checked' : 'was not checked'}; fix: ${get}`,
  )

const isMissing = (name: string) => missing.some(({ program }) => program === name)
const outcomes: boolean[] = isStrict ? missing.map(() => false) : []

if (!isMissing('shellcheck')) {
  const files = names.filter(name => name.endsWith('.sh')).map(name => join(FOLDER, name))
  outcomes.push(
    files.length === 0 || spawnSync('shellcheck', ['--shell=sh', '--severity=style', ...files], { stdio: 'inherit' }).status === 0,
  )
}
if (!isMissing('perl')) {
  for (const name of names.filter(file => file.endsWith('.pl'))) {
    const { status, stderr } = spawnSync('perl', ['-wc', '-'], { input: sourceText(name), encoding: 'utf8' })
    const isFine = status === 0 && stderr === '- syntax OK\n'
    if (!isFine) console.error(`src/on-server/${name}, with the files that it needs before it:\n${stderr}`)
    outcomes.push(isFine)
  }
}
process.exitCode = outcomes.every(Boolean) ? 0 : 1
