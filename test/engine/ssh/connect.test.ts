import { existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { connectError } from '../../../src/engine/ssh/failure.ts'
import { fingerprint } from '../../../src/engine/ssh/known-hosts.ts'
import type { SshRemoteDeps } from '../../../src/engine/ssh/node-ssh.ts'
import { createSshRemote } from '../../../src/engine/ssh/node-ssh.ts'
import { sh } from '../../../src/shell/sh.ts'
import { HactlError } from '../../../src/errors.ts'
import type { AskPassphrase, ConnectTarget, Session } from '../../../src/ports.ts'
import { Secret } from '../../../src/secret.ts'
import type { Controller, KeyPair, SshServer, SshServerOptions } from '../../support/ssh-server.ts'
import { knownHostsLine, makeController, makeKey, startAgent, startListingAgent, startSshServer } from '../../support/ssh-server.ts'
import { failureOf } from '../../support/thrown.ts'

const userKey = makeKey()
const otherKey = makeKey()
const hostKey = makeKey()
const rsaHostKey = makeKey('rsa')

const plainHop = {
  alias: 'srv-1.example.com',
  host: 'srv-1.example.com',
  port: 22,
  user: 'root',
  identityFiles: [],
  identityIsExplicit: false,
  identitiesOnly: false,
  certificateFiles: [],
  agent: undefined,
  userKnownHosts: [],
  globalKnownHosts: [],
  hostKeyAlias: undefined,
  hashKnownHosts: false,
  family: 0,
} as const

let controller: Controller
const cleanups: (() => unknown)[] = []

beforeEach(() => {
  controller = makeController()
})

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  controller.remove()
})

async function serve(options: SshServerOptions = {}): Promise<SshServer> {
  const server = await startSshServer({ hostKeys: [hostKey], authorized: [userKey], ...options })
  cleanups.push(() => server.close())
  return server
}

/** Makes the operator's machine know the server and hold a key for it. */
function setUp(server: SshServer, key: KeyPair = userKey): void {
  controller.sshFile('known_hosts', server.hostKeys.map(k => knownHostsLine(server.port, k)).join(''))
  controller.sshFile('id_ed25519', key.private)
}

async function connect(server: { port: number }, target: Partial<ConnectTarget> = {}, deps: Partial<SshRemoteDeps> = {}): Promise<Session> {
  const session = await createSshRemote({ ...controller.deps, ...deps }).connect(controller.target(server, target))
  cleanups.push(() => session.close())
  return session
}

const textOf = (error: HactlError) => [error.message, ...error.why, error.fix].join('\n')
const blob = (key: KeyPair) => key.parsed.getPublicSSH()

test('a session has the address of the server and of the controller', async () => {
  const server = await serve()
  setUp(server)
  const session = await connect(server)
  expect(session).toMatchObject({ server: 'srv-1', peer: `127.0.0.1:${server.port}`, localAddress: '127.0.0.1' })
  expect((await session.run(sh`echo hi`, { effect: 'none', label: 'greet', deadlineMs: 5_000 })).stdout).toBe('hi\n')
})

describe('host keys', () => {
  test('a changed key is refused before any login, with both fingerprints, the line, and the fix', async () => {
    const server = await serve()
    setUp(server)
    controller.sshFile('known_hosts', `# mine\n${knownHostsLine(server.port, otherKey)}`)
    const failure = await failureOf(connect(server))
    expect(failure).toMatchObject({ code: 'E_SSH_HOST_KEY', server: 'srv-1' })
    expect(textOf(failure)).toContain(`known    ssh-ed25519 ${fingerprint(blob(otherKey))} (~/.ssh/known_hosts:2)`)
    expect(textOf(failure)).toContain(`offered  ssh-ed25519 ${fingerprint(blob(hostKey))}`)
    expect(failure.fix).toContain(`ssh-keygen -R '[127.0.0.1]:${server.port}'`)
    expect(server.offered).toEqual([])
  })

  test('an unknown host is refused with strict, with the key that it offered and how to add it', async () => {
    const server = await serve()
    setUp(server)
    rmSync(controller.knownHosts)
    const failure = await failureOf(connect(server))
    expect(failure.message).toBe(`the host key of [127.0.0.1]:${server.port} is not known`)
    expect(failure.why[0]).toBe(`offered  ssh-ed25519 ${fingerprint(blob(hostKey))}`)
    expect(failure.fix).toContain(`ssh-keyscan -p ${server.port} 127.0.0.1 >> ~/.ssh/known_hosts`)
    expect(failure.fix).toContain('host_key_checking: accept-new')
    expect(existsSync(controller.knownHosts)).toBe(false)
  })

  test('accept-new stores an unknown key once, readable for the operator only, and accepts it from then on', async () => {
    const server = await serve()
    setUp(server)
    rmSync(join(controller.home, '.ssh/known_hosts'))
    const knownHosts = join(controller.home, 'new/.ssh/known_hosts')
    const remote = createSshRemote(controller.deps)
    const target = controller.target(server, { hostKeyChecking: 'accept-new', knownHosts })
    const sessions = await Promise.all([remote.connect(target), remote.connect(target), remote.connect(target)])
    await Promise.all(sessions.map(s => s.close()))
    expect(readFileSync(knownHosts, 'utf8')).toBe(knownHostsLine(server.port, hostKey))
    expect(statSync(knownHosts).mode & 0o777).toBe(0o600)
    expect(statSync(join(controller.home, 'new/.ssh')).mode & 0o777).toBe(0o700)
    await connect(server, { knownHosts })
  })

  test('accept-new appends to a file without a last newline, hashed where ssh_config says so', async () => {
    const server = await serve()
    setUp(server)
    controller.sshFile('known_hosts', knownHostsLine(1, otherKey).trimEnd())
    const localCommand = () => Promise.resolve({ code: 0, stdout: 'hashknownhosts yes\n', stderr: '' })
    await connect(server, { hostKeyChecking: 'accept-new' }, { localCommand })
    const lines = readFileSync(controller.knownHosts, 'utf8').split('\n')
    expect(lines[0]).toBe(knownHostsLine(1, otherKey).trimEnd())
    expect(lines[1]).toMatch(/^\|1\|[^ ]+ ssh-ed25519 /)
    await connect(server)
  })

  test('accept-new never replaces a known key: neither by another key nor by a key of another type', async () => {
    const server = await serve()
    setUp(server)
    for (const known of [otherKey, rsaHostKey]) {
      controller.sshFile('known_hosts', knownHostsLine(server.port, known))
      expect((await failureOf(connect(server, { hostKeyChecking: 'accept-new' }))).code).toBe('E_SSH_HOST_KEY')
      expect(readFileSync(controller.knownHosts, 'utf8')).toBe(knownHostsLine(server.port, known))
    }
  })

  test('accept-new accepts no key where keys are not kept: any later key would be accepted as well', async () => {
    const server = await serve()
    setUp(server)
    const localCommand = () => Promise.resolve({ code: 0, stdout: 'userknownhostsfile /dev/null\n', stderr: '' })
    for (const knownHosts of [undefined, '/dev/null']) {
      const target = { hostKeyChecking: 'accept-new', ...(knownHosts === undefined ? {} : { knownHosts }) } as const
      const failure = await failureOf(connect(server, target, { localCommand }))
      expect(failure).toMatchObject({ code: 'E_SSH_HOST_KEY', message: `the host key of [127.0.0.1]:${server.port} is not known` })
      expect(failure.fix).toContain('set servers[0].ssh.known_hosts')
    }
  })

  test('a new key that cannot be stored is not accepted', async () => {
    const server = await serve()
    setUp(server)
    controller.sshFile('blocked', '')
    const knownHosts = join(controller.home, '.ssh/blocked/known_hosts')
    const failure = await failureOf(
      connect(
        server,
        { hostKeyChecking: 'accept-new', knownHosts },
        {
          files: {
            ...controller.deps.files,
            read: path => (path === knownHosts ? Promise.resolve(undefined) : controller.deps.files.read(path)),
          },
        },
      ),
    )
    expect(failure.message).toContain('cannot be written')
  })

  test('a host that is known by its RSA key is asked for that one', async () => {
    const server = await serve({ hostKeys: [hostKey, rsaHostKey] })
    setUp(server)
    controller.sshFile('known_hosts', knownHostsLine(server.port, rsaHostKey))
    expect((await connect(server)).peer).toBe(`127.0.0.1:${server.port}`)
  })

  test('a revoked key is refused, and an authority is not taken for a key', async () => {
    const server = await serve()
    setUp(server)
    controller.sshFile('known_hosts', `${knownHostsLine(server.port, hostKey)}@revoked ${knownHostsLine(server.port, hostKey)}`)
    expect((await failureOf(connect(server, { hostKeyChecking: 'accept-new' }))).message).toContain('revoked')
    controller.sshFile('known_hosts', `@cert-authority ${knownHostsLine(server.port, hostKey)}`)
    expect((await failureOf(connect(server))).why.join()).toContain('hactl cannot check host certificates')
  })

  test('a host with a HostKeyAlias is looked up under that name', async () => {
    const server = await serve()
    setUp(server)
    controller.sshFile('known_hosts', knownHostsLine(server.port, hostKey).replace(/^\S+/, 'edge'))
    expect(
      (await connect(server, {}, { localCommand: () => Promise.resolve({ code: 0, stdout: 'hostkeyalias edge\n', stderr: '' }) })).peer,
    ).toBe(`127.0.0.1:${server.port}`)
    controller.sshFile('known_hosts', '')
    // ssh-keyscan prints the address.
    const failure = await failureOf(
      connect(server, {}, { localCommand: () => Promise.resolve({ code: 0, stdout: 'hostkeyalias edge\n', stderr: '' }) }),
    )
    expect(failure.fix).toContain(`ssh-keyscan -p ${server.port} 127.0.0.1 | sed 's/^[^ ]*/edge/' >> ~/.ssh/known_hosts`)
  })
})

describe('keys', () => {
  test('a refusal says what was tried, where, and what to do', async () => {
    const server = await serve()
    setUp(server, otherKey)
    const agent = await startAgent(controller.home, [makeKey(), makeKey()])
    cleanups.push(agent.close)
    const failure = await failureOf(
      connect(server, { user: 'deploy', identityFile: join(controller.home, '.ssh/id_ed25519') }, { env: { SSH_AUTH_SOCK: agent.socket } }),
    )
    expect(failure).toMatchObject({
      code: 'E_SSH_AUTH',
      server: 'srv-1',
      message: 'the server refused every key offered for user "deploy"',
      why: [`tried ~/.ssh/id_ed25519 and 2 keys from the agent (127.0.0.1:${server.port})`],
      fix: `ssh-copy-id -p ${server.port} deploy@127.0.0.1, or set servers[0].ssh.identity_file in inventory.yml`,
    })
  })

  test("the agent's keys come before those of default files, and no key is offered twice", async () => {
    const server = await serve({ authorized: [] })
    setUp(server, userKey)
    const agent = await startAgent(controller.home, [otherKey, userKey])
    cleanups.push(agent.close)
    const failure = await failureOf(connect(server, {}, { env: { SSH_AUTH_SOCK: agent.socket } }))
    expect(server.offered).toEqual([userKey, otherKey].map(k => `root ${blob(k).toString('base64')}`))
    expect(failure.why[0]).toContain('tried 2 keys from the agent')
  })

  test('IdentitiesOnly keeps other keys of the agent out', async () => {
    const server = await serve({ authorized: [] })
    setUp(server, userKey)
    const agent = await startAgent(controller.home, [otherKey, userKey])
    cleanups.push(agent.close)
    const localCommand = () => Promise.resolve({ code: 0, stdout: `identitiesonly yes\nidentityfile ~/.ssh/id_ed25519\n`, stderr: '' })
    await failureOf(connect(server, {}, { env: { SSH_AUTH_SOCK: agent.socket }, localCommand }))
    expect(server.offered).toEqual([`root ${blob(userKey).toString('base64')}`])
  })

  test('an encrypted key works through the agent, without its passphrase', async () => {
    const locked = makeKey('ed25519', 'open sesame')
    const server = await serve({ authorized: [locked] })
    setUp(server, locked)
    const agent = await startAgent(controller.home, [locked])
    cleanups.push(agent.close)
    expect((await connect(server, {}, { env: { SSH_AUTH_SOCK: agent.socket } })).peer).toBe(`127.0.0.1:${server.port}`)
  })

  test('an encrypted key that nobody unlocks is passed over, with the reason', async () => {
    const server = await serve()
    setUp(server, makeKey('ed25519', 'open sesame'))
    const failure = await failureOf(connect(server, { user: 'deploy' }))
    expect(failure.message).toBe('there is no key to offer for user "deploy"')
    expect(failure.why).toContain('not tried: ~/.ssh/id_ed25519 is encrypted, and no agent holds it: ssh-add ~/.ssh/id_ed25519')
  })

  /** A Remote with an operator who gives these answers in turn, and what they were asked. */
  const withOperator = (answers: readonly (string | undefined)[], deps: Partial<SshRemoteDeps> = {}) => {
    const asked: string[] = []
    const askPassphrase: AskPassphrase = async (path, isAgain) => {
      asked.push(`${path.slice(controller.home.length + 1)}${isAgain ? ' again' : ''}`)
      const answer = answers[asked.length - 1]
      return answer === undefined ? undefined : new Secret(answer)
    }
    const remote = createSshRemote({ ...controller.deps, ...deps })
    return { asked, connect: (server: SshServer) => remote.connect(controller.target(server, { askPassphrase })) }
  }

  test('a passphrase is asked for once, for as many connections as there are', async () => {
    const locked = makeKey('ed25519', 'open sesame')
    const server = await serve({ authorized: [locked] })
    setUp(server, locked)
    const operator = withOperator(['open sesame'])
    const sessions = await Promise.all([1, 2].map(() => operator.connect(server)))
    sessions.push(await operator.connect(server))
    await Promise.all(sessions.map(s => s.close()))
    expect(operator.asked).toEqual(['.ssh/id_ed25519'])
  })

  test('a wrong passphrase is asked for again', async () => {
    const locked = makeKey('ed25519', 'open sesame')
    const server = await serve({ authorized: [locked] })
    setUp(server, locked)
    const operator = withOperator(['open sesam', 'open sesame'])
    await (await operator.connect(server)).close()
    expect(operator.asked).toEqual(['.ssh/id_ed25519', '.ssh/id_ed25519 again'])
  })

  test('after three wrong passphrases the key is passed over, with the reason and a fix', async () => {
    const locked = makeKey('ed25519', 'open sesame')
    const server = await serve({ authorized: [locked] })
    setUp(server, locked)
    const operator = withOperator(['a wrong one', 'a wrong one', 'a wrong one', 'open sesame'])
    const failure = await failureOf(operator.connect(server))
    expect(failure).toMatchObject({ code: 'E_SSH_AUTH' })
    expect(failure.why).toContain('not tried: ~/.ssh/id_ed25519: its passphrase was wrong 3 times')
    expect(failure.fix).toContain('ssh-add ~/.ssh/id_ed25519')
    expect([failure.message, ...failure.why, failure.fix].join()).not.toContain('a wrong one')
    expect(operator.asked).toHaveLength(3)
  })

  test('an empty answer passes over the key, and the next one is asked for', async () => {
    const locked = makeKey('ecdsa', 'open sesame')
    const server = await serve({ authorized: [locked] })
    setUp(server, makeKey('ed25519', 'something else'))
    controller.sshFile('id_ecdsa', locked.private)
    const operator = withOperator([undefined, 'open sesame'])
    await (await operator.connect(server)).close()
    expect(operator.asked).toEqual(['.ssh/id_ed25519', '.ssh/id_ecdsa'])
  })

  test('no passphrase is asked for where another key works', async () => {
    const server = await serve({ authorized: [userKey] })
    setUp(server, makeKey('ed25519', 'open sesame'))
    controller.sshFile('id_ecdsa', userKey.private)
    const operator = withOperator([])
    await (await operator.connect(server)).close()
    expect(operator.asked).toEqual([])
  })

  test('the passphrase is asked for after the keys of the agent were refused', async () => {
    const locked = makeKey('ed25519', 'open sesame')
    const server = await serve({ authorized: [locked] })
    setUp(server, locked)
    const agent = await startAgent(controller.home, [otherKey])
    cleanups.push(agent.close)
    const operator = withOperator(['open sesame'], { env: { SSH_AUTH_SOCK: agent.socket } })
    await (await operator.connect(server)).close()
    expect(operator.asked).toEqual(['.ssh/id_ed25519'])
  })

  test('the time that the operator takes to answer does not count', async () => {
    const locked = makeKey('ed25519', 'open sesame')
    const server = await serve({ authorized: [locked] })
    setUp(server, locked)
    // A clock that an answer moves on by an hour.
    let nowMs = 0
    const remote = createSshRemote({ ...controller.deps, clock: { now: () => nowMs, monotonic: () => nowMs } })
    const askPassphrase = async () => {
      nowMs += 3_600_000
      return new Secret('open sesame')
    }
    await (await remote.connect(controller.target(server, { askPassphrase }))).close()
    expect(nowMs).toBe(3_600_000)
  })

  test('an interrupt at the question ends the attempt, without a message about keys', async () => {
    const server = await serve()
    setUp(server, makeKey('ed25519', 'open sesame'))
    const interrupt = new HactlError({ code: 'E_INTERRUPTED', what: 'interrupted at a question' })
    const remote = createSshRemote(controller.deps)
    const askPassphrase = () => Promise.reject(interrupt)
    expect(await failureOf(remote.connect(controller.target(server, { askPassphrase })))).toBe(interrupt)
  })

  test('a key that the agent does not sign with does not prevent the next one', async () => {
    const server = await serve({ authorized: [otherKey, userKey] })
    setUp(server)
    const agent = await startAgent(controller.home, [otherKey, userKey], [otherKey])
    cleanups.push(agent.close)
    rmSync(join(controller.home, '.ssh/id_ed25519'))
    expect((await connect(server, {}, { env: { SSH_AUTH_SOCK: agent.socket } })).peer).toBe(`127.0.0.1:${server.port}`)
  })

  test('an agent that does not answer is named, and the files are tried', async () => {
    const server = await serve()
    setUp(server)
    await connect(server, {}, { env: { SSH_AUTH_SOCK: join(controller.home, 'nobody') } })
    setUp(server, otherKey)
    const failure = await failureOf(connect(server, {}, { env: { SSH_AUTH_SOCK: join(controller.home, 'nobody') } }))
    expect(failure.why.join()).toMatch(/the agent at .*nobody does not answer/)
  })

  test('an unusable key is named with the reason', async () => {
    const server = await serve()
    setUp(server)
    const identityFile = controller.sshFile('broken', 'no key at all')
    expect((await failureOf(connect(server, { identityFile }))).why).toContain('not tried: ~/.ssh/broken is not a private key')
    expect((await failureOf(connect(server, { identityFile: join(controller.home, 'gone') }))).why).toContain(
      'not tried: ~/gone does not exist',
    )
  })

  test('the methods of a server that does not accept keys are shown', async () => {
    const server = await serve({ methods: ['password'] })
    setUp(server, otherKey)
    expect((await failureOf(connect(server))).why.join()).toContain('the server lets users in by password only')
  })

  test('a server that accepts the key and wants another factor is not reported as refusing the key', async () => {
    const server = await serve({ wantsMore: ['password'] })
    setUp(server)
    const failure = await failureOf(connect(server, { user: 'deploy' }))
    expect(failure).toMatchObject({ code: 'E_SSH_AUTH' })
    expect(failure.message).toBe('a key alone does not let user "deploy" in: the server wants password as well')
    expect(failure.fix).toContain('AuthenticationMethods')
  })

  test('a server that closes the connection at the login, as sshd does where PAM refuses, counts as reached', async () => {
    const server = await serve({ closesAtLogin: 'System is booting up.\n' })
    setUp(server)
    const failure = await failureOf(connect(server, { user: 'deploy' }))
    expect(failure).toMatchObject({ code: 'E_SSH_AUTH', message: 'the server closed the connection when user "deploy" logged in' })
    expect(failure.why).toContain('the server said: System is booting up.')
    expect(failure.fix).toContain('journalctl -u ssh')
  })

  test('certificates and security keys, which ssh may log in with, are named as not usable by hactl', async () => {
    const server = await serve()
    setUp(server, otherKey)
    controller.sshFile('id_ed25519-cert.pub', 'ssh-ed25519-cert-v01@openssh.com AAAA\n')
    controller.sshFile('token', securityKeyFile())
    const wire = (text: string) => Buffer.concat([Buffer.from([0, 0, 0, text.length]), Buffer.from(text)])
    const agent = await startListingAgent(controller.home, [
      blob(makeKey()),
      wire('ssh-ed25519-cert-v01@openssh.com'),
      wire('sk-ssh-ed25519@openssh.com'),
    ])
    cleanups.push(agent.close)
    const env = { SSH_AUTH_SOCK: agent.socket }
    expect((await failureOf(connect(server, {}, { env }))).why).toEqual([
      `tried 1 key from the agent and ~/.ssh/id_ed25519 (127.0.0.1:${server.port})`,
      'not tried: ssh-ed25519-cert-v01@openssh.com from the agent, a certificate: hactl logs in with plain keys only',
      'not tried: sk-ssh-ed25519@openssh.com from the agent, a security key (FIDO), which hactl cannot use',
      'not tried: ~/.ssh/id_ed25519-cert.pub, a certificate: hactl logs in with plain keys only',
    ])
    const token = join(controller.home, '.ssh/token')
    expect((await failureOf(connect(server, { identityFile: token }))).why).toContain(
      'not tried: ~/.ssh/token is a security key (FIDO), which hactl cannot use',
    )
  })

  test('RSA and ECDSA keys log in as well', async () => {
    for (const kind of ['rsa', 'ecdsa'] as const) {
      const key = makeKey(kind)
      const server = await serve({ authorized: [key] })
      setUp(server)
      expect((await connect(server, { identityFile: controller.sshFile(`id_${kind}`, key.private) })).peer).toBe(`127.0.0.1:${server.port}`)
    }
  })
})

describe('reaching the server', () => {
  test('a refused connection names the address and what to check', async () => {
    const closed = await serve()
    await closed.close()
    cleanups.pop()
    const failure = await failureOf(connect(closed))
    expect(failure).toMatchObject({
      code: 'E_SSH_UNREACHABLE',
      message: `127.0.0.1:${closed.port} cannot be reached`,
      why: ['nothing listens there'],
    })
    expect(failure.fix).toContain('sshd')
  })

  test('a server that accepts the connection and sends nothing fails at the limit', async () => {
    const mute = createServer(() => undefined)
    mute.listen(0, '127.0.0.1')
    await new Promise(resolve => mute.once('listening', resolve))
    cleanups.push(() => mute.close())
    controller.sshFile('id_ed25519', userKey.private)
    const failure = await failureOf(connect({ port: (mute.address() as AddressInfo).port }, { connectTimeoutMs: 300 }))
    expect(failure).toMatchObject({ code: 'E_SSH_UNREACHABLE' })
  })

  test('a server that is no SSH server is reported as such', async () => {
    const web = createServer(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    web.listen(0, '127.0.0.1')
    await new Promise(resolve => web.once('listening', resolve))
    cleanups.push(() => web.close())
    expect((await failureOf(connect({ port: (web.address() as AddressInfo).port }))).code).toBe('E_SSH_UNREACHABLE')
  })

  test('a busy server that drops a connection at first is tried again, with a limit', async () => {
    const server = await serve({ droppedConnections: 1 })
    setUp(server)
    await connect(server)
    expect(server.connections()).toBe(2)
    const never = await serve({ droppedConnections: 100 })
    setUp(never)
    expect((await failureOf(connect(never))).code).toBe('E_SSH_UNREACHABLE')
    expect(never.connections()).toBe(3)
  })

  test.for([
    ['ENOTFOUND', 'does not resolve'],
    ['EHOSTUNREACH', 'no route to that host'],
    ['ENETUNREACH', 'no route'],
    ['ETIMEDOUT', 'connect ETIMEDOUT'],
  ])('%s is told in words', async ([code, words]) => {
    const cause = new AggregateError([Object.assign(new Error(`connect ${code}`), { code })])
    const target = controller.target({ port: 22 }, { host: 'srv-1.example.com' })
    const error = connectError({ target, hop: plainHop, before: [], isJump: false, peer: 'srv-1.example.com:22', plan: undefined, cause })
    expect(error.code).toBe('E_SSH_UNREACHABLE')
    expect(textOf(error)).toContain(words)
  })

  test('the message of a server that got too many keys is shown, and it counts as a refusal', () => {
    const cause = Object.assign(new Error('Too many authentication failures'), { code: 2 })
    const error = connectError({
      target: controller.target({ port: 22 }),
      hop: plainHop,
      before: [],
      isJump: false,
      peer: '192.0.2.11:22',
      plan: undefined,
      cause,
    })
    expect(error.code).toBe('E_SSH_AUTH')
    expect(error.why.join()).toContain('Too many authentication failures')
  })

  test('a server without a common algorithm is reported with the kind of algorithm, and some that hactl supports', () => {
    const cause = new Error('Handshake failed: no matching key exchange algorithm')
    const target = controller.target({ port: 22 })
    const error = connectError({ target, hop: plainHop, before: [], isJump: false, peer: '192.0.2.11:22', plan: undefined, cause })
    expect(error.why).toEqual(['the server and hactl have no key exchange algorithm in common'])
    expect(error.fix).toContain('curve25519-sha256')
  })

  test('an abort ends the attempt at once', async () => {
    const server = await serve()
    setUp(server)
    const remote = createSshRemote(controller.deps)
    expect((await failureOf(remote.connect(controller.target(server), AbortSignal.abort('SIGINT')))).code).toBe('E_INTERRUPTED')
    const abort = new AbortController()
    const pending = failureOf(remote.connect(controller.target(server), abort.signal))
    abort.abort('SIGINT')
    expect(await pending).toMatchObject({ code: 'E_INTERRUPTED' })
  })
})

describe('jump hosts', () => {
  test('each is checked and passed through, the target last', async () => {
    const [first, second, last] = [await serve(), await serve({ hostKeys: [otherKey] }), await serve({ hostKeys: [rsaHostKey] })]
    controller.sshFile(
      'known_hosts',
      knownHostsLine(first.port, hostKey) + knownHostsLine(second.port, otherKey) + knownHostsLine(last.port, rsaHostKey),
    )
    controller.sshFile('id_ed25519', userKey.private)
    const session = await connect(last, { proxyJump: `jim@127.0.0.1:${first.port},joe@127.0.0.1:${second.port}` })
    expect((await session.run(sh`echo through`, { effect: 'none', label: 'x', deadlineMs: 5_000 })).stdout).toBe('through\n')
    expect(first.offered[0]).toMatch(/^jim /)
    expect(second.offered[0]).toMatch(/^joe /)
    expect(session.localAddress).toBeUndefined()
    await session.close()
  })

  test('a changed key of a jump host ends the attempt there', async () => {
    const [jump, last] = [await serve(), await serve()]
    controller.sshFile('known_hosts', knownHostsLine(jump.port, otherKey) + knownHostsLine(last.port, hostKey))
    controller.sshFile('id_ed25519', userKey.private)
    const failure = await failureOf(connect(last, { proxyJump: `127.0.0.1:${jump.port}` }))
    expect(failure.message).toBe(`the host key of [127.0.0.1]:${jump.port} has changed`)
    expect(last.connections()).toBe(0)
  })

  test('a refusal by the jump host is reported for the jump host and not for the server', async () => {
    const [jump, last] = [await serve({ authorized: [] }), await serve()]
    controller.sshFile('known_hosts', knownHostsLine(jump.port, hostKey))
    controller.sshFile('id_ed25519', userKey.private)
    const failure = await failureOf(connect(last, { proxyJump: `jim@127.0.0.1:${jump.port}` }))
    expect(failure.message).toBe('the server refused every key offered for user "jim" on jump host 127.0.0.1')
  })

  test('a target that the jump host cannot reach is named', async () => {
    const [jump, gone] = [await serve(), await serve()]
    controller.sshFile('known_hosts', knownHostsLine(jump.port, hostKey))
    controller.sshFile('id_ed25519', userKey.private)
    await gone.close()
    cleanups.pop()
    const failure = await failureOf(connect(gone, { proxyJump: `127.0.0.1:${jump.port}` }))
    expect(failure).toMatchObject({ code: 'E_SSH_UNREACHABLE', message: `127.0.0.1:${gone.port} cannot be reached` })
  })

  test.for([
    ['Connection refused', 2, 'jump host bastion: nothing listens there', 'sshd'],
    ['open failed', 1, 'jump host bastion: it does not forward this connection', 'AllowTcpForwarding'],
    [
      'something else',
      2,
      'jump host bastion: (SSH) Channel open failure: something else',
      'run: ssh -J jim@bastion:2222 root@srv-1.example.com',
    ],
  ] as const)('what one says of the way onwards, %s, is told as its word', ([said, reason, why, fix]) => {
    const cause = Object.assign(new Error(`(SSH) Channel open failure: ${said}`), { reason })
    const before = [{ ...plainHop, alias: 'bastion', host: 'bastion', port: 2222, user: 'jim' }]
    const target = controller.target({ port: 22 })
    const error = connectError({ target, hop: plainHop, before, isJump: false, peer: 'srv-1.example.com:22', plan: undefined, cause })
    expect(error).toMatchObject({ code: 'E_SSH_UNREACHABLE', why: [why] })
    expect(error.fix).toContain(fix)
  })

  test('the advice for an unknown key behind one goes through it, because ssh-keyscan cannot', async () => {
    const [jump, last] = [await serve(), await serve({ hostKeys: [otherKey] })]
    controller.sshFile('known_hosts', knownHostsLine(jump.port, hostKey))
    controller.sshFile('id_ed25519', userKey.private)
    const failure = await failureOf(connect(last, { proxyJump: `jim@127.0.0.1:${jump.port}`, user: 'ops' }))
    expect(failure.fix).toContain(
      `ssh -J jim@127.0.0.1:${jump.port} -p ${last.port} -o UserKnownHostsFile=~/.ssh/known_hosts ops@127.0.0.1, and compare the fingerprint`,
    )
    expect(failure.fix).not.toContain('keyscan')
  })
})

/** The head of a private key file whose key lives in a token: all that is read of it. */
function securityKeyFile(): string {
  const string = (text: string | Buffer) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(text.length)
    return Buffer.concat([length, Buffer.from(text)])
  }
  const body = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    ...['none', 'none', ''].map(string),
    Buffer.from([0, 0, 0, 1]),
    string(Buffer.concat([string('sk-ssh-ed25519@openssh.com'), string(Buffer.alloc(32, 1)), string('ssh:')])),
    string(Buffer.alloc(64, 2)),
  ])
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${body.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`
}
