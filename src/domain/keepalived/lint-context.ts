/** keepalived.conf as the lint rules look at it: instances, scripts and files by name, defaults filled in. */
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

/** A vrrp_script or a track file, by its definition. */
export interface Definition {
  readonly name: string
  readonly node: ConfNode
  /** The script's command or the file's path. */
  readonly command: string
  readonly weight: number | undefined
}

/** What an instance tracks. */
export interface TrackerUse {
  readonly kind: 'script' | 'file'
  readonly name: string
  readonly line: number
  /** Its own weight, else its definition's, else keepalived's default: 0 for a script, 1 for a file. */
  readonly weight: number
  readonly definition: Definition | undefined
}

export interface InstanceContext {
  readonly name: string
  readonly path: string
  readonly node: ConfNode
  readonly version: 2 | 3
  readonly addresses: readonly { readonly address: string; readonly family: 4 | 6; readonly line: number }[]
  readonly trackers: readonly TrackerUse[]
  /** What keepalived tells instances of one host apart by. */
  readonly identity: string
  readonly has: (keyword: string) => boolean
  readonly lineOf: (keyword: string) => number
}

export interface LintContext {
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

/** Reads the file for the rules. */
export function contextOf(text: string): LintContext {
  const conf = parseKeepalivedConf(text)
  const globals = conf.nodes.filter(n => n.words[0] === 'global_defs')
  const global = (keyword: string): ConfNode | undefined => globals.map(g => child(g, keyword)).find(n => n !== undefined)
  const scripts = definitions(conf, ['vrrp_script'], 'script')
  const files = definitions(conf, ['track_file', 'vrrp_track_file'], 'file')
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
        identity: `${valueOf(node, 'interface')} ${valueOf(node, 'virtual_router_id')} ${addresses[0]?.family ?? 4}`,
        has: keyword => child(node, keyword) !== undefined,
        lineOf: keyword => child(node, keyword)?.line ?? node.line,
      }
    })
  return { conf, global, instances, scripts, files }
}
