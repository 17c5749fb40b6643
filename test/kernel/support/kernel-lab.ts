/** What servers of the lab of real kernels can do beyond those of the lab of containers, and an inventory that their slowness can hold. */
import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type DrillLine,
  expectExit,
  type Json,
  labInventory,
  resultOf,
  type Run,
  vrrpInstance,
  type Workspace,
} from '../../e2e/support/hactl.ts'
import { type Lab, labCommand, labFolder, openLab, root, SERVERS, until } from '../../e2e/support/lab.ts'

/** How eth2 and eth3 are set up, now and at each boot. */
type Wiring = 'plain' | 'vlan' | 'bond' | 'bond-vlan' | 'bridge' | 'vlan-bridge'

export interface KernelLab extends Lab {
  readonly vlan: NonNullable<Lab['vlan']>
  /** Ends the server at once, as a power failure does. */
  cutPower(server: string): Promise<void>
  /** Starts servers from their disks; resolves when each answers ssh. */
  powerOn(...servers: readonly string[]): Promise<void>
  /** A new disk: nothing was ever installed on it. */
  fresh(server: string): Promise<void>
  cutCard(server: string, card: string): Promise<void>
  mendCard(server: string, card: string): Promise<void>
  wire(server: string, how: Wiring): Promise<void>
  /** So many ms there and back, and so many % of the packets lost each way, between the server and the controller alone. */
  slow(server: string, ms: number, loss: number): Promise<void>
  fast(server: string): Promise<void>
}

export function openKernelLab(): KernelLab {
  const lab = openLab()
  if (lab.vlan === undefined) throw new Error('this is not the lab of real kernels: set HACTL_LAB=kernel')
  return {
    ...lab,
    vlan: lab.vlan,
    cutPower: server => labCommand('cut-power', server),
    powerOn: (...servers) => labCommand('power-on', ...servers),
    fresh: server => labCommand('fresh', server),
    cutCard: (server, card) => labCommand('cut', server, card),
    mendCard: (server, card) => labCommand('mend', server, card),
    wire: (server, how) => labCommand('wire', server, how),
    slow: (server, ms, loss) => labCommand('slow', server, String(ms), String(loss)),
    fast: server => labCommand('slow', server, 'off'),
  }
}

/** Of one run of hactl there, in ms. A first deploy takes a minute, on a busy machine several. */
export const RUN_LIMIT_MS = 600_000

/**
 * A check that is late, or adverts that are late by seconds, are a guest that waits for a CPU and not a failure. What is asked here is whether
 * something happens and in which order, never how fast. Each check also costs a guest a third of a second of CPU.
 */
export const patientVrrp = (lab: Lab, over: Json = {}): Json => ({
  vrrp_script: { interval: 10, timeout: 10, fall: 3, rise: 1 },
  vrrp_instances: [vrrpInstance(lab, { advert_int: 2, ...over })],
})

export const patientInventory = (lab: Lab, over: Json = {}): Json => labInventory(lab, { ...patientVrrp(lab), ...over })

/** Where servers of these wirings have ssh and VRRP: the device, and their entries of an inventory. */
export const onVlan = (
  { vlan }: KernelLab,
  how: 'bond-vlan' | 'vlan-bridge',
): { readonly device: string; readonly servers: readonly Json[] } => ({
  device: how === 'vlan-bridge' ? 'br0' : `bond0.${vlan.id}`,
  servers: SERVERS.map(name => ({ name, host: `${vlan.prefix}.1${name.replace('srv-', '')}` })),
})

/** What such servers may need to take over. */
export const MAX_OUTAGE = ['--max-outage', '30s']

export const hactlOn =
  (work: Workspace) =>
  (...argv: readonly string[]): Promise<Run> =>
    work.hactl([...argv, '--yes', '--json', '--timeout', '60'], { limitMs: RUN_LIMIT_MS })

/** Nothing to do, all services active, one holder. */
export async function expectConverged(lab: Lab, work: Workspace, address = lab.vip): Promise<void> {
  await until(`srv-1 alone holds ${address}`, 60_000, async () => (await lab.holders(address)).join() === 'srv-1')
  expectExit(await hactlOn(work)('plan', '--exit-code'), 0)
  const states = await lab.everywhere('systemctl is-active haproxy keepalived')
  if (states.some(state => state !== 'active\nactive\n')) throw new Error(`services: ${states.join(' | ')}`)
}

/** Deploys whatever the inventory says; servers that cannot be brought there are made anew. */
export async function ensureDeployedSlowly(lab: KernelLab, work: Workspace): Promise<void> {
  await lab.heal()
  // A run that was interrupted may have left them far away.
  await Promise.all(SERVERS.map(server => lab.fast(server)))
  const deploy = () => hactlOn(work)('deploy', '--adopt')
  const first = await deploy()
  if (first.exit === 0) return
  noteFigure(`the servers were made anew: ${first.stderr.slice(-1000)}`)
  await lab.reset()
  expectExit(await deploy(), 0)
}

/** A shipped drill that gives two holders as long as adverts every 2 s need to hear each other again. */
export function patientDrill(work: Workspace, file: string): string {
  const text = readFileSync(join(root, 'playbooks/drills', file), 'utf8')
  return work.write(file, text.replace(/^  heals_ms: .*$/m, '  heals_ms: 10000'))
}

/** The one drill of this run; throws with its reasons unless it passed and everything was restored. Its figures are noted. */
export function passedDrill(run: Run): DrillLine {
  const [drill] = resultOf(run).drills ?? []
  if (run.exit !== 0 || drill?.verdict !== 'passed' || !drill.restored)
    throw new Error(`hactl ended with ${run.exit}: ${JSON.stringify(drill ?? resultOf(run))}\n${run.stderr.slice(-3000)}`)
  const { outage_ms: outageMs, failed_probes: lost, probes } = drill
  noteFigure(`drill ${drill.drill}: ${outageMs ?? 0} ms without an answer, ${lost} of ${probes} probes lost`)
  return drill
}

/** Kept in the lab's folder; `npm run test:kernel` prints them at its end. */
export function noteFigure(text: string): void {
  appendFileSync(join(labFolder, 'figures'), `${text}\n`)
}

/** Notes how long something took. */
export async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const began = performance.now()
  const done = await work()
  noteFigure(`${what}: ${((performance.now() - began) / 1000).toFixed(1)} s`)
  return done
}
