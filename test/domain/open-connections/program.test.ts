/** Functions of the program that keeps open connections, as perl runs them. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const PROGRAM = join(import.meta.dirname, '../../../src/on-server/open-connections.pl')

/** What perl prints for an expression that calls a function of the program. */
function perl(expression: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('perl', ['-e', `do shift or die $@; print ${expression}`, PROGRAM, ...args], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return stdout
}

test.for([
  ['from 6.12 on', 'expires 9s996ms'],
  ['before 6.12', 'timeout 10s expires 9s996ms'],
] as const)('superseded connections are read from what nft prints with kernels %s', ([, ending]) => {
  const said = `table ip hactl {
  set superseded {
    type ipv4_addr . inet_service . ipv4_addr . inet_service
    size 1024
    flags dynamic,timeout
    timeout 10s
    elements = { 198.51.100.9 . 40000 . 192.0.2.200 . 80 ${ending},
                 198.51.100.9 . 40001 . 192.0.2.200 . 443 ${ending} }
  }
}
`
  expect(perl('join "\\n", superseded_in(shift)', said).split('\n')).toEqual([
    '198.51.100.9 . 40000 . 192.0.2.200 . 80',
    '198.51.100.9 . 40001 . 192.0.2.200 . 443',
  ])
})

test('what nft says to a question is told apart from late answers to earlier ones', () => {
  const end = (number: number) => `Error: No such file or directory\nlist chain ip hactl end_of_answer_${number}\n              ^^^^^\n`
  const late = `Error: an earlier command\n${end(7)}`
  expect(perl('answer_in(@ARGV)', `${late}Error: this one\nhere\n${end(8)}`, 'end_of_answer_8')).toBe('Error: this one\nhere\n')
  expect(perl('answer_in(@ARGV)', `${late}${end(8)}`, 'end_of_answer_8')).toBe('')
  expect(perl('answer_in(@ARGV)', late, 'end_of_answer_8')).toBe('nft does not answer\n')
})
