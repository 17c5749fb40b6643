/** A server as it was at an earlier time: today's resources with the files of that time. Pure. */
import type { DesiredNode, FileResource, Resource } from '../state/desired.ts'
import type { Cluster } from './cluster-types.ts'
import { absentFile, desiredNode, haproxyLoadedHash } from './desired.ts'
import type { FileThen } from './file-then.ts'
import { withoutInitFile } from './keepalived/init-file.ts'
import type { NodeFacts } from './node-facts.ts'
import {
  HAND_OVER_UNIT,
  HAPROXY_CFG,
  HAPROXY_DROPIN,
  KEEPALIVED_CONF,
  KEEPALIVED_DROPIN,
  MANAGED_PATHS,
  OPEN_CONNECTIONS_SCRIPT,
  SERVICE_HOOKS,
  TMPFILES_CONF,
} from './paths.ts'

/**
 * The files that make the track files that init_file made at that time, and those that call them or are called by them. Where init_file is
 * taken out of keepalived.conf, they stay as today.
 */
const MAKES_TRACK_FILES: readonly string[] = [HAND_OVER_UNIT, HAPROXY_DROPIN, KEEPALIVED_DROPIN, SERVICE_HOOKS, TMPFILES_CONF]

/**
 * `then`: every file that hactl owned on the server at that time. Any other file is absent again. `cluster` is the one of that time.
 * init_file does not come back: keepalived.conf is the earlier one without it, and today's files make the track files instead.
 */
export function desiredFromSnapshot(cluster: Cluster, server: string, facts: NodeFacts, then: readonly FileThen[]): DesiredNode {
  const { files, hadInitFile } = withoutInitFile(then)
  const byPath = new Map(files.map(file => [file.path, file]))
  // A server that did not keep open connections then does not do so again: the hooks of today must not rely on it.
  const kept = byPath.has(OPEN_CONNECTIONS_SCRIPT)
  const factsThen: NodeFacts = kept ? facts : { ...facts, openConnections: { ...facts.openConnections, mode: { kind: 'reset' } } }
  const now = desiredNode(cluster, server, factsThen)
  const resources = now.resources.flatMap((resource): Resource | readonly Resource[] => {
    switch (resource.kind) {
      case 'file':
      case 'absent-file': {
        const file = byPath.get(resource.path)
        if (hadInitFile && MAKES_TRACK_FILES.includes(resource.path)) return resource
        return file === undefined
          ? absentFile(resource.id, resource.path)
          : fileOf(resource.id.replace(/^absent\//, 'file/'), file, resource.kind === 'file' ? resource : undefined)
      }
      case 'service': {
        const { companion, ...service } = resource
        const kept = companion !== undefined && (hadInitFile || byPath.has(companion.file)) ? { ...service, companion } : service
        const loaded = byPath.get(resource.unit === 'haproxy' ? HAPROXY_CFG : KEEPALIVED_CONF)
        if (loaded === undefined) return kept
        const beside = (resource.loads ?? []).filter(path => path !== loaded.path).flatMap(path => byPath.get(path) ?? [])
        return { ...kept, loadedHash: haproxyLoadedHash(loaded.content, beside) }
      }
      case 'own-tool':
        // Without the script of that time there is nothing to open.
        return byPath.has(resource.script) ? resource : []
      case 'package':
      case 'sysctl':
        return resource
    }
  })
  return { server, resources }
}

/** Certificates that the haproxy.cfg of that time reads and that the inventory no longer lists: their content of today is not known. */
export function certificatesLeftOut(cluster: Cluster, then: readonly FileThen[]): readonly string[] {
  const config = then.find(({ path }) => path === HAPROXY_CFG)?.content ?? ''
  const known = new Set([...MANAGED_PATHS, ...cluster.certificates.map(({ path }) => path)])
  // A bind may name the folder.
  return then.flatMap(({ path }) => (!known.has(path) && config.includes(path.slice(0, path.lastIndexOf('/'))) ? [path] : []))
}

function fileOf(id: string, file: FileThen, today: FileResource | undefined): FileResource {
  const { path, mode, owner, group, content } = file
  return {
    kind: 'file',
    id,
    path,
    mode,
    owner,
    group,
    content,
    masks: today?.masks ?? [],
    verbatim: today?.verbatim ?? false,
    ...(today?.validation === undefined ? {} : { validation: today.validation }),
  }
}
