/** The wizard's inventory as text: what was answered, and beside it what an operator may want to change next. */
import { familyOf } from '../inventory/address.ts'
import type { SetupAnswers } from './setup.ts'

/** Every value went through the inventory's grammar before; quoting here keeps YAML from reading more into it. */
export function renderAnswers(answers: SetupAnswers): string {
  const lines = [
    '# What hactl sets up and proves. `hactl check` explains it, `hactl plan` shows what it would change.',
    ...(answers.cluster === undefined ? [] : [`cluster: ${scalar(answers.cluster)}`]),
    answers.profile === 'classic'
      ? 'profile: classic                   # VRRPv2 with multicast; fast notices a dead haproxy sooner'
      : 'profile: fast                      # classic: VRRPv2 with multicast and a check every 2 s',
    ...sshLines(answers),
    '',
    'servers:                            # the first is master as long as it is healthy',
    ...answers.servers.map(server => `  - ${serverEntry(server)}`),
    '',
    ...emailLines(answers),
    'vrrp_instances:',
    ...instances(answers).flatMap(instance => instanceLines(instance, answers)),
    '',
    ...haproxyLines(answers),
  ]
  return `${lines.join('\n')}\n`
}

function sshLines({ sshUser, identityFile }: SetupAnswers): string[] {
  if (sshUser === undefined && identityFile === undefined) return []
  const user = sshUser === undefined ? [] : [`  user: ${scalar(sshUser)}`]
  const key = identityFile === undefined ? [] : [`  identity_file: ${scalar(identityFile)}`]
  return ['', 'ssh:                                # for all servers; what is not said here comes from ssh_config', ...user, ...key]
}

function serverEntry({ name, host, user, port }: SetupAnswers['servers'][number]): string {
  const ssh = [user === undefined ? [] : `user: ${scalar(user)}`, port === undefined ? [] : `port: ${port}`].flat()
  return `{ name: ${scalar(name)}, host: ${scalar(host)}${ssh.length === 0 ? '' : `, ssh: { ${ssh.join(', ')} }`} }`
}

function emailLines({ emails }: SetupAnswers): string[] {
  if (emails.length === 0) return []
  return ['global_defs:', `  notification_email: [${emails.map(scalar).join(', ')}]`, '']
}

interface Named {
  readonly name: string
  readonly vips: readonly string[]
}

/** One instance per address family: a VRRP packet carries addresses of one family only (RFC 5798, 5.2.9). */
function instances({ vips }: SetupAnswers): Named[] {
  const isV6 = (vip: string) => familyOf(vip.replace(/\/.*$/, '')) === 6
  const groups = [vips.filter(vip => !isV6(vip)), vips.filter(isV6)].filter(group => group.length > 0)
  return groups.map((group, at) => ({ name: `VRRP${at + 1}`, vips: group }))
}

function instanceLines({ name, vips }: Named, answers: SetupAnswers): string[] {
  const [first = ''] = vips
  const derived = answers.virtualRouterId === undefined
  const id = answers.virtualRouterId ?? virtualRouterIdFor(first)
  const why = derived ? `from the end of ${first}; ` : ''
  return [
    `  - name: ${name}`,
    ...(answers.interface === undefined ? [] : [`    interface: ${scalar(answers.interface)}`]),
    `    virtual_router_id: ${id}${' '.repeat(Math.max(1, 13 - String(id).length))}# 1 to 255: ${why}no other VRRP on this network may use it`,
    `    virtual_ipaddress: [${vips.map(scalar).join(', ')}]`,
  ]
}

/** The last part of the address, so that two clusters on one network differ without anybody keeping a list; 1 to 255. */
export function virtualRouterIdFor(vip: string): number {
  const address = vip.replace(/\/.*$/, '')
  const last = familyOf(address) === 6 ? Number.parseInt(address.split(':').at(-1) || '1', 16) : Number(address.split('.').at(-1))
  const id = last % 256
  return id >= 1 ? id : 1
}

function haproxyLines({ haproxy }: SetupAnswers): string[] {
  switch (haproxy.kind) {
    case 'config':
      return ['haproxy:', `  config: ${scalar(haproxy.path)}                # shipped as it is, after a check on every server`]
    case 'backends':
      return [
        'haproxy:',
        '  frontends:',
        `    - { name: web, bind: [${haproxy.bind.map(quoted).join(', ')}], mode: ${haproxy.mode}, default_backend: app }`,
        '  backends:',
        '    - name: app',
        ...(haproxy.mode === 'tcp' ? ['      mode: tcp'] : []),
        '      balance: roundrobin',
        '      servers:',
        ...haproxy.servers.map(server => `        - { name: ${scalar(server.name)}, address: ${quoted(server.address)}, check: true }`),
      ]
    case 'self':
      return [
        'haproxy:',
        '  frontends:',
        '    # Answers by itself until there are backends: add them, and default_backend here, or use config: haproxy.cfg instead.',
        `    - { name: web, bind: [${haproxy.bind.map(quoted).join(', ')}], mode: http, lines: ["http-request return status 200 content-type text/plain string ok"] }`,
      ]
  }
}

const quoted = (text: string) => JSON.stringify(text)

// Words that YAML 1.1 or 1.2 readers take for something else than text.
const NOT_TEXT = /^(true|false|yes|no|on|off|y|n|null|~)$/i

function scalar(text: string): string {
  const isPlain = /^[A-Za-z0-9~/][A-Za-z0-9._/@+~-]*$/.test(text) && Number.isNaN(Number(text)) && !NOT_TEXT.test(text)
  return isPlain ? text : quoted(text)
}
