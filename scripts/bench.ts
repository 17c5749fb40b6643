// How hactl's time compares, on the lab's servers, all in one run: with plain ssh doing the least that must be done,
// and with Ansible doing the same job. Seconds differ from machine to machine: read the ratios.
//   npm run bench -- [--rounds N] [--idle-rounds N] [--no-ansible] [--beside HACTL] [--json FILE]
// --beside: another build of hactl (the dist/hactl.mjs of another checkout), timed in the same rounds. This build is then timed with
// `open_connections: reset` as well: an older build may know no service that keeps connections open.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as contenders from './bench/contenders.ts'
import { buildHactl, type LabFile, resetLab, withLab } from './support/lab.ts'
import { median, widthsOf } from './support/figures.ts'
import { bold, heading } from './support/output.ts'
import { hactlBin, root } from './support/places.ts'
import { main, messageOf, Stop, stopIfInterrupted } from './support/process.ts'

const BARS = { fresh: 1.25, idle: 2.5, sessions: 1 }

interface Settings {
  readonly rounds: number
  readonly idleRounds: number
  readonly withAnsible: boolean
  readonly json: string | undefined
  /** Its program; undefined: only this checkout's. */
  readonly beside: string | undefined
}

function settings(): Settings {
  try {
    const { values } = parseArgs({
      options: {
        rounds: { type: 'string', default: '3' },
        'idle-rounds': { type: 'string', default: '7' },
        'no-ansible': { type: 'boolean', default: false },
        json: { type: 'string' },
        beside: { type: 'string' },
      },
    })
    const [rounds, idleRounds] = [Number(values.rounds), Number(values['idle-rounds'])]
    for (const n of [rounds, idleRounds])
      if (!(Number.isInteger(n) && n >= 1 && n <= 50)) throw new Error(`${n}: give a number of rounds from 1 to 50`)
    return { rounds, idleRounds, withAnsible: !values['no-ansible'], json: values.json, beside: values.beside }
  } catch (error) {
    throw new Stop('the arguments are wrong', messageOf(error), 'npm run bench -- --rounds 3 --idle-rounds 7 --no-ansible --json FILE', 3)
  }
}

/** What is timed of the build that --beside names, and of this one where it keeps no connections open. */
const OTHER = ', the other build'
const RESET = ', open_connections: reset'

const times: Record<string, number[]> = {}
function note(what: string, ms: number): void {
  times[what] = [...(times[what] ?? []), ms]
  console.log(`${what}: ${(ms / 1000).toFixed(2)} s`)
  stopIfInterrupted('no figures', 'npm run bench')
}

/** The order changes from round to round: whoever comes second may find a warm cache. */
const rotated = <T>(list: readonly T[], by: number): readonly T[] => [...list.slice(by % list.length), ...list.slice(0, by % list.length)]

/** Paths of inventories. `reset` differs by that key. */
interface Inventories {
  readonly plain: string
  readonly reset: string
}

async function freshRounds(
  lab: LabFile,
  { plain, reset }: Inventories,
  folder: string,
  { rounds, withAnsible, beside }: Settings,
): Promise<void> {
  const jobs = [
    async () => note('fresh: apt-get over 3 ssh', (await contenders.installOverSsh(lab)).ms),
    async () => {
      note('fresh: hactl deploy', (await contenders.hactl(plain, ['deploy', '--yes'])).ms)
      await contenders.mustAnswer(lab, 'hactl')
      if (withAnsible) await contenders.keepFiles(lab, folder)
    },
    ...(beside === undefined
      ? []
      : [
          async () => {
            note(`fresh: hactl deploy${RESET}`, (await contenders.hactl(reset, ['deploy', '--yes'])).ms)
            await contenders.mustAnswer(lab, 'hactl')
          },
          async () => {
            note(`fresh: hactl deploy${OTHER}`, (await contenders.hactl(plain, ['deploy', '--yes'], beside)).ms)
            await contenders.mustAnswer(lab, 'the other build of hactl')
          },
        ]),
    ...(withAnsible
      ? [
          async () => {
            note('fresh: Python for Ansible', (await contenders.installPythonOverSsh(lab)).ms)
            note('fresh: Ansible', (await contenders.ansible(lab, folder)).ms)
            await contenders.mustAnswer(lab, 'Ansible')
          },
        ]
      : []),
  ]
  for (let round = 0; round < rounds; round++) {
    heading(`fresh servers, round ${round + 1} of ${rounds}`)
    // The playbook needs the files that hactl made: in the first round hactl comes before it.
    for (const job of rotated(jobs, round % 2)) {
      await resetLab()
      await job()
    }
  }
}

interface Idle {
  readonly changes: number
  readonly sessions: Sessions
}

/** SSH sessions per server. */
interface Sessions {
  readonly plan: number
  readonly deploy: number
}

async function idleRounds(lab: LabFile, inventory: string, folder: string, { idleRounds: rounds, withAnsible }: Settings): Promise<Idle> {
  heading('nothing to do')
  const idle = await idleHactl(lab, inventory, rounds, hactlBin, '')
  if (withAnsible) await idleAnsible(lab, folder, Math.min(rounds, 3))
  return idle
}

/** What another build has deployed is a change to this one: each has fresh servers, and a plain ssh of its own to compare with. */
async function idleHactl(lab: LabFile, inventory: string, rounds: number, program: string, whose: string): Promise<Idle> {
  await resetLab()
  await contenders.hactl(inventory, ['deploy', '--yes'], program)
  let changes = 0
  const jobs = [
    async () => note(`idle: one command over 3 ssh${whose}`, (await contenders.readOverSsh(lab)).ms),
    async () => {
      const { ms, result } = await contenders.hactl(inventory, ['deploy', '--yes'], program)
      changes += (result.servers ?? []).reduce((sum, server) => sum + server.changed.length, 0)
      note(`idle: hactl deploy${whose}`, ms)
    },
    async () => note(`idle: hactl plan${whose}`, (await contenders.hactl(inventory, ['plan'], program)).ms),
  ]
  for (let round = 0; round < rounds; round++) for (const job of rotated(jobs, round % jobs.length)) await job()
  return { changes, sessions: await countSessions(lab, inventory, program) }
}

async function countSessions(lab: LabFile, inventory: string, program: string): Promise<Sessions> {
  await contenders.logSessions(lab)
  const counted = async (words: readonly string[]) => {
    const before = await contenders.sessionsSoFar(lab)
    await contenders.hactl(inventory, words, program)
    const after = await contenders.sessionsSoFar(lab)
    const most = Math.max(...after.map((count, at) => count - (before[at] ?? Number.NaN)))
    if (!(most >= 1)) throw new Stop('the SSH sessions cannot be counted', 'sshd logged no session', 'run journalctl -t sshd on a server')
    return most
  }
  return { plan: await counted(['plan']), deploy: await counted(['deploy', '--yes']) }
}

async function idleAnsible(lab: LabFile, folder: string, rounds: number): Promise<void> {
  await contenders.installPythonOverSsh(lab)
  for (let round = 0; round <= rounds; round++) {
    const { ms, changed } = await contenders.ansible(lab, folder)
    // The first run may still settle something; it is not timed.
    if (round === 0) continue
    if (changed > 0)
      throw new Stop('Ansible found something to do', `it reported ${changed} changes`, 'make scripts/bench/site.yml idempotent')
    note('idle: Ansible', ms)
  }
}

const COMPARED_WITH: Readonly<Record<string, string>> = {
  'fresh: hactl deploy': 'fresh: apt-get over 3 ssh',
  'fresh: Python for Ansible': 'fresh: apt-get over 3 ssh',
  'fresh: Ansible': 'fresh: apt-get over 3 ssh',
  'idle: hactl deploy': 'idle: one command over 3 ssh',
  'idle: hactl plan': 'idle: one command over 3 ssh',
  'idle: Ansible': 'idle: one command over 3 ssh',
  ...Object.fromEntries(
    [OTHER, RESET].flatMap(whose => [
      [`fresh: hactl deploy${whose}`, 'fresh: apt-get over 3 ssh'],
      [`idle: hactl deploy${whose}`, `idle: one command over 3 ssh${whose}`],
      [`idle: hactl plan${whose}`, `idle: one command over 3 ssh${whose}`],
    ]),
  ),
}

interface Figure {
  readonly what: string
  readonly runs: number
  readonly min: number
  readonly median: number
  readonly max: number
  readonly ratio: number | undefined
}

function figures(): readonly Figure[] {
  return Object.entries(times).map(([what, values]) => {
    const floor = times[COMPARED_WITH[what] ?? '']
    return {
      what,
      runs: values.length,
      min: Math.min(...values),
      median: median(values),
      max: Math.max(...values),
      ratio: floor && median(values) / median(floor),
    }
  })
}

function printTable(rows: readonly Figure[]): void {
  const inSeconds = (ms: number) => (ms / 1000).toFixed(2)
  const cells = [
    ['seconds', 'runs', 'min', 'median', 'max', 'x plain ssh'],
    ...rows.map(row => [
      row.what,
      String(row.runs),
      inSeconds(row.min),
      inSeconds(row.median),
      inSeconds(row.max),
      row.ratio?.toFixed(2) ?? '1',
    ]),
  ]
  const widths = widthsOf(cells)
  for (const [at, row] of cells.entries()) {
    const line = row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ')
    console.log(at === 0 ? bold(line) : line)
  }
}

interface Bar {
  readonly what: string
  readonly value: number
  readonly limit: number
  readonly met: boolean
}

function verdicts(rows: readonly Figure[], { changes, sessions }: Idle): readonly Bar[] {
  const ratio = (what: string) => rows.find(row => row.what === what)?.ratio ?? Number.NaN
  const bar = (what: string, value: number, limit: number) => ({ what, value, limit, met: value <= limit })
  return [
    bar('fresh deploy, x apt-get over three ssh', ratio('fresh: hactl deploy'), BARS.fresh),
    bar('deploy with nothing to do, x one command over three ssh', ratio('idle: hactl deploy'), BARS.idle),
    bar('changes reported by all deploys with nothing to do', changes, 0),
    bar("SSH sessions per server for plan, from sshd's log", sessions.plan, BARS.sessions),
  ]
}

function printVerdicts(bars: readonly Bar[]): void {
  console.log('')
  for (const { what, value, limit, met } of bars)
    console.log(`${met ? 'met   ' : 'MISSED'}  ${what}: ${Number(value.toFixed(2))} (at most ${limit})`)
}

/** What one contender needs on fresh servers to what the other needs. */
function printAgainstAnsible(rows: readonly Figure[]): void {
  const of = (what: string) => rows.find(row => row.what === what)?.median ?? Number.NaN
  const [ansible, python, idle] = [of('fresh: Ansible'), of('fresh: Python for Ansible'), of('idle: Ansible')]
  if (Number.isNaN(ansible) || Number.isNaN(idle)) return
  const x = (a: number, b: number) => `${(a / b).toFixed(1)} x`
  console.log(`
Ansible takes ${x(ansible, of('fresh: hactl deploy'))} hactl's time on fresh servers (${x(ansible + python, of('fresh: hactl deploy'))} with the Python that it needs there first), ${x(idle, of('idle: hactl deploy'))} with nothing to do.
Its playbook works on all servers at once and proves nothing; hactl goes one by one with gates, the holder last.`)
}

await main(async () => {
  const chosen = settings()
  process.chdir(root)
  await buildHactl()
  return withLab(async lab => {
    const folder = mkdtempSync(join(tmpdir(), 'hb-'))
    try {
      const loadBefore = loadavg()[0] ?? 0
      const ansibleVersion = chosen.withAnsible ? await contenders.ensureAnsible() : undefined
      const plain = contenders.writeInventory(lab, folder, 'inventory')
      const reset = contenders.writeInventory(lab, folder, 'reset', 'open_connections: reset\n')
      await freshRounds(lab, { plain, reset }, folder, chosen)
      const idle = await idleRounds(lab, plain, folder, chosen)
      if (chosen.beside !== undefined) await idleHactl(lab, reset, chosen.idleRounds, hactlBin, RESET)
      const other = chosen.beside === undefined ? undefined : await idleHactl(lab, plain, chosen.idleRounds, chosen.beside, OTHER)
      heading('result')
      const rows = figures()
      printTable(rows)
      printAgainstAnsible(rows)
      const bars = verdicts(rows, idle)
      printVerdicts(bars)
      console.log(`SSH sessions per server for a deploy with nothing to do: ${idle.sessions.deploy}`)
      if (other !== undefined)
        console.log(
          `The other build: ${other.sessions.plan} for plan, ${other.sessions.deploy} for a deploy; ${other.changes} changes reported`,
        )
      const machine = {
        node: process.versions.node,
        cpus: cpus().length,
        release: lab.release,
        ansible: ansibleVersion,
        load_before: loadBefore,
      }
      console.log(
        `${machine.cpus} cores, Debian ${lab.release}${ansibleVersion ? `, ansible-core ${ansibleVersion}` : ''}, load at the start ${loadBefore.toFixed(1)}`,
      )
      if (loadBefore > 1) console.log('The machine was busy at the start: do not quote these figures.')
      if (chosen.json) writeFileSync(chosen.json, `${JSON.stringify({ machine, rows, bars, sessions: idle.sessions, times }, null, 2)}\n`)
      return bars.every(bar => bar.met) ? 0 : 1
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
