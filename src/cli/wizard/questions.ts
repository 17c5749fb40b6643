/** The wizard's questions: as few as possible, for what the flags left open. The answers are values; nothing is written here. */
import type { Answer, AnsweredBackend, AnsweredServer } from '../../app/answers.ts'
import type { AnsweredHaproxy, SetupAnswers } from '../../app/setup.ts'
import type { Flags } from '../flags.ts'
import { usageError } from '../flags.ts'
import type { Discovered } from './discover.ts'
import type { Prompter } from './prompter.ts'

/** The grammar of the answers, from the app layer, with which it is loaded. */
export interface AnswerGrammar {
  readonly server: (text: string, at: number) => Answer<AnsweredServer>
  readonly backend: (text: string, at: number) => Answer<AnsweredBackend>
  readonly problem: Readonly<
    Record<'vip' | 'interface' | 'cluster' | 'user' | 'path' | 'bind' | 'email', (text: string) => string | undefined>
  >
}

/** The values of the flags; undefined or empty where a flag was not given. Throws E_USAGE for what no inventory may hold. */
export function answersFromFlags(flags: Flags, grammar: AnswerGrammar): Partial<SetupAnswers> & { readonly haproxy?: AnsweredHaproxy } {
  const checked = (flag: string, kind: keyof AnswerGrammar['problem'], text: string | undefined) => {
    const problem = text === undefined ? undefined : grammar.problem[kind](text)
    if (problem !== undefined) throw usageError(`${flag}: ${problem}`, 'hactl setup --help shows examples')
    return text
  }
  const all = (flag: string, kind: keyof AnswerGrammar['problem'], texts: readonly string[]) => {
    for (const text of texts) checked(flag, kind, text)
    return texts
  }
  const profile = flags.text('profile')
  const haproxy = haproxyFromFlags(
    flags,
    grammar,
    all('--bind', 'bind', flags.list('bind')),
    checked('--config', 'path', flags.text('config')),
  )
  return {
    servers: parseList(flags.list('server'), grammar.server, '--server'),
    vips: all('--vip', 'vip', flags.list('vip')),
    ...(haproxy === undefined ? {} : { haproxy }),
    cluster: checked('--cluster', 'cluster', flags.text('cluster')),
    profile: profile === 'fast' || profile === 'classic' ? profile : undefined,
    interface: checked('--interface', 'interface', flags.text('interface')),
    virtualRouterId: flags.number('vrid'),
    sshUser: checked('--ssh-user', 'user', flags.text('sshUser')),
    identityFile: checked('--identity-file', 'path', flags.text('identityFile')),
    knownHosts: checked('--known-hosts', 'path', flags.text('knownHosts')),
    emails: all('--email', 'email', flags.list('email')),
  }
}

function parseList<T>(texts: readonly string[], parse: (text: string, at: number) => Answer<T>, flag: string): T[] {
  return texts.map((text, at) => {
    const answer = parse(text, at)
    if ('problem' in answer) throw usageError(`${flag}: ${answer.problem}`, 'hactl setup --help shows examples')
    return answer.value
  })
}

const DEFAULT_BIND = [':80']

function haproxyFromFlags(
  flags: Flags,
  grammar: AnswerGrammar,
  bind: readonly string[],
  config: string | undefined,
): AnsweredHaproxy | undefined {
  const servers = parseList(flags.list('backend'), grammar.backend, '--backend')
  const mode = flags.text('mode') === 'tcp' ? 'tcp' : 'http'
  if (config !== undefined) {
    if (servers.length > 0 || bind.length > 0) throw usageError('--config excludes --backend and --bind', 'your own haproxy.cfg sets both')
    return { kind: 'config', path: config }
  }
  if (servers.length > 0) return { kind: 'backends', bind: bind.length > 0 ? bind : DEFAULT_BIND, mode, servers }
  return bind.length > 0 ? { kind: 'self', bind } : undefined
}

/** The flags to give for what is missing where nobody can be asked. */
export function missingFlags(given: Partial<SetupAnswers>): string[] {
  const servers = given.servers?.length ?? 0
  return [
    ...(servers < 2 ? [`--server NAME=HOST (${servers === 0 ? 'two or more' : 'at least one more'})`] : []),
    ...((given.vips?.length ?? 0) === 0 ? ['--vip ADDRESS/PREFIX'] : []),
  ]
}

/** With --yes no question is asked that has a default. */
export function withDefaults(given: Partial<SetupAnswers>, found: Discovered): SetupAnswers {
  return {
    servers: given.servers ?? [],
    vips: given.vips ?? [],
    haproxy: given.haproxy ?? (found.hasHaproxyConfig ? { kind: 'config', path: 'haproxy.cfg' } : { kind: 'self', bind: DEFAULT_BIND }),
    cluster: given.cluster,
    profile: given.profile,
    interface: given.interface,
    virtualRouterId: given.virtualRouterId,
    sshUser: given.sshUser,
    identityFile: given.identityFile,
    knownHosts: given.knownHosts,
    emails: given.emails ?? [],
  }
}

/** Asks for what the flags left open. */
export async function askAnswers(
  given: Partial<SetupAnswers>,
  found: Discovered,
  grammar: AnswerGrammar,
  prompter: Prompter,
): Promise<SetupAnswers> {
  const servers = (given.servers?.length ?? 0) >= 2 ? given.servers : await askServers(found, grammar, prompter)
  const vips = (given.vips?.length ?? 0) > 0 ? given.vips : await askVip(grammar, prompter)
  const haproxy = given.haproxy ?? (await askHaproxy(found, grammar, prompter))
  const sshUser = given.sshUser ?? (await askUser(found, grammar, prompter))
  const identityFile = given.identityFile ?? (await askKey(found, prompter))
  return {
    ...withDefaults(given, found),
    ...(servers === undefined ? {} : { servers }),
    ...(vips === undefined ? {} : { vips }),
    haproxy,
    sshUser,
    identityFile,
  }
}

const words = (text: string) => text.split(/[\s,]+/).filter(word => word !== '')

const SHOWN_HOSTS = 6

async function askServers(found: Discovered, grammar: AnswerGrammar, prompter: Prompter): Promise<readonly AnsweredServer[]> {
  const known = found.hosts.length === 0 ? '' : ` (ssh knows ${found.hosts.slice(0, SHOWN_HOSTS).join(', ')})`
  const text = await prompter.input({
    message: `Servers, separated by spaces; the first is master${known}:`,
    problem: answer => serversProblem(words(answer).map((word, at) => grammar.server(word, at))),
  })
  return parseList(words(text), grammar.server, '--server')
}

function serversProblem(answers: readonly Answer<AnsweredServer>[]): string | undefined {
  const names = new Set<string>()
  const hosts = new Set<string>()
  for (const answer of answers) {
    if ('problem' in answer) return answer.problem
    const { name, host } = answer.value
    if (names.has(name)) return `two servers are called ${name}: write name=host`
    if (hosts.has(host)) return `${host} is listed twice`
    names.add(name)
    hosts.add(host)
  }
  return answers.length >= 2 ? undefined : 'failover needs at least two servers; each is HOST, NAME=HOST or NAME=USER@HOST:PORT'
}

async function askVip(grammar: AnswerGrammar, prompter: Prompter): Promise<readonly string[]> {
  const text = await prompter.input({
    message: 'Virtual address, with the prefix of its network (192.0.2.200/24):',
    problem: answer =>
      words(answer).length === 0
        ? 'give at least one address'
        : words(answer)
            .map(grammar.problem.vip)
            .find(p => p !== undefined),
  })
  return words(text)
}

async function askHaproxy(found: Discovered, grammar: AnswerGrammar, prompter: Prompter): Promise<AnsweredHaproxy> {
  const kind = await prompter.select({
    message: 'What should HAProxy do?',
    choices: [
      { value: 'backends', label: 'balance requests to my servers on port 80' },
      { value: 'config', label: found.hasHaproxyConfig ? 'what haproxy.cfg here says' : 'what a haproxy.cfg of mine says' },
      { value: 'self', label: 'answer by itself for now', about: 'a cluster to try failover with; backends can be added later' },
    ],
    fallback: found.hasHaproxyConfig ? 'config' : 'backends',
  })
  if (kind === 'self') return { kind, bind: DEFAULT_BIND }
  if (kind === 'config') {
    if (found.hasHaproxyConfig) return { kind, path: 'haproxy.cfg' }
    return {
      kind,
      path: await prompter.input({
        message: 'Path of that file, relative to the inventory:',
        fallback: 'haproxy.cfg',
        problem: grammar.problem.path,
      }),
    }
  }
  const text = await prompter.input({
    message: 'Servers behind HAProxy (address:port or name=address:port):',
    problem: answer => {
      const answers = words(answer).map((word, at) => grammar.backend(word, at))
      if (answers.length === 0) return 'give at least one server'
      return answers.map(one => ('problem' in one ? one.problem : undefined)).find(p => p !== undefined)
    },
  })
  return { kind: 'backends', bind: DEFAULT_BIND, mode: 'http', servers: parseList(words(text), grammar.backend, '--backend') }
}

async function askUser(found: Discovered, grammar: AnswerGrammar, prompter: Prompter): Promise<string | undefined> {
  const whoSsh = found.user === undefined ? 'the user that ssh would choose' : `as ssh would, usually ${found.user}`
  const text = await prompter.input({
    message: `User to log in as, root or one with sudo (empty: ${whoSsh}):`,
    problem: answer => (answer === '' ? undefined : grammar.problem.user(answer)),
  })
  return text === '' ? undefined : text
}

async function askKey(found: Discovered, prompter: Prompter): Promise<string | undefined> {
  if (found.keys.length === 0) return undefined
  const key = await prompter.select({
    message: 'Key to log in with:',
    choices: [{ value: '', label: 'as ssh would choose (ssh_config, agent)' }, ...found.keys.map(path => ({ value: path, label: path }))],
    fallback: '',
  })
  return key === '' ? undefined : key
}
