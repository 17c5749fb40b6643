// What users of the virtual address notice of every failure, per Debian release, the article's timings beside hactl's own:
// a new connection every 20 ms, medians, beside the bars. Seconds depend on the machine: an idle one, please.
//   npm run bench:failover -- [-n RUNS] [--release bookworm,bullseye,trixie] [--profile fast,classic] [--case NAME,...] [--json FILE]
//   npm run bench:failover -- --load MINUTES [--cpus 0.15] [--advert-int 0.1,0.2]     false alarms instead: nothing fails, the holder is slow
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Bar, CASES, type FailoverCase, type Hactl } from './bench/failover-cases.ts'
import {
  failedChecks,
  type HolderWatch,
  judgeHolders,
  type Probes,
  type Seen,
  settled,
  sleep,
  startLoad,
  startProbes,
  watchHolders,
} from './bench/failover-lab.ts'
import { median, widthsOf } from './support/figures.ts'
import { buildHactl, type LabFile, withLab } from './support/lab.ts'
import { bold, heading } from './support/output.ts'
import { hactlBin, labState } from './support/places.ts'
import { interruption, main, messageOf, MINUTE_MS, must, Stop, stopIfInterrupted } from './support/process.ts'

const RELEASES = ['bullseye', 'bookworm', 'trixie']
const PROFILES = ['classic', 'fast'] as const
type Profile = (typeof PROFILES)[number]
/** Before the disturbance, and after everything has come to rest: probes of a healthy cluster. */
const QUIET_MS = 500
/** How long a fault is looked at before it is undone; longer than any takeover of the profile. */
const HOLD_MS = { fast: 2500, classic: 11_000 }

interface Settings {
  readonly runs: number
  readonly releases: readonly string[]
  readonly profiles: readonly Profile[]
  readonly cases: readonly FailoverCase[]
  readonly loadMinutes: number
  readonly cpus: string
  readonly advertInts: readonly (number | undefined)[]
  readonly json: string | undefined
}

function settings(): Settings {
  const list = <T extends string>(text: string | undefined, known: readonly T[], what: string): readonly T[] => {
    const words = text?.split(',') ?? known
    const unknown = words.find(word => !known.some(one => one === word))
    if (unknown !== undefined) throw new Error(`${what} "${unknown}" is none of: ${known.join(', ')}`)
    return words.flatMap(word => known.filter(one => one === word))
  }
  try {
    const { values } = parseArgs({
      options: {
        runs: { type: 'string', short: 'n', default: '10' },
        release: { type: 'string' },
        profile: { type: 'string' },
        case: { type: 'string' },
        load: { type: 'string' },
        cpus: { type: 'string', default: '0.15' },
        'advert-int': { type: 'string' },
        json: { type: 'string' },
      },
    })
    const runs = Number(values.runs)
    if (!(Number.isInteger(runs) && runs >= 1 && runs <= 50)) throw new Error(`-n ${values.runs}: give a number of runs from 1 to 50`)
    const loadMinutes = Number(values.load ?? 0)
    if (!(loadMinutes >= 0 && loadMinutes <= 60)) throw new Error(`--load ${values.load}: give minutes, at most 60`)
    const advertInts = values['advert-int']?.split(',').map(Number) ?? [undefined]
    if (advertInts.some(one => one !== undefined && !(one >= 0.01 && one <= 40)))
      throw new Error('--advert-int: give seconds from 0.01 to 40, such as 0.1,0.2')
    if (!(Number(values.cpus) >= 0.05 && Number(values.cpus) <= 64))
      throw new Error(`--cpus ${values.cpus}: give cores for the holder, such as 0.15`)
    const names = CASES.map(c => c.name)
    return {
      runs,
      releases: list(values.release, RELEASES, 'release'),
      profiles: list(values.profile, PROFILES, 'profile'),
      cases: CASES.filter(c => list(values.case, names, 'case').includes(c.name)),
      loadMinutes,
      cpus: values.cpus,
      advertInts,
      json: values.json,
    }
  } catch (error) {
    throw new Stop('the arguments are wrong', messageOf(error), 'npm run bench:failover -- -n 10 --release bookworm --profile fast', 3)
  }
}

function writeInventory(lab: LabFile, profile: Profile, advertInt: number | undefined): string {
  const folder = join(labState, 'bench-failover')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'inventory.yml')
  const ssh = { user: 'ops', identity_file: lab.key, known_hosts: lab.known_hosts }
  const inventory = {
    cluster: 'bench',
    profile,
    ssh,
    servers: lab.servers.map(({ name, host }) => ({ name, host })),
    vrrp_instances: [{ name: 'VRRP1', virtual_router_id: 66, virtual_ipaddress: [`${lab.vip}/24`], advert_int: advertInt }],
    haproxy: {
      frontends: [{ name: 'web', bind: [':80'], mode: 'http', default_backend: 'app' }],
      backends: [
        {
          name: 'app',
          balance: 'roundrobin',
          servers: lab.backends.map(({ name, host, port }) => ({ name, address: `${host}:${port}`, check: true })),
        },
      ],
    },
  }
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(inventory))
  return file
}

const hactlDoes =
  (inventory: string): Hactl =>
  (verb, name) =>
    must(`hactl ${verb}`, 'node', [hactlBin, verb, name, '--inventory', inventory, '--yes'], { timeoutMs: MINUTE_MS, capture: true })

function firstOf(lab: LabFile): LabFile['servers'][number] {
  const [first] = lab.servers
  if (first === undefined) throw new Error('the lab has no servers')
  return first
}

const goOn = () => stopIfInterrupted('no figures', 'npm run bench:failover')

interface Measured extends Seen {
  readonly moves: number
  readonly longestOverlapMs: number
  readonly oneHolderMs: number
}

interface Row extends Measured {
  readonly name: string
  readonly bar: Bar | undefined
}

/** Probes while `act` happens and until the cluster rests; what was seen. */
async function measure(lab: LabFile, watch: HolderWatch, act: () => Promise<unknown>, rest: () => Promise<unknown>): Promise<Measured> {
  const probes = startProbes(lab.vip)
  let fromMs: number
  try {
    // keepalived's check runs once a second: not always at the same moment of it.
    await sleep(QUIET_MS + Math.random() * 1000)
    fromMs = performance.timeOrigin + performance.now()
    await act()
    await rest()
    await sleep(QUIET_MS)
  } finally {
    await probes.stop()
  }
  const seen = await probes.stop()
  const { moves, overlaps, longestOverlapMs } = judgeHolders(watch.events, fromMs)
  // From the disturbance to the end of the first time that two held the address. A later one is the way home: make before break.
  const oneHolderMs = Math.round(overlaps.find(o => o.toMs - o.fromMs > 50)?.toMs ?? 0)
  return { ...seen, moves, longestOverlapMs, oneHolderMs }
}

async function runCase(lab: LabFile, watch: HolderWatch, test: FailoverCase, profile: Profile, hactl: Hactl): Promise<readonly Row[]> {
  const server = firstOf(lab)
  const home = server.name
  const rest = () => settled(lab.servers, watch, home)
  await rest()
  const { undo } = test
  if (undo === undefined) {
    const act = async () => {
      await test.disturb(server, hactl)
      if (test.awayMs !== undefined) await sleep(test.awayMs)
    }
    return [{ name: test.name, bar: test.bar, ...(await measure(lab, watch, act, rest)) }]
  }
  const rows: Row[] = []
  try {
    const away = () => sleep(HOLD_MS[profile])
    const seen = await measure(lab, watch, () => test.disturb(server, hactl), away)
    if (test.bar !== undefined) rows.push({ name: test.name, bar: test.bar, ...seen })
  } finally {
    const seen = await measure(lab, watch, () => undo(server, hactl), rest)
    if (test.undoName !== undefined) rows.push({ name: test.undoName, bar: test.undoBar, ...seen })
  }
  return rows
}

/** Nothing is wrong but that the holder is slow: every move is a false alarm. One line per advert_int. */
async function falseAlarms(lab: LabFile, codename: string, { loadMinutes, cpus, advertInts }: Settings): Promise<void> {
  const holder = firstOf(lab)
  for (const advertInt of advertInts) {
    goOn()
    await deploy(lab, 'fast', advertInt)
    const watch = watchHolders(lab)
    let endLoad: (() => Promise<void>) | undefined
    let probes: Probes | undefined
    try {
      await settled(lab.servers, watch, holder.name)
      const fromMs = performance.timeOrigin + performance.now()
      probes = startProbes(lab.vip)
      endLoad = await startLoad(holder, cpus, loadMinutes * MINUTE_MS)
      const until = fromMs + loadMinutes * MINUTE_MS
      while (performance.timeOrigin + performance.now() < until && interruption() === undefined) await sleep(500)
      const { moves } = judgeHolders(watch.events, fromMs)
      const seen = await probes.stop()
      const checks = await failedChecks(lab.servers, fromMs)
      console.log(
        `${codename}, advert_int ${advertInt ?? 'by default'}: ${moves} moves in ${loadMinutes} min of load on the holder with ${cpus} of a core; checks failed: ${checks.join(', ')}; ${seen.lost} of ${seen.probes} probes lost`,
      )
    } finally {
      watch.close()
      await probes?.stop()
      await endLoad?.()
    }
  }
}

const METRICS: Readonly<Record<keyof Bar, string>> = {
  lost: 'probes lost',
  outageMs: 'outage',
  oneHolderMs: 'one holder after',
  moves: 'moves',
}
const show = (metric: keyof Bar, value: number) =>
  metric.endsWith('Ms') ? (Number.isFinite(value) ? `${(value / 1000).toFixed(2)} s` : 'never') : `${value}`

type Results = Map<string, Partial<Record<Profile, readonly Row[]>>>

/** One line per row of the table and metric with a bar: median (least to most) of each profile, and whether fast meets the bar. */
function table(results: Results, profiles: readonly Profile[]): string {
  const lines: (readonly string[])[] = [['', 'measured', ...profiles, 'at most', 'fast']]
  for (const [name, byProfile] of results) {
    const bar = Object.values(byProfile)[0]?.[0]?.bar ?? {}
    for (const [metric, most] of Object.entries(bar) as [keyof Bar, number][]) {
      const cells = profiles.map(profile => {
        const values = (byProfile[profile] ?? []).map(row => row[metric])
        if (values.length === 0) return '-'
        return `${show(metric, median(values))} (${show(metric, Math.min(...values))} to ${show(metric, Math.max(...values))})`
      })
      const fast = (byProfile.fast ?? []).map(row => row[metric])
      lines.push([name, METRICS[metric], ...cells, show(metric, most), fast.length === 0 ? '-' : median(fast) <= most ? 'met' : 'MISSED'])
    }
  }
  const widths = widthsOf(lines)
  const text = (line: readonly string[]) =>
    line
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd()
  return lines.map((line, at) => (at === 0 ? bold(text(line)) : text(line))).join('\n')
}

/** Gives the inventory. */
async function deploy(lab: LabFile, profile: Profile, advertInt?: number): Promise<string> {
  const inventory = writeInventory(lab, profile, advertInt)
  await must('hactl deploy', 'node', [hactlBin, 'deploy', inventory, '--yes'], { timeoutMs: 10 * MINUTE_MS, capture: true })
  return inventory
}

async function release(lab: LabFile, codename: string, { runs, profiles, cases }: Settings): Promise<Results> {
  const results: Results = new Map()
  for (const profile of profiles) {
    heading(`${codename}, ${profile}`)
    const hactl = hactlDoes(await deploy(lab, profile))
    const watch = watchHolders(lab)
    try {
      for (let i = 0; i < runs; i++) {
        for (const test of cases.filter(one => one.profiles?.includes(profile) ?? true)) {
          goOn()
          for (const row of await runCase(lab, watch, test, profile, hactl)) {
            const entry = results.get(row.name) ?? {}
            entry[profile] = [...(entry[profile] ?? []), row]
            results.set(row.name, entry)
            console.log(
              `${codename} ${profile} ${i + 1}/${runs} ${row.name}: ${row.lost} of ${row.probes} lost, outage ${row.outageMs} ms, ${row.moves} moves, two holders for ${row.longestOverlapMs} ms, one after ${row.oneHolderMs} ms${row.lost > 0 ? ` (${row.reasons.join(', ')})` : ''}`,
            )
          }
        }
      }
    } finally {
      watch.close()
    }
  }
  return results
}

await main(async () => {
  const chosen = settings()
  await buildHactl()
  const all: Record<string, Results> = {}
  for (const codename of chosen.releases) {
    process.env['HACTL_LAB_RELEASE'] = codename
    await withLab(async lab => {
      if (chosen.loadMinutes > 0) await falseAlarms(lab, codename, chosen)
      else all[codename] = await release(lab, codename, chosen)
    })
  }
  let missed = 0
  for (const [codename, results] of Object.entries(all)) {
    heading(`Debian ${codename}: median (least to most) of ${chosen.runs}`)
    const text = table(results, chosen.profiles)
    missed += text.split('MISSED').length - 1
    console.log(text)
  }
  if (chosen.json !== undefined)
    writeFileSync(
      chosen.json,
      `${JSON.stringify(Object.fromEntries(Object.entries(all).map(([k, v]) => [k, Object.fromEntries(v)])), undefined, 1)}\n`,
    )
  return missed > 0 ? 1 : 0
})
