import { describe, expect, test } from 'vitest'
import { parseInventory } from '../../../src/inventory/parse.ts'
import { scriptedPrompter, type Expected } from '../../support/prompter.ts'
import { fakeFiles, fakeTerminal } from '../../support/terminal.ts'
import { runLine } from '../command-line.ts'

const PATH = '/home/ops/edge/inventory.yml'
const screen = () => fakeTerminal({ stdin: true, stdout: true, stderr: true })
const THREE = ['--server', 'srv-1=192.0.2.11', '--server', 'srv-2=192.0.2.12', '--server', 'ops@192.0.2.13:2222']
const VIP = ['--vip', '192.0.2.200/24']

function inventoryIn(files: ReturnType<typeof fakeFiles>, path = PATH) {
  const { inventory, issues } = parseInventory(files.written.get(path) ?? '', path)
  expect(issues).toEqual([])
  return inventory
}

describe('setup without a terminal', () => {
  test('needs servers and an address only, and says what it chose', async () => {
    const files = fakeFiles()
    const { exit, out } = await runLine(['setup', '--yes', ...THREE, ...VIP], { ports: { files } })
    expect(exit).toBe(0)
    const text = files.written.get(PATH)
    expect(text).toContain('virtual_router_id 200 comes from the end of 192.0.2.200/24')
    expect(out).toContain(text)
    expect(out).toContain('inventory.yml is written. Next: hactl check, then hactl deploy')
    expect(inventoryIn(files)).toMatchObject({
      profile: 'fast',
      servers: [
        { name: 'srv-1', host: '192.0.2.11' },
        { name: 'srv-2', host: '192.0.2.12' },
        { name: 'srv-3', host: '192.0.2.13', ssh: { user: 'ops', port: 2222 } },
      ],
      vrrp_instances: [{ name: 'VRRP1', virtual_router_id: 200, virtual_ipaddress: ['192.0.2.200/24'] }],
    })
  })

  test('names all flags that are missing at once', async () => {
    const { exit, err } = await runLine(['setup', '--yes', '--server', 'srv-1=192.0.2.11'])
    expect(exit).toBe(3)
    expect(err).toContain('[E_NOT_INTERACTIVE]')
    expect(err).toContain('--server NAME=HOST (at least one more) and --vip ADDRESS/PREFIX')
  })

  test('without --yes fails although nothing is missing, and writes nothing', async () => {
    const files = fakeFiles()
    const { exit, err } = await runLine(['setup', ...THREE, ...VIP], { ports: { files } })
    expect(exit).toBe(3)
    expect(err).toContain('give --yes')
    expect(files.written.size).toBe(0)
  })

  test('refuses a file that cannot be written, with --force too, before it asks anything', async () => {
    const files = { ...fakeFiles(), whyNotWritable: async () => 'there is no folder /home/ops/edge' }
    for (const flags of [['--yes'], ['--yes', '--force'], []]) {
      const { exit, err } = await runLine(['setup', ...flags, ...THREE, ...VIP], { ports: { files } })
      expect(exit).toBe(3)
      expect(err).toContain(`${PATH} cannot be written: there is no folder /home/ops/edge`)
    }
    expect(files.written.size).toBe(0)
  })

  test('warns of a haproxy.cfg that does not exist', async () => {
    const config = ['--config', 'mine.cfg']
    const { exit, out, result } = await runLine(['setup', '--yes', '--json', ...THREE, ...VIP, ...config], {
      ports: { files: fakeFiles() },
    })
    expect(exit).toBe(0)
    expect(out).not.toBe('')
    expect(result()['warnings']).toEqual([expect.stringContaining('there is no file /home/ops/edge/mine.cfg')])
    const files = fakeFiles({ '/home/ops/edge/mine.cfg': 'frontend f\n' })
    const there = await runLine(['setup', '--yes', '--json', ...THREE, ...VIP, ...config], { ports: { files } })
    expect(there.result()['warnings']).toEqual([])
  })

  test('never overwrites without --force', async () => {
    const files = fakeFiles({ [PATH]: 'mine' })
    const { exit, err } = await runLine(['setup', '--yes', ...THREE, ...VIP], { ports: { files } })
    expect(exit).toBe(3)
    expect(err).toContain('--force')
    expect(files.written.size).toBe(0)
    expect((await runLine(['setup', '--yes', '--force', ...THREE, ...VIP], { ports: { files } })).exit).toBe(0)
    expect(files.written.has(PATH)).toBe(true)
  })

  test('uses a haproxy.cfg beside the inventory', async () => {
    const files = fakeFiles({ '/home/ops/edge/prod/haproxy.cfg': '' })
    await runLine(['setup', 'prod/lb.yml', '--yes', ...THREE, ...VIP], { ports: { files } })
    expect(inventoryIn(files, '/home/ops/edge/prod/lb.yml')?.haproxy).toEqual({ config: 'haproxy.cfg' })
  })

  test('has a flag for every question and more', async () => {
    const files = fakeFiles()
    const network = ['--vip', '2001:db8::c8/64', '--interface', 'ens160', '--vrid', '66', '--profile', 'classic', '--cluster', 'edge']
    const haproxy = ['--backend', 'app-1=192.0.2.21:8080', '--backend', '192.0.2.22:8080', '--bind', ':8080', '--mode', 'tcp']
    const login = ['--ssh-user', 'ops', '--identity-file', '~/.ssh/id_ed25519', '--known-hosts', 'known_hosts', '--email', 'a@example.com']
    const { exit, result } = await runLine(['setup', '--yes', '--json', ...THREE, ...VIP, ...network, ...haproxy, ...login], {
      ports: { files },
    })
    expect(exit).toBe(0)
    expect(result()).toMatchObject({ command: 'setup', file: PATH })
    expect(inventoryIn(files)).toMatchObject({
      cluster: 'edge',
      profile: 'classic',
      ssh: { user: 'ops', identity_file: '~/.ssh/id_ed25519', known_hosts: 'known_hosts' },
      global_defs: { notification_email: ['a@example.com'] },
      vrrp_instances: [
        { name: 'VRRP1', interface: 'ens160', virtual_router_id: 66, virtual_ipaddress: ['192.0.2.200/24'] },
        { name: 'VRRP2', virtual_ipaddress: ['2001:db8::c8/64'] },
      ],
      haproxy: {
        frontends: [{ bind: [':8080'], mode: 'tcp' }],
        backends: [
          {
            mode: 'tcp',
            servers: [
              { name: 'app-1', address: '192.0.2.21:8080', check: true },
              { name: 'app-2', address: '192.0.2.22:8080', check: true },
            ],
          },
        ],
      },
    })
  })

  test.for([
    ['a server with a shell character', ['--server', 'srv-1=$(id)', ...THREE, ...VIP], '--server'],
    ['an address that is none', [...THREE, '--vip', '192.0.2.300/24'], '--vip'],
    ['a virtual address that is a server', [...THREE, '--vip', '192.0.2.11/24'], 'these answers do not make a valid inventory'],
    [
      'two servers with one address',
      [...VIP, '--server', 'a=192.0.2.11', '--server', 'b=192.0.2.11'],
      'these answers do not make a valid inventory',
    ],
    ['a config and backends', [...THREE, ...VIP, '--config', 'x.cfg', '--backend', '192.0.2.21:80'], '--config excludes'],
  ] as const)('refuses %s and writes nothing', async ([, flags, what]) => {
    const files = fakeFiles()
    const { exit, err } = await runLine(['setup', '--yes', ...flags], { ports: { files } })
    expect(exit).toBe(3)
    expect(err).toContain(what)
    expect(files.written.size).toBe(0)
  })
})

describe('setup on a terminal', () => {
  const SERVERS = 'Servers, separated by spaces; the first is master:'
  const VIRTUAL = 'Virtual address, with the prefix of its network (192.0.2.200/24):'
  const USER = 'User to log in as, root or one with sudo (empty: the user that ssh would choose):'
  const WRITE = 'Write this to inventory.yml?'
  const LEAST: readonly Expected[] = [
    {
      question: SERVERS,
      answer: '192.0.2.11, 192.0.2.12',
      refused: [
        { answer: '192.0.2.11', problem: 'failover needs at least two servers; each is HOST, NAME=HOST or NAME=USER@HOST:PORT' },
        { answer: '192.0.2.11 192.0.2.11', problem: '192.0.2.11 is listed twice' },
        { answer: 'a=192.0.2.11 a=192.0.2.12', problem: 'two servers are called a: write name=host' },
        { answer: '192.0.2.11 192.0.2.1200', problem: '"192.0.2.1200" must be an IP address or a host name' },
      ],
    },
    { question: VIRTUAL, answer: '192.0.2.200/24' },
    { question: 'What should HAProxy do?', answer: 'balance requests to my servers on port 80' },
    { question: 'Servers behind HAProxy (address:port or name=address:port):', answer: '192.0.2.21:8080 192.0.2.22:8080' },
    { question: USER, answer: '' },
    { question: WRITE, answer: true },
  ]

  test('asks six questions without flags, shows the inventory, then writes it', async () => {
    const files = fakeFiles()
    const prompter = scriptedPrompter(LEAST)
    const { exit } = await runLine(['setup'], { prompter, ports: { files, terminal: screen() } })
    expect(exit).toBe(0)
    expect(prompter.unasked()).toEqual([])
    expect(inventoryIn(files)?.haproxy.backends?.[0]?.servers).toHaveLength(2)
  })

  test('writes nothing when the last answer is no', async () => {
    const files = fakeFiles()
    const prompter = scriptedPrompter(LEAST.map(step => (step.question === WRITE ? { ...step, answer: false } : step)))
    const { exit, out, err } = await runLine(['setup'], { prompter, ports: { files, terminal: screen() } })
    expect(exit).toBe(3)
    expect(out).toContain('virtual_ipaddress')
    expect(err).toContain('the inventory was not confirmed; nothing was written')
    expect(err).toContain('[E_DECLINED]')
    expect(files.written.size).toBe(0)
  })

  test('asks only for what flags left open', async () => {
    const prompter = scriptedPrompter([
      { question: VIRTUAL, answer: '192.0.2.200/24' },
      { question: WRITE, answer: true },
    ])
    const { exit } = await runLine(['setup', ...THREE, '--backend', '192.0.2.21:80', '--ssh-user', 'ops'], {
      prompter,
      ports: { terminal: screen() },
    })
    expect(exit).toBe(0)
    expect(prompter.unasked()).toEqual([])
  })

  test('offers hosts of ssh_config, keys, the user and a haproxy.cfg that it finds', async () => {
    const files = fakeFiles({
      '/home/ops/.ssh/config': 'Host lb1 lb2\n  User root\nHost *.example.com !x\nHost *\n',
      '/home/ops/.ssh/id_ed25519': '',
      '/home/ops/edge/haproxy.cfg': '',
    })
    const prompter = scriptedPrompter([
      { question: 'Servers, separated by spaces; the first is master (ssh knows lb1, lb2):', answer: 'lb1 lb2' },
      { question: VIRTUAL, answer: '192.0.2.200/24' },
      { question: 'What should HAProxy do?', answer: 'what haproxy.cfg here says' },
      { question: 'User to log in as, root or one with sudo (empty: as ssh would, usually ops):', answer: 'deploy' },
      { question: 'Key to log in with:', answer: '~/.ssh/id_ed25519' },
      { question: WRITE, answer: true },
    ])
    const { exit } = await runLine(['setup'], { prompter, ports: { files, env: { USER: 'ops' }, terminal: screen() } })
    expect(exit).toBe(0)
    expect(inventoryIn(files)).toMatchObject({
      ssh: { user: 'deploy', identity_file: '~/.ssh/id_ed25519' },
      servers: [
        { name: 'lb1', host: 'lb1' },
        { name: 'lb2', host: 'lb2' },
      ],
      haproxy: { config: 'haproxy.cfg' },
    })
  })

  test('asks before it overwrites', async () => {
    const files = fakeFiles({ [PATH]: 'mine' })
    const prompter = scriptedPrompter([
      ...LEAST.filter(step => step.question !== WRITE),
      { question: 'inventory.yml exists already. Overwrite it?', answer: false },
    ])
    const { exit } = await runLine(['setup'], { prompter, ports: { files, terminal: screen() } })
    expect(exit).toBe(3)
    expect(files.written.size).toBe(0)
  })
})
