/** Every error that plan, deploy and status can meet, provoked for real. Needs: any lab. Leaves: the fast profile, converged. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { expectExit, expectRefusal, type Json, labHaproxy, labInventory, resultOf, vrrpInstance } from './support/hactl.ts'
import { local, openLab, SERVERS } from './support/lab.ts'
import { deployedWorkspace } from './support/opening.ts'
import { startPoller } from './support/poller.ts'
import { liveFiles, services } from './support/servers.ts'

const lab = openLab()
const work = deployedWorkspace(lab, { restores: true })
const plan = (...argv: string[]) => work.hactl(['plan', '--json', ...argv])
const deploy = (...argv: string[]) => work.hactl(['deploy', '--yes', '--json', ...argv])
/** Every server of the inventory with more keys, or one of them. */
const withServers = (more: (name: string) => Json): Json => ({
  servers: lab.servers.map(({ name, host }) => ({ name, host, ...more(name) })),
})
const ssh = (over: Json): Json => ({ ssh: { user: 'root', identity_file: lab.key, known_hosts: lab.known_hosts, ...over } })

/** Runs something that must leave files and services of all servers alone. */
async function touchingNothing<T>(work_: () => Promise<T>): Promise<T> {
  const before = [await liveFiles(lab), await services(lab)]
  const result = await work_()
  expect([await liveFiles(lab), await services(lab)]).toEqual(before)
  return result
}

describe('input is refused before any server is contacted (3)', () => {
  test('there is no inventory', async () => {
    expectRefusal(await plan('nowhere.yml'), 3, 'E_INVENTORY_MISSING', { what: /nowhere\.yml/, fix: /hactl setup/ })
  })

  test('an inventory with several mistakes: all of them, each with line and column', async () => {
    work.write(
      'wrong.yml',
      [
        'servers:',
        '  - { name: srv-1, hots: 192.0.2.11 }',
        'vrrp_instances:',
        '  - { name: V1, virtual_router_id: 700, virtual_ipaddress: [192.0.2.200/24] }',
        'haproxy: { config: nowhere.cfg }',
      ].join('\n'),
    )
    const run = await deploy('wrong.yml')
    expectRefusal(run, 3, 'E_INVENTORY_INVALID', {
      what: /wrong\.yml/,
      why: /2:\d+ [\s\S]*hots[\s\S]*4:\d+ [\s\S]*virtual_router_id/,
      fix: /hactl check/,
    })
    expect(resultOf(run).why?.join('\n')).toMatch(/did you mean.*host/i)
  })

  test('a cluster that can never fail over', async () => {
    work.writeInventory(
      labInventory(lab, {
        profile: 'classic',
        vrrp_script: { weight: 5 },
        vrrp_instances: [vrrpInstance(lab, { priority: { 'srv-1': 200, 'srv-2': 100, 'srv-3': 50 } })],
      }),
    )
    for (const command of ['check', 'plan', 'deploy']) {
      const run = await work.hactl([command, '--json', ...(command === 'deploy' ? ['--yes'] : [])])
      expectExit(run, 3)
      expect(run.stdout).toMatch(/never/)
    }
    expectRefusal(await deploy(), 3, 'E_NEVER_FAILS_OVER', { why: /priorit|weight/, fix: /hactl check/ })
    work.writeInventory(labInventory(lab))
  })

  test('--limit names a server that is not there; so does an unknown flag', async () => {
    expectRefusal(await plan('--limit', 'srv-9'), 3, 'E_USAGE', { what: /srv-9/, fix: /srv-1/ })
    expectRefusal(await plan('--exit-cod'), 3, 'E_USAGE', { what: /--exit-cod/ })
  })

  test('a secret that cannot be read', async () => {
    work.writeInventory(
      labInventory(lab, {
        profile: 'classic',
        vrrp_instances: [vrrpInstance(lab, { authentication: { auth_type: 'PASS', auth_pass: { env: 'NOT_THERE' } } })],
      }),
    )
    expectRefusal(await plan(), 3, 'E_SECRET', { what: /NOT_THERE|auth_pass/ })
    work.writeInventory(labInventory(lab))
  })

  test('-K, and a question, without a terminal', async () => {
    expectRefusal(await plan('-K'), 3, 'E_NOT_INTERACTIVE', { fix: /become_password/ })
  })
})

describe('hactl cannot get in (4)', () => {
  test('a server is off: nothing is changed on the others, and --limit leaves it out', async () => {
    work.writeInventory(labInventory(lab, { haproxy: labHaproxy(lab, { defaults: ['timeout client 49s'] }) }))
    await lab.docker('pause', lab.container('srv-3'))
    try {
      const run = await deploy('--timeout', '3')
      expectRefusal(run, 4, 'E_SSH_UNREACHABLE', { what: /198\.18\.|srv-3/, fix: /--timeout|server is up/ })
      expect(resultOf(run).server).toBe('srv-3')
      expect(await lab.sh('srv-1', 'grep -c "49s" /etc/haproxy/haproxy.cfg || true')).toBe('0\n')
      const status = await work.hactl(['status', '--json', '--timeout', '3'])
      expectExit(status, 4)
      expect(resultOf(status).servers?.map(server => [server.name, server.reachable])).toEqual([
        ['srv-1', true],
        ['srv-2', true],
        ['srv-3', false],
      ])
      expectExit(await plan('--limit', 'srv-1,srv-2'), 0)
    } finally {
      await lab.docker('unpause', lab.container('srv-3'))
      work.writeInventory(labInventory(lab))
    }
  })

  test('nothing listens on the port', async () => {
    work.writeInventory(labInventory(lab, ssh({ port: 2222 })))
    const result = expectRefusal(await plan(), 4, 'E_SSH_UNREACHABLE', { what: /:2222/, why: /nothing listens/, fix: /port 2222/ })
    expect(result.servers?.map(server => server.name).toSorted()).toEqual(SERVERS)
  })

  test('the key is refused', async () => {
    await local('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(work.dir, 'other_key')])
    work.writeInventory(labInventory(lab, ssh({ identity_file: 'other_key' })))
    expectRefusal(await plan(), 4, 'E_SSH_AUTH', { what: /refused every key.*"root"/, why: /other_key/, fix: /ssh-copy-id/ })
  })

  describe('the host key', () => {
    const keyOf = (server: string) =>
      readFileSync(lab.known_hosts, 'utf8')
        .split('\n')
        .filter(line => line.startsWith(`${lab.host(server)} `))
    /** known_hosts in which srv-1 has srv-2's keys: a server that is not who it was. */
    const swapped = () =>
      [...keyOf('srv-2').map(line => line.replace(lab.host('srv-2'), lab.host('srv-1'))), ...keyOf('srv-2'), ...keyOf('srv-3')].join('\n')

    test('differs from known_hosts', async () => {
      const file = work.write('known_plain', `${swapped()}\n`)
      work.writeInventory(labInventory(lab, ssh({ known_hosts: file })))
      const result = expectRefusal(await touchingNothing(() => deploy()), 4, 'E_SSH_HOST_KEY', { fix: /ssh-keygen -R/ })
      expect(result.server).toBe('srv-1')
      expect(readFileSync(file, 'utf8')).toBe(`${swapped()}\n`)
    })

    test('differs from a hashed known_hosts; the right one passes', async () => {
      const file = work.write('known_hashed', `${swapped()}\n`)
      await local('ssh-keygen', ['-H', '-f', file])
      work.writeInventory(labInventory(lab, ssh({ known_hosts: file })))
      expect(readFileSync(file, 'utf8')).not.toContain(lab.host('srv-1'))
      expect(expectRefusal(await plan(), 4, 'E_SSH_HOST_KEY', {}).server).toBe('srv-1')
      const right = work.write('known_right', readFileSync(lab.known_hosts, 'utf8'))
      await local('ssh-keygen', ['-H', '-f', right])
      work.writeInventory(labInventory(lab, ssh({ known_hosts: right })))
      expectExit(await plan(), 0)
    })

    test('is looked up as [host]:port where the port is not 22', async () => {
      await lab.sh('srv-1', 'mkdir -p /run/sshd; /usr/sbin/sshd -p 2222 -o PidFile=/run/sshd-e2e.pid')
      try {
        const others = [...keyOf('srv-2'), ...keyOf('srv-3')]
        const as = (server: string) => keyOf(server).map(line => line.replace(lab.host(server), `[${lab.host('srv-1')}]:2222`))
        const on2222 = (known: string) =>
          labInventory(lab, { ...ssh({ known_hosts: known }), ...withServers(name => (name === 'srv-1' ? { ssh: { port: 2222 } } : {})) })
        work.writeInventory(on2222(work.write('known_2222', `${[...as('srv-1'), ...others].join('\n')}\n`)))
        expectExit(await plan(), 0)
        // The key of port 22 says nothing about port 2222 when that one has an entry of its own.
        work.writeInventory(on2222(work.write('known_2222', `${[...keyOf('srv-1'), ...as('srv-2'), ...others].join('\n')}\n`)))
        const result = expectRefusal(await plan(), 4, 'E_SSH_HOST_KEY', { fix: /\[[\d.]+\]:2222/ })
        expect(result.server).toBe('srv-1')
      } finally {
        await lab.sh('srv-1', 'kill $(cat /run/sshd-e2e.pid)')
      }
    })

    test('is not known: strict refuses and writes nothing, accept-new writes it down', async () => {
      const file = work.write('known_none', '')
      work.writeInventory(labInventory(lab, ssh({ known_hosts: file })))
      expectRefusal(await plan(), 4, 'E_SSH_HOST_KEY', { fix: /accept-new|ssh-keyscan|ssh / })
      expect(readFileSync(file, 'utf8')).toBe('')
      work.writeInventory(labInventory(lab, ssh({ known_hosts: file, host_key_checking: 'accept-new' })))
      expectExit(await plan(), 0)
      for (const { host } of lab.servers) expect((await local('ssh-keygen', ['-F', host, '-f', file])).code).toBe(0)
      work.writeInventory(labInventory(lab, ssh({ known_hosts: file })))
      expectExit(await plan(), 0)
    })
  })

  describe('root', () => {
    test('the sudo password is wrong, and is not shown', async () => {
      const password = 'correct-horse-battery'
      work.writeInventory(
        labInventory(lab, { ...ssh({ user: 'deploy' }), become_password: { file: work.write('wrong_password', `${password}\n`) } }),
      )
      const run = await plan()
      expectRefusal(run, 4, 'E_SUDO', { what: /password/i, fix: /-K|become_password/ })
      expect(`${run.stdout}${run.stderr}`).not.toContain(password)
    })

    test('sudo wants a password, and there is none', async () => {
      work.writeInventory(labInventory(lab, ssh({ user: 'deploy' })))
      expectRefusal(await plan(), 4, 'E_SUDO', { fix: /-K|become_password/ })
    })

    test('sudo wants a terminal, which hactl does not give it', async () => {
      const sudoers = '/etc/sudoers.d/requiretty'
      await lab.everywhere(`echo 'Defaults requiretty' >${sudoers} && chmod 0440 ${sudoers}`)
      try {
        work.writeInventory(labInventory(lab, ssh({ user: 'ops' })))
        expectRefusal(await plan(), 4, 'E_SUDO', { what: /wants a terminal/, fix: /Defaults:ops !requiretty/ })
      } finally {
        await lab.everywhere(`rm ${sudoers}`)
      }
    })

    test('the user may not use sudo', async () => {
      await lab.everywhere(
        'id nobodyspecial >/dev/null 2>&1 || useradd -m -s /bin/bash nobodyspecial; mkdir -p /home/nobodyspecial/.ssh; ' +
          'cp /root/.ssh/authorized_keys /home/nobodyspecial/.ssh/; chown -R nobodyspecial: /home/nobodyspecial/.ssh; echo nobodyspecial:secret-of-nobody | chpasswd',
      )
      work.writeInventory(
        labInventory(lab, {
          ...ssh({ user: 'nobodyspecial' }),
          become_password: { file: work.write('its_password', 'secret-of-nobody\n') },
        }),
      )
      expectRefusal(await plan(), 4, 'E_SUDO', { what: /nobodyspecial|sudo/, fix: /sudo/ })
    })

    test('become is off and the user is not root', async () => {
      work.writeInventory(labInventory(lab, { ...ssh({ user: 'ops' }), become: false }))
      expectRefusal(await plan(), 4, 'E_SUDO', { fix: /become: true|root/ })
      work.writeInventory(labInventory(lab))
    })
  })
})

describe('a server is not fit, nothing is changed (5)', () => {
  test('it is no Debian', async () => {
    await lab.sh(
      'srv-2',
      `printf 'ID=fedora\\nVERSION_ID=40\\nPRETTY_NAME="Fedora Linux 40"\\n' >/run/e2e-os; mount --bind /run/e2e-os /usr/lib/os-release`,
    )
    try {
      const result = expectRefusal(await touchingNothing(() => deploy()), 5, 'E_OS_UNSUPPORTED', { what: /Fedora Linux 40/, fix: /Debian/ })
      expect(result.server).toBe('srv-2')
    } finally {
      await lab.sh('srv-2', 'umount /usr/lib/os-release')
    }
  })

  test('it has no such interface', async () => {
    work.writeInventory(labInventory(lab, { vrrp_instances: [vrrpInstance(lab, { interface: 'ens999' })] }))
    expectRefusal(await touchingNothing(() => deploy()), 5, 'E_NO_INTERFACE', { what: /ens999/, why: /eth0/, fix: /interface/ })
    work.writeInventory(labInventory(lab))
  })

  test('no server has an address in the network of the virtual one', async () => {
    work.writeInventory(labInventory(lab, { vrrp_instances: [vrrpInstance(lab, { virtual_ipaddress: ['192.0.2.200/24'] })] }))
    expectRefusal(await touchingNothing(() => deploy()), 5, 'E_NO_INTERFACE', { fix: /interface/ })
    work.writeInventory(labInventory(lab))
  })

  test('two names for one machine', async () => {
    const known = readFileSync(lab.known_hosts, 'utf8')
    const first = lab.host('srv-1')
    await lab.sh('srv-1', `ip addr add ${lab.prefix}.111/24 dev eth0`)
    try {
      const twin = `${lab.prefix}.111`
      work.write(
        'known_twin',
        known +
          known
            .split('\n')
            .filter(line => line.startsWith(`${first} `))
            .map(line => line.replace(first, twin))
            .join('\n') +
          '\n',
      )
      work.writeInventory(
        labInventory(lab, {
          ...ssh({ known_hosts: 'known_twin' }),
          servers: [
            { name: 'srv-1', host: first },
            { name: 'srv-2', host: twin },
          ],
        }),
      )
      expectRefusal(await plan(), 5, 'E_SAME_MACHINE', { what: /srv-1.*srv-2|srv-2.*srv-1/ })
    } finally {
      await lab.sh('srv-1', `ip addr del ${lab.prefix}.111/24 dev eth0`)
      work.writeInventory(labInventory(lab))
    }
  })

  test('the new address belongs to another machine already', async () => {
    const taken = `${lab.prefix}.202`
    const stranger = `${lab.project}-stranger`
    await lab.docker('rm', '-f', stranger)
    const image = (await lab.docker('inspect', '-f', '{{.Config.Image}}', lab.container('app-1'))).stdout.trim()
    const started = await lab.docker(
      'run',
      '-d',
      '--name',
      stranger,
      '--network',
      `${lab.project}_lab`,
      '--ip',
      taken,
      image,
      'sleep',
      '120',
    )
    expect(started.code).toBe(0)
    try {
      work.writeInventory(
        labInventory(lab, { vrrp_instances: [vrrpInstance(lab, { virtual_ipaddress: [`${lab.vip}/24`, `${taken}/24`] })] }),
      )
      expectRefusal(await touchingNothing(() => deploy()), 5, 'E_VIP_TAKEN', {
        what: new RegExp(taken),
        why: /none of these servers/,
        fix: /another address/,
      })
    } finally {
      await lab.docker('rm', '-f', stranger)
      work.writeInventory(labInventory(lab))
    }
  })

  test('haproxy.cfg is broken: no live file changes anywhere', async () => {
    work.write('broken.cfg', 'defaults\n  mode http\n  timeout connect 5s\nlisten web\n  bind :80\n  balanse roundrobin\n')
    work.writeInventory(labInventory(lab, { haproxy: { config: 'broken.cfg' } }))
    const poller = await startPoller(lab.vip)
    const run = await touchingNothing(() => deploy())
    expect(await poller.stop()).toMatchObject({ failed: 0, errors: [] })
    expectRefusal(run, 5, 'E_CONFIG_REFUSED', {
      what: /haproxy\.cfg/,
      why: /balanse[\s\S]*haproxy\.cfg:6|haproxy\.cfg:6[\s\S]*balanse/,
      fix: /no running service was changed/,
    })
  })

  test('haproxy.cfg is broken on one server only: no live file changes on any', async () => {
    await Promise.all(
      ['srv-1', 'srv-2'].map(server => lab.sh(server, 'printf "HTTP/1.0 503 Sorry\\r\\n\\r\\nsorry\\n" >/etc/haproxy/e2e.http')),
    )
    work.write(
      'named.cfg',
      'defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n  errorfile 503 /etc/haproxy/e2e.http\nlisten web\n  bind :80\n',
    )
    work.writeInventory(labInventory(lab, { haproxy: { config: 'named.cfg' } }))
    const result = expectRefusal(await touchingNothing(() => deploy()), 5, 'E_CONFIG_REFUSED', { why: /e2e\.http/ })
    expect(result.server).toBe('srv-3')
    await Promise.all(['srv-1', 'srv-2'].map(server => lab.sh(server, 'rm /etc/haproxy/e2e.http')))
    work.writeInventory(labInventory(lab))
  })

  test('another deploy is running', async () => {
    work.writeInventory(labInventory(lab, { haproxy: labHaproxy(lab, { defaults: ['timeout client 48s'] }) }))
    const first = work.start(['deploy', '--yes', '--json'])
    await first.line('lock-taken', line => line.event === 'lock-taken')
    const second = await deploy()
    expectRefusal(second, 5, 'E_LOCKED', { what: /tester@\S+, deploy/, why: /\d+ s ago/, fix: /hactl unlock/ })
    expectExit(await first.ended, 0)
    expect((await work.hactl(['plan', '--exit-code', '--quiet'])).exit).toBe(0)
  })

  test('a newer version of hactl was at work: every command refuses', async () => {
    await lab.sh(
      'srv-2',
      'cd /var/lib/hactl && cp -p format format.kept && sed -i "s/^format .*/format 99/; s/^hactl .*/hactl 9.8.7/" format',
    )
    for (const argv of [['plan'], ['deploy', '--yes'], ['history'], ['remove', '--yes']]) {
      const run = await touchingNothing(() => work.hactl([...argv, '--json']))
      const words = { what: /of format 99/, why: /hactl 9\.8\.7 wrote it/, fix: /use hactl 9\.8\.7 or newer/ }
      expect(expectRefusal(run, 5, 'E_STATE_FORMAT', words).server).toBe('srv-2')
    }
    await lab.sh('srv-2', 'cd /var/lib/hactl && mv format.kept format')
  })

  test('keepalived.conf is one that hactl did not make: its diff is shown without secrets; --adopt takes it over', async () => {
    work.writeInventory(labInventory(lab))
    await lab.sh(
      'srv-3',
      `sed -i '\\,/etc/keepalived/keepalived.conf,d' /var/lib/hactl/owned; printf 'vrrp_instance OLD {\\n  auth_pass s3cr3t00\\n}\\n' >/etc/keepalived/keepalived.conf`,
    )
    const run = await touchingNothing(() => deploy())
    const result = expectRefusal(run, 5, 'E_FOREIGN_FILE', { what: /keepalived\.conf/, why: /^-vrrp_instance OLD \{$/m, fix: /--adopt/ })
    expect(result.server).toBe('srv-3')
    expect(`${run.stdout}${run.stderr}`).not.toContain('s3cr3t00')
    const adopted = await deploy('--adopt')
    expectExit(adopted, 0)
    expect(await lab.sh('srv-3', 'grep -c OLD /etc/keepalived/keepalived.conf || true')).toBe('0\n')
    expect((await work.hactl(['plan', '--exit-code', '--quiet'])).exit).toBe(0)
  })

  test('a service is masked', async () => {
    await lab.sh('srv-2', 'systemctl mask --quiet keepalived')
    try {
      const result = expectRefusal(await touchingNothing(() => deploy()), 5, 'E_UNHEALTHY', {
        what: /keepalived.*masked/,
        fix: /systemctl unmask keepalived/,
      })
      expect(result.server).toBe('srv-2')
    } finally {
      await lab.sh('srv-2', 'systemctl unmask --quiet keepalived; systemctl enable --quiet keepalived')
    }
  })
})

describe('it stops part way (6)', () => {
  test('a port whose use neither haproxy -c nor ss shows: the server gets its previous file back, the others are not changed', async () => {
    // Backups come first: whichever of the two is first must be the one that fails.
    await Promise.all(
      ['srv-2', 'srv-3'].map(server =>
        lab.sh(
          server,
          // Bound and not listening: ss -l, which the preflight looks at, does not show it.
          `systemd-run --quiet --collect --unit=e2e-port perl -MSocket -e 'socket(my $s, PF_INET, SOCK_STREAM, 0) or die; bind($s, pack_sockaddr_in(8099, INADDR_ANY)) or die; open(my $f, ">", "/run/e2e-port") or die; sleep 120'
           for i in $(seq 50); do [ -e /run/e2e-port ] && break; sleep 0.1; done; rm /run/e2e-port`,
        ),
      ),
    )
    work.writeInventory(
      labInventory(lab, {
        haproxy: labHaproxy(lab, { frontends: [{ name: 'web', bind: [':80', ':8099'], mode: 'http', default_backend: 'app' }] }),
      }),
    )
    const before = await liveFiles(lab)
    const poller = await startPoller(lab.vip)
    const run = await deploy()
    const seen = await poller.stop()
    await Promise.all(['srv-2', 'srv-3'].map(server => lab.sh(server, 'systemctl stop e2e-port')))
    expectRefusal(run, 6, 'E_COMMAND_FAILED', { what: /service\/haproxy/, why: /8099|old configuration/ })
    expect(await liveFiles(lab)).toEqual(before)
    expect(run.lines.filter(line => line.event === 'wave-started')).toHaveLength(1)
    expect(run.lines.filter(line => line.event === 'restored')).toHaveLength(1)
    expect(seen).toMatchObject({ failed: 0, errors: [] })
    expect(await lab.everywhere('systemctl is-active haproxy keepalived')).toEqual(SERVERS.map(() => 'active\nactive\n'))
    const status = await work.hactl(['status', '--json'])
    expectExit(status, 0)
    expect(resultOf(status).servers?.map(server => server.haproxy)).toEqual(['healthy', 'healthy', 'healthy'])
    // With the port free again the same deploy goes through.
    expectExit(await deploy(), 0)
  })
})
