/**
 * CPU for a request with the rules and without, while no move is under way. A packet between two veths is received in the softirq of whoever sent
 * it, so no process or container has just its own part: the whole machine's CPU is divided by the requests, clients and all. Both differ by the rules only.
 */
import { finallyDo, stopIfInterrupted, Stop } from '../../support/process.ts'
import { sleep } from '../failover-lab.ts'
import { AGAIN, type CostLab } from './cost-lab.ts'
import { cpuBetween, othersIn } from './cpu.ts'
import { judgeRequests, type Judged, parseWrk, type RequestCosts } from './figures.ts'
import { LONG_PATH, PORTS } from './inventory.ts'
import { allProcesses, machineCpuMs } from './processes.ts'

/** Other processes may have so much of the CPU that was used. */
const MOST_OTHERS = 0.03
const MOST_TRIES = 4
const REST_MS = 2000
const WARM_SECONDS = 1
const CONNECTIONS = 32

const VARIANTS = [
  { name: 'kept-alive connections', words: [] },
  { name: 'a new connection for each request', words: ['-H', 'Connection: close'] },
] as const
type Variant = (typeof VARIANTS)[number]

interface Measured {
  readonly perRequestUs: number
  readonly requests: number
  readonly errors: number
  /** Share of the CPU that was used. */
  readonly others: number
}

async function load({ lab, place }: CostLab, { words }: Variant, seconds: number): Promise<string> {
  // The port that is bound by name: its packets also meet the rule that marks them.
  const url = `http://${lab.vip}:${PORTS.named}${LONG_PATH}`
  const wrk = place.start('wrk', '-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, ...words, url)
  await wrk.ended((seconds + 30) * 1000)
  return wrk.lines.join('\n')
}

async function measure(bench: CostLab, variant: Variant, seconds: number): Promise<Measured> {
  const containers = await bench.containers()
  await load(bench, variant, WARM_SECONDS)
  const before = allProcesses()
  const beganMs = machineCpuMs()
  const said = await load(bench, variant, seconds)
  const usedMs = machineCpuMs() - beganMs
  const after = allProcesses()
  const done = parseWrk(said)
  if (done === undefined || done.requests === 0)
    throw new Stop('wrk has made no requests', said || 'it said nothing', 'test/lab/lab status')
  const othersMs = cpuBetween(before, after, othersIn(after, containers, process.pid))
  return { ...done, perRequestUs: (usedMs * 1000) / done.requests, others: othersMs / usedMs }
}

/** Rounds in the order with, without, without, with, ... Says each, and what all of them show. The rules are on afterwards, whatever happens. */
export async function measureRequests(bench: CostLab, rounds: number, seconds: number): Promise<readonly Judged[]> {
  return await finallyDo(
    () => measureRounds(bench, rounds, seconds),
    () => bench.switch(true),
  )
}

async function measureRounds(bench: CostLab, rounds: number, seconds: number): Promise<readonly Judged[]> {
  await bench.outside('sysctl', '-qw', 'net.ipv4.ip_local_port_range=1024 65535', 'net.ipv4.tcp_tw_reuse=1')
  const found = new Map(VARIANTS.map(variant => [variant, { with: [], without: [], errors: 0 } as RequestCosts]))
  let thrownAway = 0
  for (let round = 0; round < rounds; round++) {
    for (const side of round % 2 === 0 ? (['with', 'without'] as const) : (['without', 'with'] as const)) {
      await bench.switch(side === 'with')
      await sleep(REST_MS)
      for (const [variant, values] of found) {
        for (let tries = 1; tries <= MOST_TRIES; tries++) {
          stopIfInterrupted('no figures', AGAIN)
          const { perRequestUs, requests, errors, others } = await measure(bench, variant, seconds)
          const isGood = others <= MOST_OTHERS
          console.log(
            `round ${round + 1}, ${side} the rules, ${variant.name}: ${perRequestUs.toFixed(2)} us of CPU a request (${requests.toLocaleString('en-US')} requests, ${errors} errors, ${(others * 100).toFixed(1)} % of the CPU used by others${errors > 0 ? ': no measurement' : isGood ? '' : ': thrown away'})`,
          )
          // One with errors is not tried again: what fails only now and then would not be seen.
          values.errors += errors
          if (errors > 0) break
          if (isGood) {
            values[side].push(perRequestUs)
            break
          }
          thrownAway += 1
        }
      }
    }
  }
  console.log(`${thrownAway} measurements were thrown away: other processes used more than ${MOST_OTHERS * 100} % of the CPU`)
  return [...found].map(([{ name }, costs]) => judgeRequests(name, costs))
}
