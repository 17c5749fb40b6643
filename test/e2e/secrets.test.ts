/** Places that must not show secrets, while hactl works and afterwards. Needs: any lab. Leaves: the article's cluster, with a stats page. */
import { spawn } from 'node:child_process'
import { chmodSync, copyFileSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { CLASSIC_ENV, classicInventory, expectExit, expectRefusal, labHaproxy, labInventory } from './support/hactl.ts'
import { type Lab, local, openLab, SERVERS } from './support/lab.ts'
import { deployedWorkspace } from './support/opening.ts'

const lab = openLab()
const SECRETS = {
  VRRP_AUTH_PASS: CLASSIC_ENV.VRRP_AUTH_PASS,
  SUDO_PASSWORD: readFileSync(lab.sudo_password_file, 'utf8').trim(),
}
const STATS_PASSWORD = 'St4ts-Pa55'
const ALL = [...Object.values(SECRETS), STATS_PASSWORD]
const work = deployedWorkspace(lab, { inventory: classicInventory(lab), env: CLASSIC_ENV })

beforeAll(async () => {
  work.writeInventory(
    classicInventory(lab, {
      // deploy may use sudo, which asks.
      ssh: { user: 'deploy', identity_file: lab.key, known_hosts: lab.known_hosts },
      become_password: { env: 'SUDO_PASSWORD' },
      haproxy: labHaproxy(lab, {
        frontends: [
          {
            name: 'web',
            bind: [':80'],
            mode: 'http',
            default_backend: 'app',
            lines: ['stats enable', `stats auth admin:${STATS_PASSWORD}`],
          },
        ],
      }),
    }),
  )
})

/** What processes show, read every 20 ms: arguments and environment on the servers, arguments on this machine. */
function sample(on: Lab): { stop(): Promise<string> } {
  const look = (files: string) =>
    `trap 'exit 0' TERM; (while kill -0 $$ 2>/dev/null; do cat ${files} 2>/dev/null; sleep 0.02; done) | tr '\\0' '\\n' | awk '!seen[$0]++ { print; fflush() }' & cat >/dev/null; kill $$`
  const inServer = (server: string) =>
    spawn('docker', ['exec', '-i', on.container(server), 'bash', '-c', look('/proc/[0-9]*/cmdline /proc/[0-9]*/environ')])
  const watchers = [...SERVERS.map(inServer), spawn('bash', ['-c', look('/proc/[0-9]*/cmdline')])]
  let seen = ''
  for (const watcher of watchers) watcher.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString('utf8')))
  return {
    stop: async () => {
      const ended = watchers.map(watcher => new Promise(resolve => watcher.once('close', resolve)))
      for (const watcher of watchers) watcher.stdin.end()
      await Promise.all(ended)
      return seen
    },
  }
}

/** Names of the places that contain one of the secrets. */
function leaks(places: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(places).flatMap(([place, text]) =>
    ALL.flatMap((secret, at) => (text.includes(secret) ? [`secret ${at} in ${place}`] : [])),
  )
}

test('no argument, environment, log, output, report or readable file shows a secret, while a deploy with all of them runs and after it', async () => {
  await lab.everywhere('touch /var/tmp/before')
  const watched = sample(lab)
  const env = SECRETS
  const log = join(work.dir, 'commands.jsonl')
  const text = await work.hactl(['plan', '--verbose', '--log', log], { env })
  const deploy = await work.hactl(['deploy', '--yes', '--json', '--verbose', '--log', log], { env })
  const processes = await watched.stop()
  expectExit(text, 0)
  expectExit(deploy, 0)
  // The samples must have seen hactl at work on both sides, or they would prove nothing.
  expect(processes).toContain('hactl.mjs')
  expect(processes).toMatch(/hactl:ready/)
  expect(readFileSync(log, 'utf8')).toContain('"server":"srv-1"')

  const history = await work.hactl(['history', '--json', '--verbose'], { env })
  const again = await work.hactl(['status', '--json', '--verbose'], { env })
  const patterns = ALL.map(secret => `-e '${secret}'`).join(' ')
  const readable = await lab.everywhere(
    `find / /run /tmp /dev/shm -xdev -type f -perm /004 -newer /var/tmp/before ! -path '/proc/*' ! -path '/sys/*' -exec grep -laF ${patterns} {} + ; true`,
  )
  const journal = await lab.everywhere(`journalctl --no-pager -o cat | grep -cF ${patterns}; true`)
  expect({ readable, journal }).toEqual({ readable: ['', '', ''], journal: ['0\n', '0\n', '0\n'] })

  const folder = (await local('find', [work.home, '-type', 'f'])).stdout
    .trim()
    .split('\n')
    .filter(path => path !== '')
  const told = { text: text.stdout + text.stderr, json: deploy.stdout + deploy.stderr, history: history.stdout + history.stderr }
  const places = { processes, ...told, status: again.stdout + again.stderr, log: readFileSync(log, 'utf8') }
  const kept = Object.fromEntries(folder.map(path => [path, readFileSync(path, 'utf8')]))
  expect(leaks({ ...places, ...kept })).toEqual([])
  // A plan shows where it hides something.
  expect(told.text).toContain('stats auth admin:***')
  expect(readdirSync(work.dir)).toContain('commands.jsonl')
  expect((await lab.everywhere('stat -c "%a %U" /etc/haproxy/haproxy.cfg /etc/keepalived/keepalived.conf')).join('')).toBe(
    '640 root\n640 root\n'.repeat(3),
  )
})

test('the passphrase of a key is asked for once for all servers, at the terminal, and named where there is none', async () => {
  const key = join(work.dir, 'id_locked')
  copyFileSync(lab.key, key)
  chmodSync(key, 0o600)
  const passphrase = 'open sesame'
  expect(await local('ssh-keygen', ['-q', '-p', '-P', '', '-N', passphrase, '-f', key])).toMatchObject({ code: 0 })
  work.writeInventory(labInventory(lab, { ssh: { user: 'root', identity_file: key, known_hosts: lab.known_hosts } }))
  expectRefusal(await work.hactl(['plan', '--json']), 4, 'E_SSH_AUTH', { why: /is encrypted, and no agent holds it/, fix: /^ssh-add / })
  const asked = await work.hactl(['status', '--no-color'], {
    answers: [
      { question: 'Passphrase for', answer: 'open sesam' },
      { question: 'That was wrong', answer: passphrase },
    ],
  })
  expectExit(asked, 0)
  expect(asked.stdout).toContain(`${lab.vip} is held by srv-1`)
  expect(asked.stdout).not.toContain(passphrase)
})

test('the check script and every folder above it belong to root, and nobody else may write to them', async () => {
  const above = '/ /usr /usr/local /usr/local/bin /usr/local/bin/haproxy-service-check.sh'
  expect(await lab.everywhere(`find ${above} -maxdepth 0 \\( ! -user root -o -perm /022 \\)`)).toEqual(['', '', ''])
})
