/** Roll-outs under load: configurations, certificates, keepalived's settings, and the way back. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { type Json, labHaproxy, vrrpInstance } from '../../e2e/support/hactl.ts'
import { local, pause, root, SERVERS, watchHolders } from '../../e2e/support/lab.ts'
import { inventoryOf, isHung, liveConfig, nextConfig, RUN_DEADLINE_MS, told } from '../cluster.ts'
import type { Row, World } from '../row.ts'

const CERTIFICATE = '/etc/ssl/private/faults.pem'
const LIMIT_SECONDS = 180
/** The load before and after, in ms: a roll-out has no edges then. */
const QUIET_MS = 500

interface Load {
  readonly newAnswered: number
  readonly newFailed: number
  readonly tlsAnswered: number
  readonly tlsFailed: number
  readonly keptAnswered: number
  readonly keptRetried: number
  readonly keptCut: number
  readonly keptFailed: number
  readonly errors: readonly string[]
}

async function startLoad(address: string): Promise<{ readonly stop: () => Promise<Load> }> {
  const child = spawn(process.execPath, [join(root, 'test/faults/load-process.ts'), address, String(LIMIT_SECONDS)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let out = ''
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => reject(new Error(`the load ended with ${code}`)))
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString('utf8')
      if (out.startsWith('ready\n')) resolve()
    })
  })
  return {
    stop: async () => {
      const closed = new Promise<void>(resolve => child.once('close', () => resolve()))
      child.stdin.end()
      await closed
      return JSON.parse(out.slice('ready\n'.length)) as Load
    },
  }
}

async function putCertificate(world: World, number: number): Promise<void> {
  const key = join(world.work.dir, 'tls.key')
  const pem = join(world.work.dir, 'tls.crt')
  const words = `req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=c${number}.example.com`.split(' ')
  const made = await local('openssl', [...words, '-keyout', key, '-out', pem])
  if (made.code !== 0) throw new Error(`openssl: ${made.stderr}`)
  const text = Buffer.from(readFileSync(pem, 'utf8') + readFileSync(key, 'utf8')).toString('base64')
  await world.lab.everywhere(
    `umask 077; mkdir -p /etc/ssl/private; echo ${text} | base64 -d >${CERTIFICATE}.new && mv ${CERTIFICATE}.new ${CERTIFICATE}`,
  )
}

/** The name on the certificate that a server shows. */
function certificateOf(host: string): Promise<string | undefined> {
  return new Promise(resolve => {
    const socket = connect({ host, port: 443, rejectUnauthorized: false, timeout: 2000 }, () => {
      const { subject } = socket.getPeerCertificate()
      socket.destroy()
      resolve(subject?.CN === undefined ? undefined : String(subject.CN))
    })
    socket.once('timeout', () => socket.destroy())
    socket.once('error', () => resolve(undefined))
    socket.once('close', () => resolve(undefined))
  })
}

interface Wish {
  readonly config: number
  readonly refresh: number
}

function inventory(world: World, { config, refresh }: Wish): Json {
  return inventoryOf(world, config, {
    haproxy: labHaproxy(world.lab, {
      frontends: [
        {
          name: 'web',
          bind: [':80', `:443 ssl crt ${CERTIFICATE}`],
          mode: 'http',
          default_backend: 'app',
          lines: [`http-response set-header X-Config c${config}`],
        },
      ],
    }),
    vrrp_instances: [vrrpInstance(world.lab, { advert_int: 1, garp_master_refresh: refresh })],
  })
}

const KINDS = ['a new configuration', 'a new certificate', 'new keepalived settings', 'a rollback'] as const

export const load: Row = {
  name: 'load',
  title: 'a roll-out under load (new connections, TLS, kept alive)',
  times: 10,
  open: async world => {
    const { lab, work } = world
    let certificate = 1
    await putCertificate(world, certificate)
    let wish: Wish = { config: nextConfig(), refresh: 30 }
    const run = (...words: string[]) => work.hactl([...words, '--yes', '--json'], { limitMs: RUN_DEADLINE_MS })
    work.writeInventory(inventory(world, wish))
    const first = await run('deploy')
    if (first.exit !== 0) throw new Error(`the set-up failed: ${told(first)}`)
    return {
      attempt: async n => {
        const kind = KINDS[(n - 1) % KINDS.length] ?? KINDS[0]
        const broken: string[] = []
        const [loading, holders] = [await startLoad(lab.vip), await watchHolders(lab)]
        await pause(QUIET_MS)
        if (kind === 'a new configuration') wish = { ...wish, config: nextConfig() }
        if (kind === 'new keepalived settings') wish = { ...wish, refresh: wish.refresh + 1 }
        if (kind === 'a new certificate') await putCertificate(world, ++certificate)
        work.writeInventory(inventory(world, wish))
        const ended = await (kind === 'a rollback'
          ? run('rollback')
          : kind === 'a new certificate'
            ? run('deploy', '--reload')
            : run('deploy'))
        await pause(QUIET_MS)
        const [seen, held] = [await loading.stop(), await holders.stop()]
        if (ended.exit !== 0) broken.push(`${kind}: ${told(ended)}`)
        for (const server of SERVERS) {
          const shown = await certificateOf(lab.host(server))
          if (shown !== `c${certificate}.example.com`)
            broken.push(`${server} shows the certificate ${shown ?? 'nothing'}, not c${certificate}`)
        }
        if (held.moves.length > 0) broken.push(`the address moved: ${held.moves.join(', ')}`)
        broken.push(...seen.errors)
        return {
          probes:
            seen.newAnswered + seen.newFailed + seen.tlsAnswered + seen.tlsFailed + seen.keptAnswered + seen.keptFailed + seen.keptCut,
          lost: seen.newFailed + seen.tlsFailed + seen.keptFailed + seen.keptCut,
          broken,
          hung: isHung(ended) ? [told(ended)] : [],
          counts: {
            [kind]: 1,
            'kept-alive connections closed before any byte of an answer, the request sent again': seen.keptRetried,
            'answers cut': seen.keptCut,
          },
        }
      },
      close: async () => {
        work.writeInventory(inventoryOf(world, liveConfig()))
        await run('deploy')
        await lab.everywhere(`rm -f ${CERTIFICATE}`)
      },
    }
  },
}
