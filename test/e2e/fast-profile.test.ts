/**
 * What would break the fast profile, each done to real servers: boots, hooks, kills, a lost folder, packages. Run it per release with
 * HACTL_LAB_RELEASE. Needs: any lab. Leaves: the fast profile, converged.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { expectExit, resultOf } from './support/hactl.ts'
import { openLab, pause, until, watchHolders } from './support/lab.ts'
import { deployedWorkspace } from './support/opening.ts'
import { expectNoHole, startPoller } from './support/poller.ts'
import { untilHeldBy } from './support/servers.ts'

const lab = openLab()
const HOME = 'srv-1'
const work = deployedWorkspace(lab)

beforeEach(() => untilHeldBy(lab, HOME))

afterEach(() => atRest())

const home = (script: string) => lab.sh(HOME, script)

/** Everything runs, and the address stays on its first server. */
async function atRest(): Promise<void> {
  await untilHeldBy(lab, HOME, 40_000)
  await until('haproxy and keepalived run everywhere', 20_000, async () =>
    (await lab.everywhere('systemctl is-active haproxy keepalived; true')).every(said => said.trim() === 'active\nactive'),
  )
  await until(`${HOME} has its priority`, 20_000, async () => (await priority()) === 254)
}

/** What keepalived itself says of its priority. */
async function priority(): Promise<number> {
  const shown = await lab.trySh(
    HOME,
    `rm -f /tmp/keepalived.json; kill -36 $(cat /run/keepalived.pid) && for i in 1 2 3 4 5 6 7 8 9 10; do
       [ -s /tmp/keepalived.json ] && break; sleep 0.1; done; grep -oE '"effective_priority":[0-9]+' /tmp/keepalived.json | grep -oE '[0-9]+$'`,
  )
  return Number(shown.stdout)
}

const setTracker = (name: string, value: number) => home(`cd /run/hactl && echo ${value} >.test && mv .test ${name}`)

/** keepalived notices a change of a track file, and that it is undone. */
async function expectWatched(): Promise<void> {
  await setTracker('drain', -3)
  await until('keepalived hears of the track file', 3000, async () => (await priority()) === 251)
  await setTracker('drain', 0)
  await until('keepalived hears of the track file', 3000, async () => (await priority()) === 254)
}

async function reboot(): Promise<void> {
  const before = await home('cat /run/e2e-boot 2>/dev/null || echo x >/run/e2e-boot')
  expect(before).toBe('')
  await lab.trySh(HOME, 'systemctl reboot')
  await until(
    `${HOME} has rebooted`,
    30_000,
    async () => (await lab.trySh(HOME, '[ ! -e /run/e2e-boot ] && systemctl is-active keepalived')).code === 0,
  )
}

/**
 * A connection in flight while the address moves is cut, and one that begins between a busy new holder's first advert and its address gets
 * no answer. No connection may be refused, or answered with the message that there is no haproxy.
 */
const isCut = (error: string) => /ECONNRESET|socket hang up|no answer/.test(error)

/** Probes and holders while `act` runs and until the cluster is healthy again. */
async function seenDuring(
  act: () => Promise<unknown>,
): Promise<{ readonly refused: readonly string[]; readonly moves: readonly string[]; readonly twoHoldersMs: number }> {
  const [holders, poller] = [await watchHolders(lab), await startPoller(lab.vip)]
  try {
    await act()
    await atRest()
  } finally {
    await pause(300)
  }
  const [seen, held] = [await poller.stop(), await holders.stop()]
  expectNoHole(seen)
  return {
    refused: seen.errors.filter(error => !isCut(error)),
    moves: held.moves,
    twoHoldersMs: held.twoHoldersMs,
  }
}

describe('a boot', () => {
  afterEach(() => home('rm -f /etc/systemd/system/haproxy.service.d/slow.conf; systemctl daemon-reload'))

  test('with a haproxy that is slow to start takes the address only when haproxy answers', async () => {
    await home(
      "printf '[Service]\\nExecStartPre=/bin/sleep 4\\n' >/etc/systemd/system/haproxy.service.d/slow.conf; systemctl daemon-reload",
    )
    const poller = await startPoller(lab.vip)
    await reboot()
    await atRest()
    const seen = await poller.stop()
    expectNoHole(seen)
    expect(seen.errors.filter(error => !isCut(error))).toEqual([])
  })

  test('without the folder of the track files makes it before keepalived starts', async () => {
    await home('mv /etc/tmpfiles.d/hactl.conf /root/hactl.tmpfiles')
    try {
      await reboot()
      await atRest()
      expect(await home('ls /run/hactl | grep -v ^open-connections')).toBe('drain\nhaproxy_down\nhaproxy_offset\nkeepalived_offset\n')
      await expectWatched()
    } finally {
      await home('mv /root/hactl.tmpfiles /etc/tmpfiles.d/hactl.conf')
    }
  })
})

describe('the folder of the track files', () => {
  test('deleted and made again under a running keepalived: status says so, deploy fixes it', async () => {
    await home('cp -a /run/hactl /run/hactl.was && rm -rf /run/hactl && mv /run/hactl.was /run/hactl')
    await setTracker('drain', -3)
    await pause(1000)
    expect(await priority()).toBe(254)
    const status = await work.hactl(['status'])
    expectExit(status, 5)
    expect(status.stdout).toMatch(/srv-1: keepalived's watch on its track files is dead/)
    await setTracker('drain', 0)
    const deploy = await work.hactl(['deploy', '--yes', '--json'])
    expectExit(deploy, 0)
    expect(resultOf(deploy).servers?.map(server => server.changed.length)).toEqual([1, 0, 0])
    await expectWatched()
  })

  test('deleted: status says so, deploy fixes it', async () => {
    await home('rm -rf /run/hactl')
    const status = await work.hactl(['status'])
    expectExit(status, 5)
    expect(status.stdout).toMatch(/srv-1: the track files .* are missing/)
    expectExit(await work.hactl(['deploy', '--yes']), 0)
    await expectWatched()
  })
})

describe('hooks', () => {
  test('that fail prevent neither a stop nor a start of haproxy', async () => {
    await home('mv /run/hactl /run/hactl.away && echo in the way >/run/hactl')
    try {
      await home('systemctl restart haproxy && systemctl is-active haproxy && systemctl stop haproxy && systemctl start haproxy')
    } finally {
      await home('rm -f /run/hactl && mv /run/hactl.away /run/hactl')
    }
    expectExit(await work.hactl(['deploy', '--yes']), 0)
  })

  test("of a restarted haproxy do not end an operator's drain", async () => {
    await setTracker('drain', -253)
    await untilHeldBy(lab, 'srv-2')
    await home('systemctl restart haproxy')
    await pause(1500)
    expect([await lab.holders(), await priority()]).toEqual([['srv-2'], 1])
    await setTracker('drain', 0)
  })

  test('of a restarted keepalived do not end it either', async () => {
    await setTracker('drain', -253)
    await untilHeldBy(lab, 'srv-2')
    await home('systemctl restart keepalived')
    await pause(2500)
    expect([await lab.holders(), await priority()]).toEqual([['srv-2'], 1])
    await setTracker('drain', 0)
  })
})

describe('haproxy', () => {
  test('ended by a SIGTERM from outside systemd is started again', async () => {
    const { moves } = await seenDuring(() => home('kill -TERM $(systemctl show -p MainPID --value haproxy)'))
    expect(moves.filter(move => move.endsWith(' has it')).length).toBeLessThanOrEqual(2)
  })

  test('killed eight times in a row moves the address away and back once, and is always started again', async () => {
    const { moves } = await seenDuring(async () => {
      for (let i = 0; i < 8; i++) {
        const next = pause(1200)
        await lab.trySh(HOME, 'kill -9 $(pidof haproxy)')
        await next
      }
    })
    expect(moves.filter(move => move.endsWith(' has it'))).toHaveLength(2)
  })

  test('reloaded interrupts no client, nor does keepalived', async () => {
    const { refused, moves } = await seenDuring(() =>
      home('systemctl reload haproxy; systemctl reload keepalived; sleep 1; systemctl reload haproxy'),
    )
    expect([refused, moves]).toEqual([[], []])
  })
})

describe('a stop in the middle of a reload', () => {
  // haproxy's own hook takes the offset back once it has stopped, keepalived's before its next start.
  test.each([
    ['haproxy', '0\n'],
    ['keepalived', '-253\n'],
  ])('of %s hands the address over first', async (unit, offset) => {
    const { refused } = await seenDuring(async () => {
      for (let i = 0; i < 3; i++) {
        await home(`systemctl reload --no-block ${unit}; systemctl stop ${unit}`)
        expect(await home(`cat /run/hactl/${unit}_offset`)).toBe(offset)
        expect(await lab.holders()).not.toContain(HOME)
        await home(`systemctl start ${unit}`)
        await untilHeldBy(lab, HOME, 20_000)
      }
    })
    expect(refused).toEqual([])
  })
})

describe('in the middle of a stop', () => {
  const units = (unit: string) => [unit, `hactl-hand-over@${unit}`]

  async function expectRuns(unit: string): Promise<void> {
    await until(`${unit} and its hand-over are at rest`, 20_000, async () => {
      const said = await lab.trySh(
        HOME,
        `systemctl is-active ${units(unit).join(' ')}; systemctl list-jobs --no-legend; cat /run/hactl/${unit}_offset`,
      )
      return said.stdout === 'active\nactive\n0\n'
    })
  }

  // systemd lets it take the place of the stop, and the service runs on (evidence T19).
  test.each(['haproxy', 'keepalived'])('a reload of %s gives the priority back, and the next stop hands over again', async unit => {
    const { refused } = await seenDuring(async () => {
      for (let i = 0; i < 2; i++) {
        await home(`systemctl stop --no-block ${unit}; systemctl reload ${unit}`)
        await expectRuns(unit)
        await untilHeldBy(lab, HOME, 20_000)
      }
      await home(`systemctl stop ${unit}`)
      expect(await lab.holders()).not.toContain(HOME)
      await home(`systemctl start ${unit}`)
    })
    expect(refused).toEqual([])
  })

  test.each(['haproxy', 'keepalived'])('a start and a restart of %s refuse no client', async unit => {
    const { refused } = await seenDuring(async () => {
      for (const verb of ['start', 'restart']) {
        await home(`systemctl stop --no-block ${unit}; systemctl ${verb} ${unit}`)
        await expectRuns(unit)
        await untilHeldBy(lab, HOME, 20_000)
      }
    })
    expect(refused).toEqual([])
  })

  test('a reboot after a reload hands over', async () => {
    const { refused } = await seenDuring(async () => {
      await home('systemctl stop --no-block haproxy; systemctl reload --no-block haproxy')
      await reboot()
    })
    expect(refused).toEqual([])
  })
})

test('restarted seven times in a row, haproxy still hands over before its next stop', async () => {
  await setTracker('drain', -253)
  await untilHeldBy(lab, 'srv-2')
  await home('for i in 1 2 3 4 5 6 7; do systemctl restart haproxy; done')
  await setTracker('drain', 0)
  await untilHeldBy(lab, HOME)
  const { refused } = await seenDuring(() => home('systemctl stop haproxy; systemctl start haproxy'))
  expect(refused).toEqual([])
  expect(await home('systemctl is-active hactl-hand-over@haproxy')).toBe('active\n')
})

describe('keepalived', () => {
  test('killed with all its processes leaves no address behind for long, and comes back', async () => {
    const { refused, twoHoldersMs } = await seenDuring(() => home('kill -9 $(pidof keepalived)'))
    expect(refused).toEqual([])
    expect(twoHoldersMs).toBeGreaterThan(0)
    expect(twoHoldersMs).toBeLessThan(2000)
  })

  test('killed six times in a row, or ended by a SIGTERM from outside systemd, comes back', async () => {
    for (let i = 0; i < 6; i++) {
      await home('kill -9 $(pidof keepalived)')
      await until('keepalived runs again', 10_000, async () => (await lab.trySh(HOME, 'pidof keepalived')).code === 0)
    }
    await atRest()
    await home('kill -TERM $(systemctl show -p MainPID --value keepalived)')
    await until(
      'keepalived runs again',
      10_000,
      async () => (await lab.trySh(HOME, 'systemctl is-active keepalived && pidof keepalived')).code === 0,
    )
    expect(await home('systemctl show -p Result --value keepalived')).toBe('success\n')
  })
})

describe('packages', () => {
  test('installed again while they serve (the scripts of an upgrade) refuse no client', async () => {
    const apt = 'DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Options::=--force-confold install --reinstall'
    const { refused } = await seenDuring(() => home(`${apt} keepalived haproxy`))
    expect(refused).toEqual([])
  })
})
