// What the benchmark times: hactl, plain ssh, Ansible; each does its job on three servers and is timed from outside.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LabFile } from '../support/lab.ts'
import { hactlBin, root } from '../support/places.ts'
import { MINUTE_MS, must, run, Stop } from '../support/process.ts'

const USER = 'ops'

// hactl's own way of installing, without its care about locks and prompts that nobody answers here.
const APT = 'DEBIAN_FRONTEND=noninteractive apt-get -q'
const install = (packages: string) => `${APT} update && ${APT} install -y --no-install-recommends ${packages}`

/** Where each file of hactl's is on a server, and what the playbook calls it. */
const FILES = {
  'haproxy.cfg': '/etc/haproxy/haproxy.cfg',
  'keepalived.conf': '/etc/keepalived/keepalived.conf',
  'haproxy-service-check.sh': '/usr/local/bin/haproxy-service-check.sh',
  'service-hooks.sh': '/usr/local/lib/hactl/service-hooks.sh',
  'haproxy-check.pl': '/usr/local/lib/hactl/haproxy-check.pl',
  'haproxy-dropin.conf': '/etc/systemd/system/haproxy.service.d/hactl.conf',
  'keepalived-dropin.conf': '/etc/systemd/system/keepalived.service.d/hactl.conf',
  'tmpfiles.conf': '/etc/tmpfiles.d/hactl.conf',
  '90-hactl.conf': '/etc/sysctl.d/90-hactl.conf',
}

const sshOptions = (lab: LabFile) => [
  ['-F', 'none'],
  ['-i', lab.key],
  ...['BatchMode=yes', 'IdentitiesOnly=yes', 'ConnectTimeout=5', 'LogLevel=ERROR', `UserKnownHostsFile="${lab.known_hosts}"`].map(o => [
    '-o',
    o,
  ]),
]

interface Timed {
  readonly ms: number
}

/** One shell line as root on every server at once, each over an ssh of its own; how long until the last is done, in ms. */
async function sshEverywhere(lab: LabFile, line: string): Promise<Timed> {
  const began = performance.now()
  const results = await Promise.all(
    lab.servers.map(server =>
      run('ssh', [...sshOptions(lab).flat(), `${USER}@${server.host}`, 'sudo -n sh -s'], {
        input: `${line}\n`,
        capture: true,
        timeoutMs: 5 * MINUTE_MS,
      }),
    ),
  )
  const ms = performance.now() - began
  const failed = results.find(result => result.code !== 0)
  if (failed !== undefined)
    throw new Stop(`ssh: ${line}`, `exit ${failed.code}: ${failed.stderr.trim() || failed.stdout.trim()}`, 'test/lab/lab status')
  return { ms }
}

export const installOverSsh = (lab: LabFile) => sshEverywhere(lab, install('haproxy keepalived'))
export const installPythonOverSsh = (lab: LabFile) => sshEverywhere(lab, install('python3 python3-apt'))
export const readOverSsh = (lab: LabFile) => sshEverywhere(lab, 'cat /etc/os-release')

/** Writes the inventory that hactl's runs use. */
export function writeInventory(lab: LabFile, folder: string, name: string, more = ''): string {
  const file = join(folder, `${name}.yml`)
  const text = `cluster: bench
ssh: { user: ${USER}, identity_file: ${JSON.stringify(lab.key)}, known_hosts: ${JSON.stringify(lab.known_hosts)} }
servers:
${lab.servers.map(({ name, host }) => `  - { name: ${name}, host: ${host} }`).join('\n')}
vrrp_instances:
  - { name: VRRP1, virtual_router_id: 66, virtual_ipaddress: [${lab.vip}/24] }
haproxy:
  frontends:
    - { name: web, bind: [":80"], mode: http, default_backend: app }
  backends:
    - name: app
      balance: roundrobin
      servers:
${lab.backends.map(({ name, host, port }) => `        - { name: ${name}, address: "${host}:${port}", check: true }`).join('\n')}
${more}`
  writeFileSync(file, text)
  return file
}

interface Result {
  readonly servers?: readonly { readonly changed: readonly string[] }[]
}

/** Runs hactl (`program`: this checkout's, or another build) with --json: { ms, result } with the object of its last line. Stops unless it exits 0. */
export async function hactl(
  inventory: string,
  words: readonly string[],
  program: string = hactlBin,
): Promise<Timed & { readonly result: Result }> {
  const done = await run('node', [program, ...words, '-i', inventory, '--json'], { capture: true, timeoutMs: 5 * MINUTE_MS })
  if (done.code !== 0)
    throw new Stop(`hactl ${words.join(' ')}`, `exit ${done.code}: ${done.stderr.trim().slice(-2000)}`, 'test/lab/lab status')
  return { ms: done.ms, result: JSON.parse(done.stdout.trimEnd().split('\n').at(-1) ?? '') as Result }
}

/** Makes sshd of every server log each session it opens. Not over ssh: what counts must not be counted. */
export async function logSessions(lab: LabFile): Promise<void> {
  for (const { container } of lab.servers) {
    const line = 'echo LogLevel VERBOSE >/etc/ssh/sshd_config.d/bench.conf && systemctl reload ssh'
    await must('sshd cannot be set to log sessions', 'docker', ['exec', container, 'sh', '-c', line], {
      capture: true,
      timeoutMs: MINUTE_MS,
    })
  }
}

/** How many commands, shells and subsystems sshd has opened on each server since logSessions(). */
export async function sessionsSoFar(lab: LabFile): Promise<readonly number[]> {
  const line = "journalctl --sync; journalctl -t sshd -o cat | grep -c '^Starting session: ' || true"
  return Promise.all(
    lab.servers.map(async ({ container }) => {
      const { stdout } = await must('the journal cannot be read', 'docker', ['exec', container, 'sh', '-c', line], {
        capture: true,
        timeoutMs: MINUTE_MS,
      })
      return Number(stdout.trim())
    }),
  )
}

/** Installs Debian's ansible-core where it is missing; its version. */
export async function ensureAnsible(): Promise<string | undefined> {
  const version = async () => {
    try {
      const { stdout } = await run('ansible-playbook', ['--version'], { capture: true, timeoutMs: MINUTE_MS })
      return /core ([\d.]+)/.exec(stdout)?.[1]
    } catch {
      return undefined
    }
  }
  const found = await version()
  if (found !== undefined) return found
  await must('ansible-core cannot be installed', 'sh', ['-c', install('ansible-core')], { capture: true, timeoutMs: 10 * MINUTE_MS })
  return version()
}

/** Keeps what hactl made on each server, as templates for the playbook. */
export async function keepFiles(lab: LabFile, folder: string): Promise<void> {
  for (const { name, container } of lab.servers) {
    const into = join(folder, 'made-by-hactl', name)
    mkdirSync(into, { recursive: true })
    for (const [file, path] of Object.entries(FILES)) {
      const { stdout } = await must(`${name} has no ${path}`, 'docker', ['exec', container, 'cat', path], {
        capture: true,
        timeoutMs: MINUTE_MS,
      })
      writeFileSync(join(into, file), stdout)
    }
  }
}

/** Runs the playbook over connections of its own: what an earlier run left open is not used. Stops when a server failed. */
export async function ansible(lab: LabFile, folder: string): Promise<Timed & { readonly changed: number }> {
  const inventory = join(folder, 'hosts')
  // Without a short path the control socket's name is too long for the kernel.
  const sockets = join(folder, `cp${process.hrtime.bigint() % 1_000_000n}`)
  mkdirSync(sockets)
  const options = ['ControlMaster=auto', 'ControlPersist=60s', `UserKnownHostsFile="${lab.known_hosts}"`]
  writeFileSync(
    inventory,
    `${lab.servers.map(({ name, host }) => `${name} ansible_host=${host}`).join('\n')}
[all:vars]
ansible_user=${USER}
ansible_ssh_private_key_file=${lab.key}
ansible_ssh_common_args='-F none ${options.map(option => `-o ${option}`).join(' ')}'
made_by_hactl=${join(folder, 'made-by-hactl')}/{{ inventory_hostname }}
`,
  )
  const done = await run('ansible-playbook', ['-i', inventory, join(root, 'scripts/bench/site.yml')], {
    capture: true,
    timeoutMs: 10 * MINUTE_MS,
    env: { ANSIBLE_CONFIG: join(root, 'scripts/bench/ansible.cfg'), ANSIBLE_SSH_CONTROL_PATH_DIR: sockets, ANSIBLE_NOCOLOR: '1' },
  })
  if (done.code !== 0)
    throw new Stop('the Ansible playbook failed', `exit ${done.code}: ${done.stdout.slice(-3000)}`, 'fix scripts/bench/site.yml')
  const changed = [...done.stdout.matchAll(/changed=(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0)
  return { ms: done.ms, changed }
}

/** Waits, outside of all timing, until the virtual address answers: both contenders must have done the same job. */
export async function mustAnswer(lab: LabFile, who: string): Promise<void> {
  for (let i = 0; i < 40; i++) {
    const answered = await fetch(`http://${lab.vip}/`, { headers: { connection: 'close' }, signal: AbortSignal.timeout(1000) }).then(
      response => response.ok,
      () => false,
    )
    if (answered) return
    await new Promise(resolve => setTimeout(resolve, 500))
  }
  throw new Stop(`${who}: ${lab.vip} does not answer`, 'the job was not done', 'test/lab/lab status')
}
