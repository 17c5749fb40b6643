import type { CommandSpec, CommandTable, Completes, FlagSpec } from './command.ts'

/** The shells that there is a completion script for. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const

interface CompletionFlag {
  readonly names: readonly string[]
  readonly about: string
  readonly takesValue: boolean
  readonly completes: Completes | undefined
}

const HELP: FlagSpec = { flags: '-h, --help', about: 'explain this command' }

function completionFlag(flag: FlagSpec): CompletionFlag {
  const [names = '', value] = flag.flags.split(/ (?=<)/)
  return { names: names.split(', '), about: flag.about, takesValue: value !== undefined, completes: flag.completes }
}

function flagsOf(spec: CommandSpec, globalFlags: readonly FlagSpec[]): CompletionFlag[] {
  return [...spec.flags, ...globalFlags, HELP].map(completionFlag)
}

/** The completion script of a shell, made from the command table. */
export function renderCompletion(shell: string, table: CommandTable): string {
  if (shell === 'fish') return renderFish(table)
  return shell === 'zsh' ? renderZsh(table) : renderBash(table)
}

// One line of shell that reads the names of the inventory's servers, in either style of YAML.
const SERVER_NAMES = `sed -n '/^servers:/,/^[a-z]/s/.*name:[[:space:]]*\\([A-Za-z0-9._-]*\\).*/\\1/p' "\${HACTL_INVENTORY:-inventory.yml}" 2>/dev/null`

function bashWords(completes: Completes | undefined): string {
  if (completes === 'file') return 'COMPREPLY=($(compgen -f -- "$cur"))'
  if (completes === 'server') return `COMPREPLY=($(compgen -W "$(${SERVER_NAMES})" -- "$cur"))`
  return `COMPREPLY=($(compgen -W "${(completes ?? []).join(' ')}" -- "$cur"))`
}

function renderBash({ commands, globalFlags }: CommandTable): string {
  const lines = [
    '# bash completion of hactl; made by: hactl completion bash',
    '_hactl() {',
    '  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= word',
    '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
    `    case $word in ${commands.map(spec => spec.name).join('|')}) command=$word; break ;; esac`,
    '  done',
    '  case $command:$prev in',
  ]
  for (const spec of commands) {
    for (const flag of flagsOf(spec, globalFlags).filter(f => f.takesValue)) {
      lines.push(`    ${flag.names.map(name => `${spec.name}:${name}`).join('|')}) ${bashWords(flag.completes)}; return ;;`)
    }
  }
  for (const flag of globalFlags.map(completionFlag).filter(f => f.takesValue)) {
    lines.push(`    ${flag.names.map(name => `:${name}`).join('|')}) ${bashWords(flag.completes)}; return ;;`)
  }
  lines.push('  esac', '  case $command in')
  for (const spec of commands) {
    const names = flagsOf(spec, globalFlags).flatMap(flag => flag.names)
    lines.push(
      `    ${spec.name})`,
      `      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W "${names.join(' ')}" -- "$cur"))`,
      spec.argument === undefined ? '      fi ;;' : `      else ${bashWords(spec.argument.completes)}; fi ;;`,
    )
  }
  const top = [
    ...commands.map(spec => spec.name),
    'help',
    ...globalFlags.flatMap(flag => completionFlag(flag).names),
    '--version',
    '--help',
  ]
  lines.push(`    *) COMPREPLY=($(compgen -W "${top.join(' ')}" -- "$cur")) ;;`, '  esac', '}', 'complete -o filenames -F _hactl hactl', '')
  return lines.join('\n')
}

const zshText = (text: string) => text.replaceAll("'", "'\\''").replaceAll(/[[\]:]/g, '\\$&')

function zshAction(completes: Completes | undefined): string {
  if (completes === 'file') return '_files'
  if (completes === 'server') return '_hactl_servers'
  return completes === undefined ? ' ' : `(${completes.join(' ')})`
}

function renderZsh({ commands, globalFlags }: CommandTable): string {
  const lines = [
    '#compdef hactl',
    '# zsh completion of hactl; made by: hactl completion zsh',
    '_hactl_servers() {',
    '  local -a servers',
    `  servers=(\${(f)"$(${SERVER_NAMES})"})`,
    "  _describe 'server' servers",
    '}',
    '_hactl() {',
    '  local -a commands',
    '  local command word',
    '  commands=(',
    ...commands.map(spec => `    '${spec.name}:${zshText(spec.summary)}'`),
    '  )',
    '  for word in ${words[2,CURRENT-1]}; do',
    '    if (( ${commands[(I)$word:*]} )); then command=$word; break; fi',
    '  done',
    '  case $command in',
  ]
  for (const spec of commands) {
    const parts = flagsOf(spec, globalFlags).flatMap(flag =>
      flag.names.map(name => `'${name}[${zshText(flag.about)}]${flag.takesValue ? `:value:${zshAction(flag.completes)}` : ''}'`),
    )
    // The command's own name is the first word that _arguments meets.
    parts.push("'1: : '")
    if (spec.argument !== undefined) parts.push(`'2:${spec.argument.name}:${zshAction(spec.argument.completes)}'`)
    lines.push(`    ${spec.name}) _arguments \\`, parts.map(part => `      ${part}`).join(' \\\n'), '      ;;')
  }
  lines.push(
    "    *) _describe 'command' commands ;;",
    '  esac',
    '}',
    'if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _hactl "$@"; else compdef _hactl hactl; fi',
    '',
  )
  return lines.join('\n')
}

const fishText = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`

function fishValue(completes: Completes | undefined): string {
  if (completes === 'file') return ' -r -F'
  if (completes === 'server') return ` -x -a '(__hactl_servers)'`
  return completes === undefined ? ' -x' : ` -x -a ${fishText(completes.join(' '))}`
}

function renderFish({ commands, globalFlags }: CommandTable): string {
  const lines = [
    '# fish completion of hactl; made by: hactl completion fish',
    'function __hactl_servers',
    '  set -l inventory inventory.yml',
    '  set -q HACTL_INVENTORY; and set inventory $HACTL_INVENTORY',
    `  sed -n '/^servers:/,/^[a-z]/s/.*name:[[:space:]]*\\([A-Za-z0-9._-]*\\).*/\\1/p' $inventory 2>/dev/null`,
    'end',
    'complete -c hactl -f',
  ]
  for (const spec of commands) lines.push(`complete -c hactl -n __fish_use_subcommand -a ${spec.name} -d ${fishText(spec.summary)}`)
  const flagLine = (condition: string, flag: CompletionFlag) => {
    const names = flag.names.map(name => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`)).join(' ')
    return `complete -c hactl${condition} ${names}${flag.takesValue ? fishValue(flag.completes) : ''} -d ${fishText(flag.about)}`
  }
  for (const flag of [...globalFlags, HELP].map(completionFlag)) lines.push(flagLine('', flag))
  for (const spec of commands) {
    const condition = ` -n '__fish_seen_subcommand_from ${spec.name}'`
    for (const flag of spec.flags.map(completionFlag)) lines.push(flagLine(condition, flag))
    const completes = spec.argument?.completes
    if (completes === 'file') lines.push(`complete -c hactl${condition} -F`)
    else if (completes !== undefined) lines.push(`complete -c hactl${condition}${fishValue(completes)}`)
  }
  return `${lines.join('\n')}\n`
}
