/** The report for programs: every fact and every sample, in a shape that carries its version. */
import { type DrillFacts, type ErrorGroup, factsOf } from './facts.ts'
import type { Span } from './lanes.ts'
import type { FailoverRun } from './record.ts'

/** Incremented when a key changes its meaning or goes away. New keys may appear within one version. */
const REPORT_VERSION = 1

/**
 * One JSON object. Keys are those of `verify-failover --json`. All times are ms since what `since` of their drill says. What is not
 * known is null. Samples are tables: `columns` names the values in each of `rows`.
 */
export function renderJsonReport(run: FailoverRun): string {
  const facts = factsOf(run)
  const report = {
    report: REPORT_VERSION,
    hactl: facts.hactl,
    cluster: facts.cluster,
    servers: facts.servers,
    began_at: facts.beganAt,
    ended_at: facts.endedAt,
    exit: facts.exit,
    max_outage_ms: facts.maxOutageMs,
    problems: facts.problems,
    drills: facts.drills.map(drillObject),
  }
  return `${JSON.stringify(report, (_key, value: unknown) => (value === undefined ? null : value))}\n`
}

function drillObject(drill: DrillFacts): object {
  return {
    drill: drill.drill,
    title: drill.title,
    vip: drill.vip,
    asked: drill.asked,
    verdict: drill.verdict,
    from: drill.from,
    predicted: drill.predicted,
    to: drill.to,
    outage_ms: drill.outageMs,
    max_outage_ms: drill.maxOutageMs,
    failed_probes: drill.failedProbes,
    probes: drill.probes,
    origins: (drill.origins ?? []).map(({ from, probes, failedProbes, outageMs }) => ({
      from,
      probes,
      failed_probes: failedProbes,
      outage_ms: outageMs,
    })),
    connections: drill.connections,
    connections_cut: drill.connectionsCut,
    connections_cut_by: drill.connectionsCutBy,
    connections_promised: drill.connectionsPromised,
    holders_max: drill.holdersMax,
    failback: drill.failback,
    failback_outage_ms: drill.failbackOutageMs,
    restored: drill.restored,
    reasons: drill.reasons,
    notes: drill.notes,
    since: drill.zero,
    window_ms: drill.axis === undefined ? undefined : [drill.axis.fromMs, drill.axis.toMs],
    marks: drill.marks.map(({ mark, atMs, server }) => ({ mark, at_ms: atMs, server })),
    interruptions: drill.interruptions.map(gap => ({
      from: gap.from,
      from_ms: gap.fromMs,
      to_ms: gap.toMs,
      failed_probes: gap.failedProbes,
      phase: gap.phase,
    })),
    errors: drill.errors.map(errorObject),
    cuts: drill.cuts.map(errorObject),
    servers: drill.lanes.map(lane => ({
      server: lane.server,
      held: lane.holds.map(pair),
      units: Object.fromEntries(
        Object.entries(lane.units).map(([unit, spans]) => [unit, spans.map(span => ({ state: span.state, from_to_ms: pair(span) }))]),
      ),
      silences: lane.silences.map(span => ({ state: span.state, from_to_ms: pair(span) })),
    })),
    samples: {
      probes: {
        columns: ['from', 'sent_ms', 'took_ms', 'ok', 'error'],
        rows: drill.probeLanes.flatMap(({ from, probes }) =>
          probes.map(({ atMs, tookMs, ok, error }) => [from, atMs, tenth(tookMs), ok, ...(error === undefined ? [] : [error])]),
        ),
      },
      connections: {
        columns: ['from', 'at_ms', 'id', 'event', 'error', 'use', 'by'],
        rows: drill.connectionEvents.map(({ from, atMs, id, event, error, use, by }) => [
          from,
          atMs,
          id,
          event,
          ...(use === undefined ? (error === undefined ? [] : [error]) : [error ?? null, use, ...(by === undefined ? [] : [by])]),
        ]),
      },
      holders: {
        columns: ['server', 'at_ms', 'uptime_ms', 'reachable', 'holds', 'units', 'trackers'],
        rows: drill.looks.map(look => [
          look.server,
          look.atMs,
          look.uptimeMs,
          look.reachable,
          look.holds,
          look.units,
          ...(look.trackers === undefined ? [] : [look.trackers]),
        ]),
      },
    },
    journal: drill.journal.map(({ server, sinceMs, atMs, source, message }) => ({
      server,
      since_ms: sinceMs,
      epoch_ms: tenth(atMs),
      source,
      message,
    })),
    journal_gaps: drill.journalGaps,
  }
}

function errorObject({ error, count, firstMs, lastMs, from }: ErrorGroup): object {
  return { error, count, first_ms: firstMs, last_ms: lastMs, from }
}

function pair({ fromMs, toMs }: Span): readonly [number, number] {
  return [fromMs, toMs]
}

function tenth(ms: number): number {
  return Math.round(ms * 10) / 10
}
