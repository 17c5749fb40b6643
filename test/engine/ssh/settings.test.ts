import { describe, expect, test } from 'vitest'
import type { SettingsDeps } from '../../../src/engine/ssh/settings.ts'
import { createSettings } from '../../../src/engine/ssh/settings.ts'
import type { ConnectTarget, LocalCommand } from '../../../src/ports.ts'
import { failureOf } from '../../support/thrown.ts'

const target = (more: Partial<ConnectTarget> = {}): ConnectTarget => ({
  server: 'srv-1',
  host: 'srv-1.example.com',
  hostKeyChecking: 'strict',
  become: true,
  inventoryPath: 'servers[0]',
  connectTimeoutMs: 1_000,
  ...more,
})

const noSsh: LocalCommand = () => Promise.reject(Object.assign(new Error('spawn ssh ENOENT'), { code: 'ENOENT' }))

/** An ssh that answers with these lines, by the host it is asked about. */
function sshThatSays(answers: Readonly<Record<string, string>>): { asked: string[]; run: LocalCommand } {
  const asked: string[] = []
  return {
    asked,
    run: argv => {
      asked.push(argv.join(' '))
      return Promise.resolve({ code: 0, stdout: answers[argv.at(-1) ?? ''] ?? '', stderr: '' })
    },
  }
}

const hopsOf = (target: ConnectTarget, run: LocalCommand = noSsh, more: Partial<SettingsDeps> = {}) =>
  createSettings({ env: {}, home: '/home/op', localUser: 'op', localCommand: run, ...more })(target)

describe('without an ssh client', () => {
  test("OpenSSH's defaults apply", async () => {
    expect(await hopsOf(target(), noSsh, { env: { SSH_AUTH_SOCK: '/run/agent' } })).toEqual([
      {
        alias: 'srv-1.example.com',
        host: 'srv-1.example.com',
        port: 22,
        user: 'op',
        identityFiles: ['/home/op/.ssh/id_ed25519', '/home/op/.ssh/id_ecdsa', '/home/op/.ssh/id_rsa'],
        identityIsExplicit: false,
        identitiesOnly: false,
        certificateFiles: [],
        agent: '/run/agent',
        userKnownHosts: ['/home/op/.ssh/known_hosts'],
        globalKnownHosts: ['/etc/ssh/ssh_known_hosts'],
        hostKeyAlias: undefined,
        hashKnownHosts: false,
        family: 0,
      },
    ])
  })

  test('a local command that reports a missing program by 127 counts as no ssh client', async () => {
    const [hop] = await hopsOf(target(), () => Promise.resolve({ code: 127, stdout: '', stderr: 'ssh: not found' }))
    expect(hop?.user).toBe('op')
  })
})

describe('with ssh_config', () => {
  const config = `host srv-1.example.com
user deploy
hostname 192.0.2.11
port 2222
identitiesonly yes
identityfile ~/.ssh/edge
certificatefile ~/.ssh/edge-cert.pub
identityfile %d/.ssh/%h-%r
identityagent \${XDG_RUNTIME_DIR}/agent
userknownhostsfile ~/.ssh/known_hosts /home/op/.ssh/known_hosts2
globalknownhostsfile /etc/ssh/ssh_known_hosts
hostkeyalias edge
hashknownhosts yes
addressfamily inet6
stricthostkeychecking false
`

  test('what the inventory leaves open is taken from it, except the checking of host keys', async () => {
    const { run } = sshThatSays({ 'srv-1.example.com': config })
    expect(await hopsOf(target(), run, { env: { XDG_RUNTIME_DIR: '/run/op', SSH_AUTH_SOCK: '/other' } })).toMatchObject([
      {
        host: '192.0.2.11',
        port: 2222,
        user: 'deploy',
        identityFiles: ['/home/op/.ssh/edge', '/home/op/.ssh/192.0.2.11-deploy'],
        identitiesOnly: true,
        certificateFiles: ['/home/op/.ssh/edge-cert.pub'],
        agent: '/run/op/agent',
        userKnownHosts: ['/home/op/.ssh/known_hosts', '/home/op/.ssh/known_hosts2'],
        globalKnownHosts: ['/etc/ssh/ssh_known_hosts'],
        hostKeyAlias: 'edge',
        hashKnownHosts: true,
        family: 6,
      },
    ])
  })

  test('the inventory takes precedence, and ssh cannot read its words as options', async () => {
    const { run, asked } = sshThatSays({ 'srv-1.example.com': config })
    const hops = await hopsOf(target({ user: 'ops', port: 22, identityFile: '/keys/id', knownHosts: '/keys/known' }), run)
    expect(hops).toMatchObject([
      {
        user: 'ops',
        port: 22,
        identityFiles: ['/keys/id'],
        identityIsExplicit: true,
        userKnownHosts: ['/keys/known'],
      },
    ])
    expect(asked).toEqual(['ssh -G -l ops -p 22 -- srv-1.example.com'])
  })

  test('it reads the config file that it is given', async () => {
    const { run, asked } = sshThatSays({})
    await hopsOf(target(), run, { configFile: '/home/op/.ssh/config' })
    expect(asked).toEqual(['ssh -G -F /home/op/.ssh/config -- srv-1.example.com'])
  })

  test('it is asked once for each host, user and port', async () => {
    const { run, asked } = sshThatSays({})
    const settings = createSettings({ env: {}, home: '/home/op', localUser: 'op', localCommand: run })
    await Promise.all([settings(target()), settings(target())])
    await settings(target({ user: 'ops' }))
    expect(asked).toHaveLength(2)
  })

  test.for<[string, string | undefined]>([
    ['none', undefined],
    ['SSH_AUTH_SOCK', '/env'],
    ['$OTHER', '/other'],
    ['~/agent.sock', '/home/op/agent.sock'],
  ])('identityagent %s', async ([setting, agent]) => {
    const { run } = sshThatSays({ 'srv-1.example.com': `identityagent ${setting}\n` })
    const [hop] = await hopsOf(target(), run, { env: { SSH_AUTH_SOCK: '/env', OTHER: '/other' } })
    expect(hop?.agent).toBe(agent)
  })

  test('warnings of ssh are passed on', async () => {
    const failure = await failureOf(
      hopsOf(target(), () => Promise.resolve({ code: 255, stdout: '', stderr: '~/.ssh/config line 3: Bad configuration option: usr\n' })),
    )
    expect(failure).toMatchObject({
      code: 'E_SSH_CONFIG',
      server: 'srv-1',
      why: ['~/.ssh/config line 3: Bad configuration option: usr'],
    })
  })

  test('a ProxyCommand is refused, unless the inventory names a jump host', async () => {
    const { run } = sshThatSays({ 'srv-1.example.com': 'proxycommand nc %h %p\n' })
    expect(await failureOf(hopsOf(target(), run))).toMatchObject({ code: 'E_SSH_CONFIG' })
    expect(await hopsOf(target({ proxyJump: 'bastion.example.com' }), run)).toHaveLength(2)
  })
})

describe('jump hosts', () => {
  test.for<[string, { user?: string; host: string; port: number }[]]>([
    ['bastion.example.com', [{ host: 'bastion.example.com', port: 22 }]],
    ['ops@bastion.example.com:2222', [{ user: 'ops', host: 'bastion.example.com', port: 2222 }]],
    ['ssh://ops@192.0.2.1:2222', [{ user: 'ops', host: '192.0.2.1', port: 2222 }]],
    ['ops@[2001:db8::1]:2222', [{ user: 'ops', host: '2001:db8::1', port: 2222 }]],
    ['2001:db8::1', [{ host: '2001:db8::1', port: 22 }]],
    [
      'a, b:2222',
      [
        { host: 'a', port: 22 },
        { host: 'b', port: 2222 },
      ],
    ],
    ['none', []],
  ])('%s', async ([proxyJump, jumps]) => {
    const hops = await hopsOf(target({ proxyJump }))
    expect(hops.slice(0, -1)).toMatchObject(jumps)
    expect(hops.at(-1)?.host).toBe('srv-1.example.com')
  })

  test('each has settings of its own, and the first may itself be behind others, as with ssh -J', async () => {
    const { run } = sshThatSays({
      'srv-1.example.com': 'proxyjump a,b\n',
      a: 'hostname 192.0.2.1\nuser anna\nproxyjump outer\n',
      b: 'hostname 192.0.2.2\nproxyjump ignored\n',
      outer: 'hostname 192.0.2.3\n',
    })
    expect((await hopsOf(target(), run)).map(h => `${h.user}@${h.host}`)).toEqual([
      'op@192.0.2.3',
      'anna@192.0.2.1',
      'op@192.0.2.2',
      'op@srv-1.example.com',
    ])
  })

  test('a key named in the inventory is for the jump host too, beside those of its own', async () => {
    const [jump, last] = await hopsOf(target({ proxyJump: 'a', identityFile: '/keys/id' }))
    expect(jump?.identityFiles.slice(0, 2)).toEqual(['/keys/id', '/home/op/.ssh/id_ed25519'])
    expect(last?.identityFiles).toEqual(['/keys/id'])
  })

  test('a loop ends with an error', async () => {
    const { run } = sshThatSays({ 'srv-1.example.com': 'proxyjump a\n', a: 'proxyjump b\n', b: 'proxyjump a\n' })
    expect(await failureOf(hopsOf(target(), run))).toMatchObject({ code: 'E_SSH_CONFIG' })
  })
})

describe('words that ssh or a shell could misread are refused', () => {
  test.for<Partial<ConnectTarget>>([
    { host: '-oProxyCommand=id' },
    { host: 'a b' },
    { host: 'a;id' },
    { host: '$(id)' },
    { host: 'a\nb' },
    { host: '' },
    { user: '-l' },
    { user: 'a b' },
    { user: 'a;id' },
    { user: '' },
    { port: 0 },
    { port: 65_536 },
    { port: 22.5 },
    { proxyJump: '-oProxyCommand=id' },
    { proxyJump: 'a@-b' },
    { proxyJump: 'a:99999' },
    { proxyJump: 'a b' },
    { proxyJump: '' },
  ])('%j', async more => {
    const { run, asked } = sshThatSays({})
    expect((await failureOf(hopsOf(target(more), run))).code).toBe('E_SSH_CONFIG')
    expect(asked.join()).not.toMatch(/ProxyCommand|id$/)
  })
})

test('a missing ssh is reported once, because ssh_config is then not read', async () => {
  let told = 0
  const onNoSsh = async () => void (told += 1)
  const settings = createSettings({ env: {}, home: '/home/op', localUser: 'op', localCommand: noSsh, onNoSsh })
  await Promise.all([settings(target()), settings(target({ host: 'srv-2.example.com' }))])
  expect(told).toBe(1)
})

test('without an inventory, a wrong setting is named as it was given', async () => {
  const given = { host: 'the host on the command line', 'ssh.user': '', 'ssh.port': '', 'ssh.identity_file': '', 'ssh.proxy_jump': '' }
  expect((await failureOf(hopsOf(target({ host: '-bad' })))).fix).toBe('correct servers[0].host')
  expect((await failureOf(hopsOf(target({ host: '-bad', given })))).fix).toBe('correct the host on the command line')
})
