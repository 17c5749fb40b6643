// Shows the main job on three real servers: set up, deploy, see it answer, stop haproxy on the holder; with the
// article's timings, then with hactl's own. Needs root and Debian or a running Docker engine; installs the rest.
// `npm run demo -- --keep` leaves the lab and the inventory for you to go on with.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { buildHactl, type LabFile, withLab } from './support/lab.ts'
import { widthsOf } from './support/figures.ts'
import { bold, heading, seconds } from './support/output.ts'
import { hactlBin, labState, root } from './support/places.ts'
import { main, MINUTE_MS, run, Stop, stopIfInterrupted } from './support/process.ts'

const unknown = process.argv.slice(2).filter(word => word !== '--keep')
const keep = process.argv.includes('--keep')

const WIDTH = 100

/** A command line as a shell would take it, over several lines where it is long. */
function wrapped(words: readonly string[]): string {
  const lines = ['']
  for (const word of words) {
    const line = lines.at(-1) ?? ''
    if (line !== '' && line.length + word.length >= WIDTH) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines.join(' \\\n    ')
}

/** The last line of --json. */
interface Result {
  readonly exit: number
  readonly drills?: readonly Drill[]
}

interface Drill {
  readonly from: string | null
  readonly to: string | null
  readonly outage_ms?: number | null
  readonly failed_probes: number
  readonly probes: number
  readonly failback: string | null
  readonly failback_outage_ms?: number | null
  readonly verdict: string
}

/** Runs the real CLI, showing the command line as an operator would type it. Returns the object that --json ends with, if it was asked for. */
async function hactl(
  words: readonly string[],
  { json = false, cwd }: { readonly json?: boolean; readonly cwd?: string } = {},
): Promise<Result> {
  console.log(`\n${bold(`$ ${wrapped(['hactl', ...words])}`)}`)
  const result = await run('node', [hactlBin, ...words, ...(json ? ['--json'] : [])], {
    cwd,
    timeoutMs: 5 * MINUTE_MS,
    // With --json the words go to stderr, the objects to stdout: the reader sees the words, the demo counts on the objects.
    ...(json
      ? {
          onText: (text: string, stream: string) => {
            if (stream === 'stderr') process.stdout.write(text)
          },
        }
      : {}),
  })
  stopIfInterrupted('hactl has restored what it had disturbed', 'npm run demo')
  if (!json && result.code !== 0)
    throw new Stop(`hactl ${words[0]} ended with exit ${result.code}`, 'see above', 'hactl status shows what state the servers are in')
  return json ? (JSON.parse(result.stdout.trimEnd().split('\n').at(-1) ?? '') as Result) : { exit: 0 }
}

/** The lab's backends name themselves in X-Backend. */
async function askVip(vip: string, times: number): Promise<void> {
  console.log(`\n${bold(`# who answers on ${vip}, on ${times} new connections`)}`)
  for (let i = 0; i < times; i++) {
    const response = await fetch(`http://${vip}/`, { headers: { connection: 'close' }, signal: AbortSignal.timeout(2000) })
    await response.arrayBuffer()
    console.log(`GET http://${vip}/  ${response.status}  answered by ${response.headers.get('x-backend') ?? 'HAProxy itself'}`)
  }
}

function setupWords(lab: LabFile, folder: string, file: string): readonly string[] {
  return [
    'setup',
    file,
    '--yes',
    '--profile=classic',
    '--cluster=demo',
    ...lab.servers.map(server => `--server=${server.name}=${server.host}`),
    `--vip=${lab.vip}/24`,
    ...lab.backends.map(backend => `--backend=${backend.name}=${backend.host}:${backend.port}`),
    '--ssh-user=ops',
    `--identity-file=${relative(folder, lab.key)}`,
  ]
}

function edit(file: string, what: string, from: RegExp, to: string): void {
  const text = readFileSync(file, 'utf8')
  if (!from.test(text))
    throw new Stop(
      `the inventory has no line for: ${what}`,
      `${from} is not in ${file}`,
      'report this: the demo no longer matches the output of hactl setup',
    )
  writeFileSync(file, text.replace(from, to))
  console.log(`\n${bold(`# ${what}`)}`)
}

interface Row {
  readonly profile: string
  readonly drill: Drill
  readonly exit: number
}

/** One row per profile. */
function table(rows: readonly Row[]): string {
  const header = ['profile', 'haproxy stopped on', 'taken over by', 'outage', 'probes lost', 'back on', 'outage of the way back', 'verdict']
  const cells = rows.map(({ profile, drill }) => [
    profile,
    drill.from ?? '-',
    drill.to ?? 'nobody',
    drill.outage_ms === null || drill.outage_ms === undefined ? '-' : outage(drill.outage_ms),
    `${drill.failed_probes} of ${drill.probes}`,
    drill.failback ?? '-',
    drill.failback_outage_ms === null || drill.failback_outage_ms === undefined ? '-' : outage(drill.failback_outage_ms),
    drill.verdict,
  ])
  const widths = widthsOf([header, ...cells])
  const line = (row: readonly string[]) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd()
  return [bold(line(header)), ...cells.map(line)].join('\n')
}

// Rounded as hactl rounds.
const outage = (ms: number) => (ms === 0 ? '0' : `${(Math.round(ms / 10) / 100).toFixed(2)} s`)

async function drill(profile: string, file: string, cwd: string): Promise<Row> {
  console.log('\nThis takes 15 s to 35 s: more than 50 new connections a second, before, during and after.')
  const result = await hactl(['verify-failover', file, '--yes'], { json: true, cwd })
  const [first] = result.drills ?? []
  if (first === undefined)
    throw new Stop(`hactl verify-failover ended with exit ${result.exit}`, 'see above', 'hactl status shows what state the servers are in')
  return { profile, drill: first, exit: result.exit }
}

async function demo(lab: LabFile): Promise<number> {
  const folder = join(labState, 'demo')
  const file = 'inventory.yml'
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const began = performance.now()

  heading('1 of 4: an inventory, from a few answers')
  await hactl(setupWords(lab, folder, file), { cwd: folder })
  edit(
    join(folder, file),
    "the lab's host keys are in a file of its own: ssh.known_hosts is added",
    /^ssh:\n/m,
    `ssh:\n  known_hosts: ${relative(folder, lab.known_hosts)}\n`,
  )
  await hactl(['check', file], { cwd: folder })

  heading("2 of 4: three bare servers become a load balancer with the article's timings (profile classic)")
  await hactl(['deploy', file, '--yes'], { cwd: folder })
  await askVip(lab.vip, 4)
  await hactl(['status', file], { cwd: folder })

  heading("3 of 4: the article's test: stop haproxy on the server that holds the address")
  const rows = [await drill('classic', file, folder)]

  heading('4 of 4: the same with profile fast')
  edit(join(folder, file), 'profile: classic becomes profile: fast', /^profile: classic$/m, 'profile: fast')
  await hactl(['deploy', file, '--yes'], { cwd: folder })
  rows.push(await drill('fast', file, folder))

  heading('what a client of the virtual address saw')
  console.log(`\n${table(rows)}\n`)
  console.log(`The demo took ${seconds(performance.now() - began)} on the servers of test/lab/lab: Debian ${lab.release} in containers.`)
  if (keep) {
    console.log(
      `The lab is still up. Go on with: cd ${relative(process.cwd(), folder) || '.'} && node ${relative(folder, hactlBin)} status\nAt the end run: test/lab/lab down`,
    )
  }
  return rows.every(row => row.exit === 0) ? 0 : 1
}

await main(async () => {
  if (unknown.length > 0)
    throw new Stop(`unknown argument ${unknown.join(' ')}`, 'the only argument is --keep', 'npm run demo -- --keep', 3)
  process.chdir(root)
  await buildHactl()
  return withLab(demo, { keep, fresh: true })
})
