/** The unit that hands the addresses over before haproxy or keepalived stops: a template, with one instance for each of the two. */
import type { Companion } from '../state/desired.ts'
import { PROGRAM_DIR } from '../state/places.ts'
import type { Unit } from '../state/units.ts'
import { GENERATED_LINE, HAND_OVER_UNIT, SERVICE_HOOKS } from './paths.ts'

/** The name of the instance for this service. */
export function handOverUnitOf(unit: Unit): string {
  return `hactl-hand-over@${unit}.service`
}

/** The instance for this service, as its companion. */
export function handOverCompanion(unit: Unit): Companion {
  return { unit: handOverUnitOf(unit), file: HAND_OVER_UNIT }
}

/**
 * systemd passes over ExecStop= of a service that is reloading (evidence T10, T17). This unit is never in that state. Nothing enables it:
 * the drop-ins let systemd start it together with the service (Wants=). `stopLimitSeconds`: undefined leaves it to systemd.
 */
export function renderHandOverUnit(stopLimitSeconds: number | undefined): string {
  return `${GENERATED_LINE}
[Unit]
Description=Hand the virtual addresses over before %i stops
# What starts after %i stops before it. A stop or restart of %i stops this too.
After=%i.service
PartOf=%i.service
# The hook below is there.
RequiresMountsFor=${PROGRAM_DIR}
# It starts as often as %i does, also after crashes in a row: with a limit, the next stop would not hand over.
StartLimitIntervalSec=0

[Service]
# Active from the start of %i to its stop, and nothing runs meanwhile. "-": a hook that fails keeps %i from nothing.
Type=oneshot
RemainAfterExit=yes
ExecStart=-${SERVICE_HOOKS} %i-runs
ExecStop=-${SERVICE_HOOKS} %i-stopping
${stopLimit(stopLimitSeconds)}`
}

/** A line for a unit whose stop waits for open connections; empty where `seconds` is undefined. */
export function stopLimit(seconds: number | undefined): string {
  return seconds === undefined ? '' : `# A stop waits for connections that are open.\nTimeoutStopSec=${seconds}\n`
}
