/** Roll-outs under load: clients with a new connection for every request, and clients that keep theirs. Needs: nothing. Leaves: a cluster with HTTPS. */
import { beforeAll, describe, expect, test } from 'vitest'
import { expectExit, type Json, labHaproxy, labInventory, resultOf, type Run, vrrpInstance } from './support/hactl.ts'
import { openLab, pause, watchHolders } from './support/lab.ts'
import { workspaceFor } from './support/opening.ts'
import { type Loaded, startLoad } from './support/load.ts'
import { ensureDeployed, makePem, services, untilHeldBy } from './support/servers.ts'

const lab = openLab()
const PEM_ON_SERVER = '/etc/haproxy/lab.pem'
const FIRST = 'first.example.com'
const SECOND = 'second.example.com'
const work = workspaceFor(lab)

interface Wish {
  /** Other haproxy.cfg than before. */
  readonly client?: string
  readonly instance?: Json
}

/** HTTP and HTTPS. Slower than the default, so that a busy machine does not move the address by itself while clients are counted. */
function writeInventory({ client = '40s', instance = {} }: Wish = {}): void {
  const web = { name: 'web', bind: [':80', `:443 ssl crt ${PEM_ON_SERVER}`], mode: 'http', default_backend: 'app' }
  work.writeInventory(
    labInventory(lab, {
      vrrp_script: { interval: 3, timeout: 3, fall: 3 },
      vrrp_instances: [vrrpInstance(lab, { advert_int: 1, ...instance })],
      haproxy: labHaproxy(lab, { frontends: [web], defaults: [`timeout client ${client}`] }),
      certificates: [{ file: 'lab.pem', path: PEM_ON_SERVER }],
    }),
  )
}

beforeAll(async () => {
  await lab.heal()
  work.write('lab.pem', await makePem(lab, FIRST))
  writeInventory()
  await ensureDeployed(lab, work)
  await untilHeldBy(lab, 'srv-1')
})

interface Counted {
  readonly run: Run
  readonly load: Loaded
  readonly moves: readonly string[]
}

async function underLoad(url: string, ...argv: readonly string[]): Promise<Counted> {
  const [holders, load] = [await watchHolders(lab), await startLoad(url)]
  await pause(300)
  const run = await work.hactl([...argv, '--yes', '--json'])
  await pause(1000)
  return { run, load: await load.stop(), moves: (await holders.stop()).moves }
}

const HTTP = `http://${lab.vip}/`
const HTTPS = `https://${lab.vip}/`
const waves = (run: Run) => run.lines.flatMap(line => (line.event === 'wave-started' ? [line.servers] : []))

/** No request was lost and no connection was cut. Kept connections that were closed between two requests are allowed. */
function expectNothingLost({ run, load, moves }: Counted): void {
  if (load.errors.length > 0 || moves.length > 0) throw new Error(`lost: ${JSON.stringify({ load, moves })}\n${run.stdout.slice(-2000)}`)
  expect(load.newAnswered).toBeGreaterThan(20)
  expect(load.keptAnswered).toBeGreaterThan(20)
}

describe('no request is lost during', () => {
  test('a new haproxy.cfg', async () => {
    const before = await services(lab)
    writeInventory({ client: '50s' })
    const counted = await underLoad(HTTP, 'deploy')
    expectExit(counted.run, 0)
    expectNothingLost(counted)
    expect(waves(counted.run)).toHaveLength(3)
    expect(await services(lab)).toEqual(before)
  })

  test('a new certificate, which clients get at once and of which only the change is shown', async () => {
    const text = await makePem(lab, SECOND)
    work.write('lab.pem', text)
    const counted = await underLoad(HTTPS, 'deploy')
    expectExit(counted.run, 0)
    expectNothingLost(counted)
    expect(resultOf(counted.run).servers?.map(({ changed }) => changed)).toEqual(
      lab.servers.map(() => ['file/certificates/lab.pem', 'service/haproxy']),
    )
    expect(counted.load.certificates).toEqual([FIRST, SECOND])
    expect(await lab.everywhere(`stat -c '%a %U:%G' ${PEM_ON_SERVER}`)).toEqual(lab.servers.map(() => '600 root:root\n'))
    const key = text.split('\n').at(-3) ?? ''
    expect(key.length).toBeGreaterThan(20)
    expect(`${counted.run.stdout}${counted.run.stderr}`).not.toContain(key)
    expect((await work.hactl(['plan', '--exit-code', '--quiet'])).exit).toBe(0)
  })

  test('a certificate that does not fit its key, which is refused before anything changes', async () => {
    const [one, two] = await Promise.all([makePem(lab, 'one.example.com'), makePem(lab, 'two.example.com')])
    const kept = await lab.everywhere(`sha256sum ${PEM_ON_SERVER}`)
    work.write('lab.pem', one.replace(/-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*/, two.slice(two.search(/-----BEGIN [A-Z ]*PRIVATE KEY/))))
    const run = await work.hactl(['deploy', '--yes', '--json'])
    expect(run.exit).toBe(5)
    expect(run.stderr).toMatch(/E_CONFIG_REFUSED[^]*lab\.pem/)
    expect(await lab.everywhere(`sha256sum ${PEM_ON_SERVER}`)).toEqual(kept)
    work.write('lab.pem', await lab.sh('srv-1', `cat ${PEM_ON_SERVER}`))
    expect((await work.hactl(['plan', '--exit-code', '--quiet'])).exit).toBe(0)
  })

  test('a change of keepalived.conf that goes to one server after the other', async () => {
    writeInventory({ client: '50s', instance: { garp_master_refresh: 20 } })
    const counted = await underLoad(HTTP, 'deploy')
    expectExit(counted.run, 0)
    expectNothingLost(counted)
    expect(waves(counted.run)).toEqual([['srv-3'], ['srv-2'], ['srv-1']])
  })

  test('a change of keepalived.conf that goes to all servers together, and its rollback', async () => {
    const instance = { garp_master_refresh: 20, virtual_ipaddress: [`${lab.vip}/24`, `${lab.prefix}.201/24`] }
    writeInventory({ client: '50s', instance })
    const deployed = await underLoad(HTTP, 'deploy')
    expectExit(deployed.run, 0)
    expectNothingLost(deployed)
    expect(waves(deployed.run)).toEqual([['srv-1', 'srv-2', 'srv-3']])
    const back = await underLoad(HTTP, 'rollback')
    expectExit(back.run, 0)
    expectNothingLost(back)
    expect(waves(back.run)).toEqual([['srv-1', 'srv-2', 'srv-3']])
    expect(await lab.holders(`${lab.prefix}.201`)).toEqual([])
  })
})
