/** haproxy.cfg from the inventory's frontends and backends. */
import type { HaproxyBackend, HaproxyFrontend, InventoryHaproxy } from '../../inventory/inventory.ts'
import { HactlError } from '../../errors.ts'
import { GENERATED_LINE } from '../paths.ts'

/**
 * The same defaults as in Debian's package. expose-fd listeners hands the sockets to the new process at a reload (needed before haproxy
 * 2.6, harmless after). hard-stop-after ends old workers, which long connections would keep for ever (evidence H5).
 * No maxconn here: haproxy derives it from the limit on open files, and a number above that passes haproxy -c but does not start.
 */
const GLOBAL = [
  'log /dev/log local0',
  'log /dev/log local1 notice',
  'chroot /var/lib/haproxy',
  'stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners',
  'stats timeout 30s',
  'user haproxy',
  'group haproxy',
  'hard-stop-after 10m',
]

/**
 * default-server: a server that had no network takes the address back as soon as keepalived hears its peers, and answers 503 until its
 * haproxy has found the backends again. With a check every 500 ms of backends that are down or about to change, instead of every 2 s,
 * that lasts 0.02 s to 1.4 s instead of 1.6 s to 3.4 s (evidence H9; haproxy's manual, "fastinter").
 */
const DEFAULTS = [
  'log global',
  'mode http',
  'option dontlognull',
  'option redispatch',
  'retries 3',
  'timeout http-request 10s',
  'timeout queue 30s',
  'timeout connect 5s',
  'timeout client 1m',
  'timeout server 1m',
  'timeout http-keep-alive 10s',
  'timeout check 5s',
  'default-server fastinter 500ms downinter 500ms',
]

/** One line of a section. Nothing in it may start another line. */
function configLine(text: string, where: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what must not pass
  if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(text) || text.trim() === '') {
    throw new HactlError({
      code: 'E_INVENTORY_INVALID',
      what: `${where}: a line of haproxy.cfg cannot be empty or hold a line break or control character`,
      fix: 'write one list entry per line',
    })
  }
  return text.trim()
}

/** Lines of the operator replace ours that set the same thing: two `maxconn` would make haproxy warn. */
function withOwnLines(ours: readonly string[], own: readonly string[]): readonly string[] {
  // These may occur several times, or have a second word that distinguishes them.
  const key = (line: string): string => {
    const [first = '', second = ''] = line.split(/\s+/)
    return ['timeout', 'option', 'stats'].includes(first) ? `${first} ${second}` : first
  }
  const taken = new Set(own.map(key))
  return [...ours.filter(line => !taken.has(key(line))), ...own]
}

function section(head: string, lines: readonly string[]): string {
  return `${head}\n${lines.map(line => `    ${line}\n`).join('')}`
}

function frontendSection(frontend: HaproxyFrontend): string {
  const where = `frontend ${frontend.name}`
  const tcp = frontend.mode === 'tcp'
  const has = (start: string): boolean =>
    [...(frontend.option ?? []).map(o => `option ${o}`), ...(frontend.lines ?? [])].some(l => l.startsWith(start))
  const lines = [
    ...frontend.bind.map(bind => `bind ${bind}`),
    `mode ${frontend.mode ?? 'http'}`,
    ...(has('option tcplog') || has('option httplog') ? [] : [`option ${tcp ? 'tcplog' : 'httplog'}`]),
    ...(frontend.option ?? []).map(option => `option ${option}`),
    ...(frontend.lines ?? []),
    ...(frontend.default_backend === undefined ? [] : [`default_backend ${frontend.default_backend}`]),
  ]
  return section(
    `frontend ${configLine(frontend.name, where)}`,
    lines.map(line => configLine(line, where)),
  )
}

/** A backend without a mode gets the mode of the first frontend that sends to it: haproxy refuses a mix. */
function modeOfBackend(backend: HaproxyBackend, haproxy: InventoryHaproxy): 'http' | 'tcp' {
  const user = haproxy.frontends?.find(f => f.default_backend === backend.name)
  return backend.mode ?? user?.mode ?? 'http'
}

function backendSection(backend: HaproxyBackend, haproxy: InventoryHaproxy): string {
  const where = `backend ${backend.name}`
  const mode = modeOfBackend(backend, haproxy)
  const lines = [
    `mode ${mode}`,
    `balance ${backend.balance ?? 'roundrobin'}`,
    ...(backend.option ?? []).map(option => `option ${option}`),
    ...(backend.lines ?? []),
    ...backend.servers.map(server =>
      [
        `server ${server.name} ${server.address}`,
        ...(server.check === true ? ['check'] : []),
        ...(server.weight === undefined ? [] : [`weight ${server.weight}`]),
        ...(server.backup === true ? ['backup'] : []),
        ...(server.options ?? []),
      ].join(' '),
    ),
  ]
  return section(
    `backend ${configLine(backend.name, where)}`,
    lines.map(line => configLine(line, where)),
  )
}

/** The whole file; ends with a line feed, without which haproxy refuses it (evidence H4). */
export function renderHaproxyCfg(haproxy: InventoryHaproxy): string {
  const global = (haproxy.global ?? []).map(line => configLine(line, 'haproxy.global'))
  const defaults = (haproxy.defaults ?? []).map(line => configLine(line, 'haproxy.defaults'))
  return [
    `${GENERATED_LINE}\n`,
    section('global', withOwnLines(GLOBAL, global)),
    section('defaults', withOwnLines(DEFAULTS, defaults)),
    ...(haproxy.frontends ?? []).map(frontendSection),
    ...(haproxy.backends ?? []).map(backend => backendSection(backend, haproxy)),
  ].join('\n')
}
