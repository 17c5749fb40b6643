/** What keeps open connections on one server, as resources: the service's files, and the script that starts it and stops it. */
import { createHash } from 'node:crypto'
import { programText } from '../../shell/library.ts'
import type { FileResource, OwnToolResource } from '../../state/desired.ts'
import type { Cluster } from '../cluster-types.ts'
import type { NodeFacts } from '../node-facts.ts'
import {
  GENERATED_LINE,
  OPEN_CONNECTIONS_LOADED,
  OPEN_CONNECTIONS_PROGRAM,
  OPEN_CONNECTIONS_RULES,
  OPEN_CONNECTIONS_SCRIPT,
  OPEN_CONNECTIONS_SERVICE,
  OPEN_CONNECTIONS_SETTINGS,
  OPEN_CONNECTIONS_UNIT,
} from '../paths.ts'
import { serviceProblem } from './mode.ts'
import { renderOpenConnectionsRules } from './rules.ts'
import { renderOpenConnectionsProgram, renderOpenConnectionsSettings, renderOpenConnectionsUnit } from './service.ts'

type Content = Pick<FileResource, 'id' | 'path' | 'content'> & Partial<Pick<FileResource, 'mode' | 'validation'>>

// The table that is loaded belongs to the service: nft refuses everything about it, also a check (evidence O14).
const ANOTHER_TABLE = 's/^\\([a-z ]*ip6*\\) hactl /\\1 hactl-check /'

const PROGRAM = { id: 'file/open-connections-program', path: OPEN_CONNECTIONS_PROGRAM } as const
const RULES = { id: 'file/open-connections-rules', path: OPEN_CONNECTIONS_RULES } as const
const SETTINGS = { id: 'file/open-connections-settings', path: OPEN_CONNECTIONS_SETTINGS } as const
const UNIT = { id: 'file/open-connections-unit', path: OPEN_CONNECTIONS_UNIT } as const
const SCRIPT = { id: 'file/open-connections', path: OPEN_CONNECTIONS_SCRIPT } as const

/** Where the files of openConnectionsFiles are, in the same order. */
export const OPEN_CONNECTIONS_PLACES: readonly Pick<Content, 'id' | 'path'>[] = [PROGRAM, RULES, SETTINGS, UNIT, SCRIPT]

/**
 * The files in the order in which they are written. The script has the checksums of all others: it changes with each of them, and whoever
 * puts it back opens it again.
 */
export function openConnectionsFiles(cluster: Cluster, server: string, facts: NodeFacts): readonly Content[] {
  const files: readonly Content[] = [
    {
      ...PROGRAM,
      content: renderOpenConnectionsProgram(),
      mode: '0755',
      validation: { argv: ['perl', '-c', '{}'], mustBeSilent: false, alsoStaged: [] },
    },
    {
      ...RULES,
      content: renderOpenConnectionsRules(cluster, server, facts),
      validation: { argv: ['nft', '-c', '-f', '{}'], mustBeSilent: false, alsoStaged: [], edits: [ANOTHER_TABLE] },
    },
    { ...SETTINGS, content: renderOpenConnectionsSettings(cluster, server, facts) },
    { ...UNIT, content: renderOpenConnectionsUnit() },
  ]
  return [
    ...files,
    {
      ...SCRIPT,
      content: renderScript(files),
      mode: '0755',
      validation: { argv: ['sh', '-n', '{}'], mustBeSilent: true, alsoStaged: [] },
    },
  ]
}

function renderScript(files: readonly Content[]): string {
  const sums = files.map(({ path, content }) => `# ${createHash('sha256').update(content).digest('hex')}  ${path}\n`)
  return programText('open-connections-tool.sh', `${GENERATED_LINE}\n# What the service is made of:\n${sums.join('')}`, {
    OPEN_CONNECTIONS_PROGRAM,
    OPEN_CONNECTIONS_SERVICE,
    OPEN_CONNECTIONS_LOADED,
  })
}

/** The service itself. */
export function openConnectionsTool(facts: NodeFacts): OwnToolResource {
  const wrong = serviceProblem(facts.openConnections.observed)
  return {
    kind: 'own-tool',
    id: 'open-connections/service',
    title: 'keep open connections over a move',
    script: OPEN_CONNECTIONS_SCRIPT,
    isOpen: wrong === undefined,
    found: wrong ?? 'the service runs with its rules',
  }
}
