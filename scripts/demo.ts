// Shows the main job on three real servers: set up, deploy, see it answer. Then a planned move, a stop and a crash while clients are connected, with
// the article's timings and with hactl's own. Needs root, and Debian or a running Docker engine; installs the rest. No command lasts longer than 5 minutes.
// `npm run demo -- --keep` leaves the lab and the inventory for you to go on with. `npm run demo | tee demo.txt` records what picture.ts draws.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { addressesOf, openPlace, type TrafficPlace } from './bench/connections/place.ts'
import { inside, sleep } from './bench/failover-lab.ts'
import { type Account, accountOf, accountText, CUT, KEPT, type Result, tableOf } from './demo/account.ts'
import { clientsOf, clientsText, withFrontends } from './demo/clients.ts'
import { eventsOn, type Profile } from './demo/events.ts'
import { buildHactl, type LabFile, withLab } from './support/lab.ts'
import { bold, green, heading, red, seconds } from './support/output.ts'
import { hactlBin, labState, root } from './support/places.ts'
import { main, MINUTE_MS, run, Stop, stopIfInterrupted } from './support/process.ts'

const unknown = process.argv.slice(2).filter(word => word !== '--keep')
const keep = process.argv.includes('--keep')

const WIDTH = 100
const HOME_LIMIT_MS = 30_000
/** The inventory is the one of the folder, whatever its user has set. */
const ENV = { HACTL_INVENTORY: undefined }

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

/** Runs the real CLI, showing the command line as an operator would type it. */
async function hactl(words: readonly string[], cwd: string): Promise<void> {
  show(words)
  const { code } = await run('node', [hactlBin, ...words], { cwd, env: ENV, timeoutMs: 5 * MINUTE_MS })
  stopIfInterrupted('hactl has restored what it had disturbed', 'npm run demo')
  if (code !== 0) throw ended(words, code)
}

interface Told {
  readonly result: Result
  /** When a drill disturbed a server, in ms since 1970; undefined where none did. */
  readonly disturbedMs: number | undefined
}

/** The same with --json: the words go to stderr and the objects to stdout, so that the reader sees the words and the demo counts on the objects. */
async function hactlTold(words: readonly string[], cwd: string): Promise<Told> {
  show(words)
  let objects = ''
  let disturbedMs: number | undefined
  const { code } = await run('node', [hactlBin, ...words, '--json'], {
    cwd,
    env: ENV,
    timeoutMs: 5 * MINUTE_MS,
    onText(text, stream) {
      if (stream === 'stderr') process.stdout.write(text)
      else objects += text
      if (objects.includes('"event":"drill-disturbed"')) disturbedMs ??= Date.now()
    },
  })
  stopIfInterrupted('hactl has restored what it had disturbed', 'npm run demo')
  const last = objects.trimEnd().split('\n').at(-1) ?? ''
  if (!last.startsWith('{')) throw ended(words, code)
  const result = JSON.parse(last) as Result
  // Without either, an error has ended it before anything was measured.
  if (result.drills === undefined && result.vips === undefined) throw ended(words, code)
  return { result, disturbedMs }
}

const show = (words: readonly string[]) => console.log(`\n${bold(`$ ${wrapped(['hactl', ...words])}`)}`)
const ended = (words: readonly string[], code: number | null) =>
  new Stop(`hactl ${words[0]} ended with exit ${code}`, 'see above', 'hactl status shows what state the servers are in')

/** The lab's backends name themselves in X-Backend. */
async function askVip(vip: string, times: number): Promise<void> {
  console.log(`\n${bold(`# who answers on ${vip}, on ${times} new connections`)}`)
  for (let i = 0; i < times; i++) {
    const response = await fetch(`http://${vip}/`, { headers: { connection: 'close' }, signal: AbortSignal.timeout(2000) })
    await response.arrayBuffer()
    console.log(`GET http://${vip}/  ${response.status}  answered by ${response.headers.get('x-backend') ?? 'HAProxy itself'}`)
  }
}

function setupWords(lab: LabFile, folder: string): readonly string[] {
  return [
    'setup',
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

/** Changes the inventory where it is as expected, and says what was changed. */
function edit(file: string, what: string, change: (text: string) => string | undefined): void {
  const text = readFileSync(file, 'utf8')
  const changed = change(text)
  if (changed === undefined || changed === text)
    throw new Stop(
      `the inventory has no place for this: ${what}`,
      `${file} is not as expected`,
      'report this: the demo no longer matches the output of hactl setup',
    )
  writeFileSync(file, changed)
  console.log(`\n${bold(`# ${what}`)}`)
}

/** Waits until the first server has the address, as it has once a deploy has come to rest. */
async function untilHome({ servers, vip }: LabFile): Promise<void> {
  const [home] = servers
  if (home === undefined) throw new Error('the lab has no servers')
  const until = performance.now() + HOME_LIMIT_MS
  while ((await inside(home, `ip -o addr show to ${vip} | grep -v ': lo '`)).code !== 0) {
    stopIfInterrupted('nothing is disturbed', 'npm run demo')
    if (performance.now() > until)
      throw new Stop(
        `${home.name} does not hold ${vip}`,
        `it had ${HOME_LIMIT_MS / 1000} s since the deploy`,
        'hactl status shows what state the servers are in',
      )
    await sleep(200)
  }
}

interface Stage {
  readonly lab: LabFile
  readonly place: TrafficPlace
  readonly folder: string
}

/** Every event under the same traffic, begun anew for each. */
async function eventsUnder(profile: Profile, { lab, place, folder }: Stage): Promise<readonly Account[]> {
  await untilHome(lab)
  const load = clientsOf(lab.vip)
  const accounts: Account[] = []
  for (const { name, commands } of eventsOn(lab.servers[0]?.name ?? '')) {
    console.log(`\n${bold(`# ${name}`)}`)
    const traffic = await place.start(load)
    try {
      const beganMs = Date.now()
      const told: Told[] = []
      for (const words of commands[profile]) told.push(await hactlTold(words, folder))
      const disturbedMs = told[0]?.disturbedMs
      const account = accountOf({
        event: name,
        profile,
        results: told.map(({ result }) => result),
        seen: await traffic.stop(disturbedMs ?? beganMs),
        isDisturbanceKnown: disturbedMs !== undefined,
      })
      console.log(painted(accountText(account)))
      accounts.push(account)
    } finally {
      traffic.abandon()
    }
  }
  return accounts
}

const painted = (text: string) => text.replace(KEPT, green).replace(CUT, red)

async function demo(lab: LabFile): Promise<number> {
  const folder = join(labState, 'demo')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const inventory = join(folder, 'inventory.yml')
  const began = performance.now()
  const place = await openPlace(lab, { ipv6: false })
  try {
    const stage = { lab, place, folder }

    heading('1 of 4: an inventory, from a few answers')
    await hactl(setupWords(lab, folder), folder)
    edit(inventory, "the lab's host keys are in a file of its own: ssh.known_hosts is added", text =>
      text.replace(/^ssh:\n/m, found => `${found}  known_hosts: ${relative(folder, lab.known_hosts)}\n`),
    )
    edit(inventory, 'frontends for the clients of this demo are added', text => withFrontends(text, lab.vip, addressesOf(lab).backend))
    await hactl(['check'], folder)

    heading("2 of 4: three bare servers become a load balancer with the article's timings (profile classic)")
    await hactl(['deploy', '--yes'], folder)
    await askVip(lab.vip, 4)
    await hactl(['status'], folder)

    heading(`3 of 4: ${lab.vip} moves and ${lab.servers[0]?.name} fails while clients are connected`)
    console.log(`\n${clientsText(clientsOf(lab.vip))}`)
    const classic = await eventsUnder('classic', stage)

    heading('4 of 4: the same with profile fast')
    edit(inventory, 'profile: classic becomes profile: fast', text => text.replace(/^profile: classic$/m, 'profile: fast'))
    await hactl(['deploy', '--yes'], folder)
    const fast = await eventsUnder('fast', stage)

    return conclude([...classic, ...fast], began, lab, folder)
  } finally {
    await place.close()
  }
}

function conclude(accounts: readonly Account[], began: number, lab: LabFile, folder: string): number {
  heading('what clients of the virtual address saw')
  const [header = '', ...rows] = tableOf(accounts)
  console.log(`\n${[bold(header), ...rows.map(painted)].join('\n')}\n`)
  console.log("The clients counted requests and connections; hactl's probes measured the time without an answer.")
  console.log('Profile classic has no drain: its planned move is a stop and a start of keepalived.')
  for (const problem of accounts.flatMap(({ problems }) => problems)) console.log(red(problem))
  console.log(`The demo took ${seconds(performance.now() - began)} on the servers of test/lab/lab: Debian ${lab.release} in containers.`)
  if (keep) {
    console.log(
      `The lab is still up. Go on with: cd ${relative(process.cwd(), folder) || '.'} && node ${relative(folder, hactlBin)} status\nAt the end run: test/lab/lab down`,
    )
  }
  return accounts.every(({ problems }) => problems.length === 0) ? 0 : 1
}

await main(async () => {
  if (unknown.length > 0)
    throw new Stop(`unknown argument ${unknown.join(' ')}`, 'the only argument is --keep', 'npm run demo -- --keep', 3)
  if (process.getuid?.() !== 0)
    throw new Stop(
      'the demo does not run as root',
      'only root can give its clients a network namespace of their own',
      'sudo npm run demo',
      3,
    )
  process.chdir(root)
  await buildHactl()
  return withLab(demo, { keep, fresh: true })
})
