/** keepalived's own dumps: its instances (JSON), and its values of track files. What a server says is hostile until checked. */
import type { ObservedInstance } from '../../state/instance.ts'

/**
 * The track files of keepalived's data dump (dump_track_file in track_file.c, 2.1.0 to 2.4.3; dump_vfile in vrrp_data.c, 2.0.19): "File =" and
 * "Status =" on lines of their own. undefined unless the next heading follows, which proves that none is missing. Only files that did not
 * change while the dump was asked for and read.
 */
export function parseHeld(
  text: string,
  changing: readonly string[],
  now: Readonly<Record<string, string>>,
): Readonly<Record<string, number>> | undefined {
  const lines = text.split('\n').filter(line => line.trim() !== '')
  if (lines.length < 2 || !lines.at(-1)?.startsWith('------<')) return undefined
  const held: Record<string, number> = {}
  let path: string | undefined
  for (const line of lines) {
    path = /^\s+File = (\/\S+)$/.exec(line)?.[1] ?? path
    const status = /^\s+Status = (-?\d{1,10})$/.exec(line)?.[1]
    if (status === undefined || path === undefined) continue
    if (now[path] !== undefined && !changing.includes(path)) held[path] = Number(status)
    path = undefined
  }
  return held
}

const STATES = ['INIT', 'BACKUP', 'MASTER', 'FAULT'] as const

/**
 * keepalived's JSON dump (vrrp/vrrp_json.c): an array of {data, stats}, or {vrrp: [...]} with json_version 2.
 * An unreadable dump gives no instances: the callers treat "keepalived runs but shows no instance" as unhealthy.
 */
export function parseInstances(text: string): ObservedInstance[] {
  let dump: unknown
  try {
    dump = JSON.parse(text)
  } catch {
    return []
  }
  const list = Array.isArray(dump) ? dump : isRecord(dump) && Array.isArray(dump['vrrp']) ? dump['vrrp'] : []
  return list.flatMap((entry: unknown) => {
    const data = isRecord(entry) && isRecord(entry['data']) ? entry['data'] : undefined
    if (data === undefined) return []
    const number = (key: string) => {
      const value = Number(data[key] ?? 0)
      return Number.isFinite(value) ? value : 0
    }
    const string = (key: string) => {
      const value = data[key]
      return typeof value === 'string' ? value : ''
    }
    const strings = (key: string) => (Array.isArray(data[key]) ? data[key].map(String) : [])
    const version = number('version')
    return [
      {
        name: string('iname'),
        interface: string('ifp_ifname'),
        virtualRouterId: number('vrid'),
        state: STATES[number('state')] ?? 'UNKNOWN',
        basePriority: number('base_priority'),
        effectivePriority: number('effective_priority'),
        advertIntMs: Math.round(number('adver_int') * 1000),
        version: version === 2 || version === 3 ? version : undefined,
        nopreempt: data['nopreempt'] === true,
        ...(number('preempt_delay') > 0 ? { delaysPreempt: true } : {}),
        virtualAddresses: strings('vips').map(vip => (vip.split(' ')[0] ?? '').replace(/\/\d+$/, '')),
        trackScripts: strings('track_script').map(script => script.replace(/^'|'$/g, '')),
        ...parseAdverts(isRecord(entry) ? entry['stats'] : undefined),
      },
    ]
  })
}

/** keepalived, vrrp_check_packet(): the reasons for which it refuses an advert. */
const REFUSALS = [
  'packet_len_err',
  'advert_interval_err',
  'ip_ttl_err',
  'invalid_type_rcvd',
  'addr_list_err',
  'invalid_authtype',
  'authtype_mismatch',
  'auth_failure',
] as const

function parseAdverts(stats: unknown): Pick<ObservedInstance, 'adverts' | 'refusedAdverts'> {
  if (!isRecord(stats)) return {}
  const count = (key: string) => {
    const value = Number(stats[key] ?? 0)
    return Number.isSafeInteger(value) && value > 0 ? value : 0
  }
  return {
    adverts: count('advert_rcvd') + count('advert_sent'),
    refusedAdverts: Object.fromEntries(REFUSALS.map(key => [key, count(key)] as const).filter(([, times]) => times > 0)),
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
