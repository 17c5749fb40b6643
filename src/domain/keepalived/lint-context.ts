/** keepalived.conf in the form that the lint rules read: instances, scripts and files by name, defaults filled in. */
import { canonicalAddress } from '../addresses.ts'
import type { ConfNode, KeepalivedConf } from './parse.ts'
import { child, listOf, parseKeepalivedConf, valueOf } from './parse.ts'

export interface Finding {
  readonly error?: boolean
  readonly path: string
  readonly line: number
  readonly message: string
  readonly fix: string
}

/** The definition of a vrrp_script, a track file or a tracked process. */
interface Definition {
  readonly name: string
  readonly node: ConfNode
  /** The script's command, the file's path, or the process. */
  readonly command: string
  readonly weight: number | undefined
}

/** What an instance tracks. */
interface TrackerUse {
  readonly kind: 'script' | 'file'
  readonly name: string
  readonly line: number
  /** Its own weight, else its definition's, else keepalived's default: 0 for a script, 1 for a file. */
  readonly weight: number
  readonly definition: Definition | undefined
}

/** What else an instance may track with a weight: an interface, or a process by its vrrp_track_process. */
interface OtherTracker {
  readonly kind: 'process' | 'interface'
  readonly name: string
  readonly line: number
  /** keepalived's default is 0 for both. */
  readonly weight: number
}

export interface InstanceContext {
  readonly name: string
  readonly path: string
  readonly node: ConfNode
  readonly version: 2 | 3
  readonly addresses: readonly { readonly address: string; readonly family: 4 | 6; readonly line: number }[]
  readonly trackers: readonly TrackerUse[]
  readonly otherTrackers: readonly OtherTracker[]
  /** What distinguishes instances on one host for keepalived. */
  readonly identity: string
  readonly has: (keyword: string) => boolean
  readonly lineOf: (keyword: string) => number
}

export type InstanceRule = (instance: InstanceContext, context: LintContext) => readonly Finding[]

/** A finding at one keyword of an instance, by its line. */
export function instanceFinding(instance: InstanceContext, key: string, message: string, fix: string, error = false): Finding {
  return { error, path: `${instance.path}.${key}`, line: instance.lineOf(key), message, fix }
}

export interface LintContext {
  /** The lines of the file, unchanged. */
  readonly lines: readonly string[]
  readonly conf: KeepalivedConf
  readonly global: (keyword: string) => ConfNode | undefined
  readonly instances: readonly InstanceContext[]
  readonly scripts: readonly Definition[]
  readonly files: readonly Definition[]
}

function definitions(conf: KeepalivedConf, keywords: readonly string[], commandKey: string): readonly Definition[] {
  return conf.nodes
    .filter(n => keywords.includes(n.words[0] ?? '') && n.children !== undefined)
    .map(node => {
      const weight = valueOf(node, 'weight')
      return {
        name: node.words[1] ?? '',
        node,
        command: (child(node, commandKey)?.words ?? []).slice(1).join(' '),
        weight: weight === undefined ? undefined : Number(weight),
      }
    })
}

function trackersOf(instance: ConfNode, kind: TrackerUse['kind'], known: readonly Definition[]): readonly TrackerUse[] {
  return listOf(instance, `track_${kind}`).map(({ words, line }) => {
    const definition = known.find(d => d.name === words[0])
    const own = words.indexOf('weight')
    const weight = own < 0 ? definition?.weight : Number(words[own + 1])
    return { kind, name: words[0] ?? '', line, weight: weight ?? (kind === 'script' ? 0 : 1), definition }
  })
}

function otherTrackersOf(instance: ConfNode, kind: OtherTracker['kind'], known: readonly Definition[]): readonly OtherTracker[] {
  return listOf(instance, `track_${kind}`).map(({ words, line }) => {
    const own = words.indexOf('weight')
    const weight = own < 0 ? known.find(d => d.name === words[0])?.weight : Number(words[own + 1])
    return { kind, name: words[0] ?? '', line, weight: weight ?? 0 }
  })
}

/** Reads the file for the rules. */
export function contextOf(text: string): LintContext {
  const conf = parseKeepalivedConf(text)
  const globals = conf.nodes.filter(n => n.words[0] === 'global_defs')
  const global = (keyword: string): ConfNode | undefined => globals.map(g => child(g, keyword)).find(n => n !== undefined)
  const scripts = definitions(conf, ['vrrp_script'], 'script')
  const files = definitions(conf, ['track_file', 'vrrp_track_file'], 'file')
  const processes = definitions(conf, ['track_process', 'vrrp_track_process'], 'process')
  const instances = conf.nodes
    .filter(n => n.words[0] === 'vrrp_instance')
    .map((node): InstanceContext => {
      const name = node.words[1] ?? ''
      const addresses = listOf(node, 'virtual_ipaddress').flatMap(({ words, line }) => {
        const found = canonicalAddress((words[0] ?? '').split('/')[0] ?? '')
        return found === undefined ? [] : [{ ...found, line }]
      })
      return {
        name,
        path: `vrrp_instance ${name}`,
        node,
        version: (valueOf(node, 'version') ?? global('vrrp_version')?.words[1]) === '3' ? 3 : 2,
        addresses,
        trackers: [...trackersOf(node, 'script', scripts), ...trackersOf(node, 'file', files)],
        otherTrackers: [...otherTrackersOf(node, 'process', processes), ...otherTrackersOf(node, 'interface', [])],
        identity: `${valueOf(node, 'interface')} ${valueOf(node, 'virtual_router_id')} ${addresses[0]?.family ?? 4}`,
        has: keyword => child(node, keyword) !== undefined,
        lineOf: keyword => child(node, keyword)?.line ?? node.line,
      }
    })
  return { lines: text.split('\n'), conf, global, instances, scripts, files }
}
