import { createTwoFilesPatch } from 'diff'
import { MASK } from '../../secret.ts'
import type { Action, Plan, ServerPlan } from '../../state/plan.ts'
import { count, formatMs } from '../../words.ts'
import { printable, type Style } from './style.ts'

const CONTEXT_LINES = 3

/** The whole plan in words: every change with its diff, then the totals, then what to know before agreeing. */
export function renderPlan(plan: Plan, style: Style, verbose: boolean): string {
  const lines: string[] = []
  const shownOn = new Map<string, string>()
  for (const server of plan.servers) {
    lines.push(style.bold(`${server.server}: ${renderCounts(server)}`))
    for (const action of server.actions) lines.push(...renderAction(server.server, action, style, shownOn))
    if (verbose) for (const { id, reason } of server.unchanged) lines.push(style.dim(`  = ${id}  ${printable(reason)}`))
    lines.push('')
  }
  lines.push(style.bold(renderSum(plan)))
  if (plan.outageMs > 0) lines.push(style.yellow(`interruption: up to ${formatMs(plan.outageMs)} while this is applied`))
  for (const warning of plan.warnings) lines.push(style.yellow(`warning: ${printable(warning)}`))
  return `${lines.join('\n')}\n`
}

function renderCounts({ actions, unchanged }: ServerPlan): string {
  if (actions.length === 0) return `nothing to change, ${unchanged.length} unchanged`
  return `${actions.length} to change, ${unchanged.length} unchanged`
}

/** "3 servers: 24 to change, 3 unchanged"; "3 servers: nothing to change, 27 unchanged". */
export function renderSum(plan: Plan): string {
  const changes = changeCount(plan)
  const unchanged = plan.servers.reduce((sum, server) => sum + server.unchanged.length, 0)
  return `${count(plan.servers.length, 'server')}: ${changes === 0 ? 'nothing' : changes} to change, ${unchanged} unchanged`
}

export function changeCount(plan: Plan): number {
  return plan.servers.reduce((sum, server) => sum + server.actions.length, 0)
}

function renderAction(server: string, action: Action, style: Style, shownOn: Map<string, string>): string[] {
  const sign = signOf(action)
  const paint = sign === '+' ? style.green : sign === '-' ? style.red : style.yellow
  const head = `  ${paint(`${sign} ${action.id}`)}  ${printable(actionTitle(action))} ${style.dim(`(${printable(action.reason)})`)}`
  const diff = renderDiff(action)
  if (diff.length === 0) return [head]
  // The same file goes to several servers: its diff is worth reading once.
  const key = `${action.id}\n${diff.join('\n')}`
  const first = shownOn.get(key)
  if (first !== undefined) return [head, style.dim(`      the same diff as on ${first}`)]
  shownOn.set(key, server)
  return [head, ...diff.map(line => `      ${colourDiff(printable(line), style)}`)]
}

function signOf(action: Action): '+' | '~' | '-' {
  switch (action.kind) {
    case 'install-package':
      return action.from === undefined ? '+' : '~'
    case 'write-file':
      return action.beforeSha256 === undefined ? '+' : '~'
    case 'remove-file':
      return '-'
    case 'own-file':
    case 'set-sysctl':
    case 'service':
      return '~'
    case 'open-tool':
      return '+'
  }
}

/** The action and its object in words. */
function actionTitle(action: Action): string {
  switch (action.kind) {
    case 'install-package':
      if (action.from !== undefined) return `replace ${action.name} by ${action.version ?? 'another'}`
      return `install ${action.name}${action.version === undefined ? '' : ` ${action.version}`}`
    case 'write-file':
      return `write ${action.path} (${action.mode} ${action.owner}:${action.group})`
    case 'own-file':
      return `adopt ${action.path} (${action.mode} ${action.owner}:${action.group})`
    case 'remove-file':
      return `remove ${action.path}`
    case 'set-sysctl':
      return `set ${action.key} to ${action.value}${action.before === undefined ? '' : ` (now ${action.before})`}`
    case 'open-tool':
      return action.title
    case 'service':
      return serviceTitle(action)
  }
}

function serviceTitle({ steps, unit, companion = '' }: Extract<Action, { kind: 'service' }>): string {
  const verbs = steps.filter(step => step !== 'start-companion').map(step => (step === 'stamp' ? 'record' : step))
  return [
    ...(verbs.length === 0 ? [] : [`${verbs.join(', ')} ${unit}`]),
    ...(steps.includes('start-companion') ? [`start ${companion}`] : []),
  ].join(', ')
}

/** A unified diff without secrets, line by line; empty where nothing is to be shown. */
export function renderDiff(action: Action): string[] {
  switch (action.kind) {
    case 'write-file': {
      if (action.before === undefined && action.beforeSha256 !== undefined)
        return ['(the current file is not text, or is too large to show)']
      const [before, after] = maskPair(action.before ?? '', action.after, action.masks)
      return unified(action.path, before, after)
    }
    case 'remove-file': {
      if (action.before === undefined) return ['(the current file is not text, or is too large to show)']
      return unified(action.path, maskPair(action.before, '', action.masks)[0], '')
    }
    case 'install-package':
    case 'own-file':
    case 'set-sysctl':
    case 'open-tool':
    case 'service':
      return []
  }
}

function unified(path: string, before: string, after: string): string[] {
  if (before === after) return []
  const patch = createTwoFilesPatch(path, path, before, after, 'now', 'wanted', { context: CONTEXT_LINES })
  // Lines of the files begin with a space, + or -: the other lines are for patch tools.
  return patch.split('\n').filter(line => line !== '' && !/^(Index: |={10,}$)/.test(line))
}

/**
 * Masks secrets on both sides of a diff. A changed secret would look unchanged behind the mask, so its mask says that it changed:
 * the nth secret of one side is compared with the nth of the other.
 */
export function maskPair(before: string, after: string, masks: readonly string[]): readonly [string, string] {
  let pair: readonly [string, string] = [before, after]
  for (const source of masks) {
    const pattern = new RegExp(source, 'gm')
    const old = [...pair[0].matchAll(pattern)].map(match => match[2])
    const mask = (text: string, maskFor: (secret: string, at: number) => string) => {
      let at = 0
      return text.replace(pattern, (_whole: string, kept: string, secret: string) => `${kept}${maskFor(secret, at++)}`)
    }
    pair = [
      mask(pair[0], () => MASK),
      mask(pair[1], (secret, at) => (old[at] === undefined || old[at] === secret ? MASK : `${MASK} (changed)`)),
    ]
  }
  return pair
}

function colourDiff(line: string, style: Style): string {
  if (line.startsWith('+++') || line.startsWith('---')) return style.dim(line)
  if (line.startsWith('@@')) return style.cyan(line)
  if (line.startsWith('+')) return style.green(line)
  return line.startsWith('-') ? style.red(line) : line
}

/** The plan as the last line of --json: `changed` lists every action. */
export function planServers(plan: Plan): { readonly name: string; readonly changed: readonly string[]; readonly unchanged: number }[] {
  return plan.servers.map(({ server, actions, unchanged }) => ({
    name: server,
    changed: actions.map(action => action.id),
    unchanged: unchanged.length,
  }))
}

/** One object per change for --json, diffs masked. */
export function planObjects(plan: Plan): Record<string, unknown>[] {
  return plan.servers.flatMap(({ server, actions }) =>
    actions.map(action => ({
      event: 'change',
      server,
      id: action.id,
      action: action.kind,
      title: actionTitle(action),
      reason: action.reason,
      diff: renderDiff(action).join('\n'),
    })),
  )
}
