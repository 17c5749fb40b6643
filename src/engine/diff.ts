import { createHash } from 'node:crypto'
import { HactlError } from '../errors.ts'
import type {
  AbsentFileResource,
  DesiredNode,
  FileResource,
  OwnToolResource,
  PackageResource,
  ServiceResource,
  SysctlResource,
} from '../state/desired.ts'
import type { ObservedNode } from '../state/observed.ts'
import type { Action, ServerPlan, Unchanged } from '../state/plan.ts'

export interface DiffOptions {
  /** Adopt files that hactl did not make. */
  readonly adopt: boolean
  /** Reload both services even where nothing changed. */
  readonly reload: boolean
  /** The version that will be installed, for packages that are not; undefined where it cannot be told. */
  readonly expectedVersion: (resource: PackageResource, observed: ObservedNode) => string | undefined
}

export type ServerDiff = ServerPlan & {
  /** Files that stand where hactl wants to write and that hactl did not make; empty with adopt. */
  readonly foreign: readonly ForeignFile[]
}

export interface ForeignFile {
  readonly path: string
  /** Where it leads, if it is a symbolic link. */
  readonly linkTo: string | undefined
  readonly before: string | undefined
  readonly after: string
  readonly masks: readonly string[]
}

type Outcome = { readonly action: Action } | { readonly unchanged: Unchanged } | { readonly foreign: ForeignFile }

/** sha256 of a text as the server's sha256sum(1) prints it. */
function sha256Of(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex')
}

/** What must be done to make one server as desired, in the order of its resources. */
export function diffNode(desired: DesiredNode, observed: ObservedNode, options: DiffOptions): ServerDiff {
  const actions: Action[] = []
  const unchanged: Unchanged[] = []
  const foreign: ForeignFile[] = []
  const take = (outcome: Outcome) => {
    if ('action' in outcome) actions.push(outcome.action)
    else if ('unchanged' in outcome) unchanged.push(outcome.unchanged)
    else foreign.push(outcome.foreign)
  }
  for (const resource of desired.resources) {
    switch (resource.kind) {
      case 'package':
        take(diffPackage(resource, observed, options))
        break
      case 'file':
        take(diffFile(resource, observed, options))
        break
      case 'absent-file':
        take(diffAbsentFile(resource, observed))
        break
      case 'sysctl':
        take(diffSysctl(resource, observed))
        break
      case 'own-tool':
        take(diffOwnTool(resource, actions))
        break
      case 'service':
        take(diffService(resource, observed, actions, options))
        break
    }
  }
  return { server: desired.server, actions, unchanged, foreign }
}

function diffPackage(resource: PackageResource, observed: ObservedNode, options: DiffOptions): Outcome {
  const known = observed.packages[resource.name]
  if (known?.installed !== undefined) return { unchanged: { id: resource.id, reason: `${resource.name} ${known.installed} is installed` } }
  const { id, name, pin } = resource
  const version = options.expectedVersion(resource, observed)
  return { action: { kind: 'install-package', id, name, version, reason: 'not installed', ...(pin === undefined ? {} : { pin }) } }
}

function diffFile(resource: FileResource, observed: ObservedNode, options: DiffOptions): Outcome {
  const { id, path, mode, owner, group, masks } = resource
  const present = observed.files[path]
  const wanted = sha256Of(resource.content)
  const write = (reason: string): Outcome => ({
    action: {
      kind: 'write-file',
      id,
      path,
      reason,
      before: present?.content,
      beforeSha256: present?.sha256,
      after: resource.content,
      mode,
      owner,
      group,
      masks,
      validation: resource.validation,
    },
  })
  if (present === undefined) return write('does not exist')
  if (present.sha256 === wanted) {
    const sameMeta = present.mode === mode && present.owner === owner && present.group === group
    if (sameMeta && present.ownedSha256 === wanted) return { unchanged: { id, reason: `${path} is already as wanted` } }
    const reason = sameMeta
      ? 'the content is as wanted; hactl records that it owns the file'
      : `${present.mode} ${present.owner}:${present.group}, wanted ${mode} ${owner}:${group}`
    return { action: { kind: 'own-file', id, path, sha256: wanted, mode, owner, group, reason } }
  }
  if (present.ownedSha256 === undefined) {
    if (present.pristineConffile) return write("replaces the package's own unmodified file")
    if (options.adopt) return write('adopts a file that hactl did not create')
    return { foreign: { path, linkTo: present.linkTo, before: present.content, after: resource.content, masks } }
  }
  return write(present.ownedSha256 === present.sha256 ? 'content differs' : 'edited by hand since the last deploy')
}

function diffAbsentFile(resource: AbsentFileResource, observed: ObservedNode): Outcome {
  const present = observed.files[resource.path]
  if (present === undefined || present.ownedSha256 === undefined) {
    return { unchanged: { id: resource.id, reason: `${resource.path} is not there` } }
  }
  return {
    action: {
      kind: 'remove-file',
      id: resource.id,
      path: resource.path,
      reason: 'no longer wanted',
      before: present.content,
      beforeSha256: present.sha256,
      masks: [],
    },
  }
}

function diffSysctl(resource: SysctlResource, observed: ObservedNode): Outcome {
  const before = observed.sysctls[resource.key]
  if (before === resource.value) return { unchanged: { id: resource.id, reason: `${resource.key} is ${resource.value}` } }
  return {
    action: {
      kind: 'set-sysctl',
      id: resource.id,
      key: resource.key,
      value: resource.value,
      before,
      reason: before === undefined ? 'not set' : `is ${before}`,
    },
  }
}

function diffOwnTool(resource: OwnToolResource, before: readonly Action[]): Outcome {
  const { id, title, script, isOpen, found } = resource
  const isNew = before.some(action => action.kind === 'write-file' && action.path === script)
  if (isOpen && !isNew) return { unchanged: { id, reason: found } }
  return { action: { kind: 'open-tool', id, title, script, reason: isOpen ? `${script} changes` : found } }
}

function diffService(resource: ServiceResource, observed: ObservedNode, before: readonly Action[], options: DiffOptions): Outcome {
  const service = observed.services[resource.unit]
  const steps: Extract<Action, { kind: 'service' }>['steps'][number][] = []
  const reasons: string[] = []
  if (service.load === 'masked') {
    throw new HactlError({
      code: 'E_UNHEALTHY',
      server: observed.server,
      what: `${resource.unit}.service is masked, so it cannot run`,
      fix: `if it may run on ${observed.server}: systemctl unmask ${resource.unit}`,
    })
  }
  const dropInChanges = before.some(
    action =>
      (action.kind === 'write-file' || action.kind === 'remove-file') &&
      (action.path.startsWith(`/etc/systemd/system/${resource.unit}.service.d/`) || action.path === resource.companion?.file),
  )
  const companion = resource.companion === undefined ? undefined : observed.ownUnits[resource.companion.unit]
  if (dropInChanges || service.needsDaemonReload || companion?.needsDaemonReload === true) {
    steps.push('daemon-reload')
    reasons.push('its unit files change')
  }
  if (service.unitFile !== 'enabled') {
    steps.push('enable')
    reasons.push('not enabled at boot')
  }
  if (service.active !== 'active') {
    steps.push('start', 'stamp')
    reasons.push(service.active === 'failed' ? 'failed' : 'not running')
  } else if (before.some(action => action.kind === 'install-package' && action.name === resource.unit)) {
    // What was cut off is installed anew: that stops the unit, or leaves it with the program of before.
    steps.push('start', 'stamp')
    reasons.push('its package is installed')
  } else {
    const missing = (resource.runtimeFiles ?? []).filter(path => observed.trackers[path] === undefined)
    if (service.loadedHash !== resource.loadedHash) {
      steps.push('reload', 'stamp')
      reasons.push(service.loadedHash === undefined ? 'what it has loaded is not known' : 'it runs another configuration')
    } else if (before.some(action => action.kind === 'write-file' && resource.loads?.includes(action.path))) {
      steps.push('reload', 'stamp')
      reasons.push('a file that it loads changes')
    } else if (missing.length > 0) {
      steps.push('reload', 'stamp')
      reasons.push(`${missing.join(' and ')} missing`)
    } else if (resource.runtimeFiles !== undefined && observed.trackersWatched === false) {
      steps.push('reload', 'stamp')
      reasons.push('it no longer watches its track files')
    } else if (options.reload) {
      steps.push('reload', 'stamp')
      reasons.push('asked for')
    }
  }
  if (resource.companion !== undefined && service.active === 'active' && companion?.active !== 'active') {
    // A unit that systemd does not have in memory may be one whose file it has not read.
    if (companion === undefined && !steps.includes('daemon-reload')) steps.unshift('daemon-reload')
    steps.push('start-companion')
    reasons.push(`${resource.companion.unit} does not run`)
  }
  if (steps.length === 0) return { unchanged: { id: resource.id, reason: `${resource.unit} runs the wanted configuration` } }
  return {
    action: {
      kind: 'service',
      id: resource.id,
      unit: resource.unit,
      steps,
      loadedHash: resource.loadedHash,
      ...(resource.companion === undefined ? {} : { companion: resource.companion.unit }),
      whenActive: resource.whenActive,
      reason: reasons.join(', '),
    },
  }
}
