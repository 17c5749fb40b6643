/**
 * Everything that happens while hactl works on servers, as data: all that any renderer may know. Types only.
 * Titles say what is being done to what, in the operator's words: "install haproxy 2.6.12", "write /etc/haproxy/haproxy.cfg".
 * A server is named as the inventory names it. Durations are in ms. Nothing here may carry a secret.
 */

export type EngineEvent = ObserveEvent | ApplyEvent | DrillEvent | RemarkEvent

type ObserveEvent =
  | { readonly kind: 'observe-started'; readonly server: string }
  | {
      readonly kind: 'observed'
      readonly server: string
      readonly durationMs: number
      /** What was found, in one line: "Debian GNU/Linux 12, haproxy 2.6.12, keepalived 2.2.7". */
      readonly detail?: string
    }
  | { readonly kind: 'observe-failed'; readonly server: string; readonly durationMs: number; readonly detail: string }
  | { readonly kind: 'plan-ready'; readonly servers: readonly PlannedServer[]; readonly outageMs: number }

interface PlannedServer {
  readonly server: string
  readonly changes: number
  readonly unchanged: number
}

type ApplyEvent =
  | {
      readonly kind: 'lock-taken'
      readonly id: string
      readonly servers: readonly string[]
    }
  /** A stage of the playbook begins; `servers` are those with something to do in it. */
  | { readonly kind: 'stage-started'; readonly stage: string; readonly title: string; readonly servers: readonly string[] }
  /** The servers of one wave are changed together, 1-based: wave 1 of 3. */
  | {
      readonly kind: 'wave-started'
      readonly stage: string
      readonly wave: number
      readonly waves: number
      readonly servers: readonly string[]
    }
  | { readonly kind: 'action-started'; readonly server: string; readonly id: string; readonly title: string }
  | {
      readonly kind: 'action-done'
      readonly server: string
      readonly id: string
      readonly title: string
      readonly durationMs: number
      readonly detail?: string
    }
  | {
      readonly kind: 'action-failed'
      readonly server: string
      readonly id: string
      readonly title: string
      readonly durationMs: number
      readonly detail: string
    }
  /** Sent at every look while a gate does not hold yet; `detail` is what is still missing. */
  | {
      readonly kind: 'gate-waiting'
      readonly gate: string
      readonly title: string
      readonly servers: readonly string[]
      readonly detail?: string
    }
  | {
      readonly kind: 'gate-passed'
      readonly gate: string
      readonly title: string
      readonly servers: readonly string[]
      readonly durationMs: number
    }
  | {
      readonly kind: 'gate-failed'
      readonly gate: string
      readonly title: string
      readonly servers: readonly string[]
      readonly durationMs: number
      readonly detail: string
    }
  /** Something was put back as it was: the old haproxy.cfg, a service started again. */
  | { readonly kind: 'restored'; readonly server: string; readonly title: string }

export type DrillEvent =
  /** Before anything is armed or disturbed. */
  | {
      readonly kind: 'drill-announced'
      readonly drill: string
      readonly server: string
      readonly vip: string
      readonly title: string
      /** What must be seen, in one line. */
      readonly expects: string
    }
  /** The undo timer runs on the server before anything is disturbed there. */
  | {
      readonly kind: 'drill-armed'
      readonly drill: string
      readonly server: string
      readonly title: string
      /** The server undoes the disturbance by itself after this long. */
      readonly undoAfterMs: number
    }
  | { readonly kind: 'drill-disturbed'; readonly drill: string; readonly server: string; readonly title: string }
  | {
      readonly kind: 'drill-sample'
      readonly drill: string
      readonly vip: string
      /** Since the disturbance; undefined before it. */
      readonly atMs: number | undefined
      /** Which servers hold the address; undefined where a server did not answer. */
      readonly holds: Readonly<Record<string, boolean | undefined>>
      /** systemd's word for each watched unit of the servers that answered. */
      readonly units?: Readonly<Record<string, Readonly<Record<string, string>>>>
      readonly probesOk: number
      readonly probesFailed: number
      readonly probesPerSecond?: number
      /** The longest interruption yet, in ms. */
      readonly outageMs?: number
    }
  | { readonly kind: 'drill-undone'; readonly drill: string; readonly server: string; readonly title: string }
  | {
      readonly kind: 'drill-verdict'
      readonly drill: string
      readonly vip: string
      readonly verdict: 'passed' | 'failed' | 'refused'
      /** One line: "srv-2 took over, 0 of 640 probes lost". */
      readonly title: string
    }

export type RemarkEvent =
  | { readonly kind: 'note'; readonly server?: string; readonly text: string }
  | { readonly kind: 'warning'; readonly server?: string; readonly text: string }
