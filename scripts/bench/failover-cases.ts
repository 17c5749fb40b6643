// What is done to the holder, and what the fast profile promises for it.
import type { LabFile } from '../support/lab.ts'
import { docker, firewallVrrp, inside, lab as labDo, sleep } from './failover-lab.ts'

type Server = LabFile['servers'][number]
export type Hactl = (verb: string, name: string) => Promise<unknown>
type Act = (server: Server, hactl: Hactl) => Promise<unknown>

/** The most that the fast profile may show. */
export interface Bar {
  readonly lost?: number
  readonly outageMs?: number
  readonly oneHolderMs?: number
  readonly moves?: number
}

/**
 * `away`: the disturbance ends by itself or by `undo`; the address then goes home.
 * `profiles`: where it can be done at all. The undo is a row of its own where it has a `undoName`.
 */
export interface FailoverCase {
  readonly name: string
  readonly profiles?: readonly string[]
  readonly disturb: Act
  readonly undo?: Act
  readonly awayMs?: number
  readonly bar?: Bar
  readonly undoName?: string
  readonly undoBar?: Bar
}

const start = (unit: string) => (server: Server) => inside(server, `systemctl reset-failed ${unit} 2>/dev/null; systemctl start ${unit}`)
const killAll = (name: string) => (server: Server) => inside(server, `kill -9 $(pidof ${name})`)

export const CASES: readonly FailoverCase[] = [
  {
    name: 'haproxy-stop',
    disturb: server => inside(server, 'systemctl stop haproxy'),
    undo: start('haproxy'),
    bar: { lost: 0 },
    undoName: 'failback',
    undoBar: { lost: 0 },
  },
  { name: 'haproxy restart', disturb: server => inside(server, 'systemctl restart haproxy'), bar: { lost: 0 } },
  {
    name: 'drain',
    // Only the fast profile has a track file for it.
    profiles: ['fast'],
    disturb: (server, hactl) => hactl('drain', server.name),
    undo: (server, hactl) => hactl('undrain', server.name),
    bar: { lost: 0 },
    undoName: 'undrain',
    undoBar: { lost: 0 },
  },
  { name: 'planned reboot', disturb: server => inside(server, 'systemctl reboot'), bar: { lost: 0 }, awayMs: 4000 },
  {
    name: 'keepalived-stop',
    disturb: server => inside(server, 'systemctl stop keepalived'),
    undo: start('keepalived'),
    bar: { lost: 0 },
    undoName: 'keepalived start',
    undoBar: { lost: 0 },
  },
  { name: 'keepalived restart', disturb: server => inside(server, 'systemctl restart keepalived'), bar: { lost: 0 } },
  { name: 'haproxy-kill', disturb: killAll('haproxy'), bar: { outageMs: 200 } },
  {
    name: 'haproxy-hang',
    disturb: server => inside(server, 'kill -STOP $(pidof haproxy)'),
    undo: server => inside(server, 'kill -CONT $(pidof haproxy)'),
    bar: { outageMs: 400 },
  },
  {
    name: 'server-dead',
    disturb: server => docker('pause', server.container),
    undo: server => docker('unpause', server.container),
    bar: { outageMs: 600 },
  },
  { name: 'link-down', disturb: server => labDo('cut', server.name), undo: server => labDo('mend', server.name), bar: { outageMs: 600 } },
  // By the article nobody starts it again, and its server keeps the address beside the next holder.
  { name: 'keepalived-kill', disturb: killAll('keepalived'), undo: start('keepalived'), bar: { oneHolderMs: 2000 } },
  {
    name: 'partition',
    disturb: server => firewallVrrp(server, true),
    undo: server => firewallVrrp(server, false),
    undoName: 'partition healed',
    undoBar: { oneHolderMs: 1000 },
  },
  {
    name: '8 kills, 1.2 s apart',
    disturb: async server => {
      for (let i = 0; i < 8; i++) {
        const next = sleep(1200)
        await killAll('haproxy')(server)
        await next
      }
    },
    awayMs: 1000,
    bar: { moves: 2 },
  },
  { name: 'haproxy reload', disturb: server => inside(server, 'systemctl reload haproxy'), bar: { lost: 0, moves: 0 } },
  { name: 'keepalived reload', disturb: server => inside(server, 'systemctl reload keepalived'), bar: { lost: 0, moves: 0 } },
]
