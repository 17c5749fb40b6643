// What checks the programs of src/on-server, of the labs, of CI and of scripts/: shellcheck for shells, perl -wc for Perl, Python's own compiler.
// A machine without shellcheck or perl fails; one without Python is told what was not checked.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { sourceText } from '../src/shell/library.ts'
import { root } from './support/places.ts'
import { programsIn } from './support/programs.ts'

const FOLDER = join(import.meta.dirname, '../src/on-server')
const CHECKERS = [
  { program: 'shellcheck', files: 'shell', isNeeded: true, get: 'apt-get install shellcheck' },
  { program: 'perl', files: 'Perl', isNeeded: true, get: 'apt-get install perl-base' },
  { program: 'python3', files: 'Python', isNeeded: false, get: 'apt-get install python3-minimal' },
]
const names = readdirSync(FOLDER)
const has = (program: string) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0
const missing = CHECKERS.filter(({ program }) => !has(program))
for (const { program, files, isNeeded, get } of missing)
  console.error(
    `${program} is not installed on this machine: programs in ${files} ${isNeeded ? 'cannot be checked' : 'were not checked'}; fix: ${get}`,
  )

const isMissing = (name: string) => missing.some(({ program }) => program === name)
const others = programsIn(['.ci', 'test', 'scripts'].map(folder => join(root, folder)))
const outcomes: boolean[] = missing.map(({ isNeeded }) => !isNeeded)

if (!isMissing('shellcheck')) {
  const files = names.filter(name => name.endsWith('.sh')).map(name => join(FOLDER, name))
  const shellcheck = (argv: readonly string[]) => spawnSync('shellcheck', ['--severity=style', ...argv], { cwd: root, stdio: 'inherit' })
  // A file of src/on-server is checked alone: what it needs is named in its first comment. A lab's program sources its other files.
  for (const argv of [
    ['--shell=sh', ...files],
    ['--external-sources', ...others.shell],
  ])
    outcomes.push(shellcheck(argv).status === 0)
}
if (!isMissing('perl')) {
  const check = (what: string, text: string) => {
    const { status, stderr } = spawnSync('perl', ['-wc', '-'], { input: text, encoding: 'utf8' })
    const isFine = status === 0 && stderr === '- syntax OK\n'
    if (!isFine) console.error(`${what}:\n${stderr}`)
    outcomes.push(isFine)
  }
  for (const name of names.filter(file => file.endsWith('.pl')))
    check(`src/on-server/${name}, with the files that it needs before it`, sourceText(name))
  for (const path of others.perl) check(relative(root, path), readFileSync(path, 'utf8'))
}
if (!isMissing('python3')) {
  const check = (what: string, text: string) => {
    const argv = ['-c', 'import sys; compile(sys.stdin.read(), sys.argv[1], "exec")', what]
    const { status, stderr } = spawnSync('python3', argv, { input: text, encoding: 'utf8' })
    if (status !== 0) console.error(`${what}:\n${stderr}`)
    outcomes.push(status === 0)
  }
  for (const name of names.filter(file => file.endsWith('.py'))) check(`src/on-server/${name}`, sourceText(name))
  for (const path of others.python) check(relative(root, path), readFileSync(path, 'utf8'))
}
process.exitCode = outcomes.every(Boolean) ? 0 : 1
