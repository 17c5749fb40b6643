/** inventory.yml as text -> Inventory, or everything that is wrong with it at once. Reads no file and no environment, throws nothing. */
import { DOUBTS } from './doubts.ts'
import { withoutRefused } from './draft.ts'
import { issueFor } from './findings.ts'
import type { Finding } from './findings.ts'
import type { Inventory, Issue } from './inventory.ts'
import { RULES } from './rules.ts'
import { inventorySchema } from './schema.ts'
import { shapeFindings } from './shape.ts'
import { parseYaml } from '../yaml.ts'
import type { YamlDocument } from '../yaml.ts'

export interface ParsedInventory {
  /** undefined where there are issues. */
  readonly inventory: Inventory | undefined
  readonly issues: readonly Issue[]
  /** What works but may surprise. */
  readonly warnings: readonly Issue[]
  /** haproxy.config where it is a path. The file is looked for whatever else is wrong. */
  readonly haproxyConfig: string | undefined
}

/**
 * Parses an inventory. Issues are in the order of the file, each with its path and, where it has one, its line and column.
 * `fileName` is for messages about the file as a whole.
 */
export function parseInventory(text: string, fileName: string): ParsedInventory {
  const document = parseYaml(text)
  const faults = document.problems.map(problem => ({
    ...issueFor({ path: problem.path, message: problem.message, ...(problem.fix === undefined ? {} : { fix: problem.fix }) }, noPlaces),
    ...problem.place,
  }))
  if (typeof document.value !== 'object' || document.value === null || Array.isArray(document.value)) {
    return {
      inventory: undefined,
      issues: faults.length > 0 ? faults : [issueFor(notAMapping(document, fileName), document)],
      warnings: [],
      haproxyConfig: undefined,
    }
  }
  const parsed = inventorySchema.safeParse(document.value)
  const refused = parsed.success ? [] : shapeFindings(parsed.error.issues, document.value)
  const draft = withoutRefused(document.value, refused)
  const findings = [...refused, ...RULES.flatMap(rule => rule(draft))]
  const issues = inFileOrder([...faults, ...findings.map(finding => issueFor(finding, document))])
  const warnings = inFileOrder(DOUBTS.flatMap(rule => rule(draft)).map(finding => issueFor(finding, document)))
  const inventory = parsed.success && issues.length === 0 ? parsed.data : undefined
  return { inventory, issues, warnings, haproxyConfig: draft.haproxy?.config }
}

const noPlaces = { placeOf: () => undefined }

function notAMapping(document: YamlDocument, fileName: string): Finding {
  const wanted = 'write servers, vrrp_instances and haproxy at the top level; `hactl setup` writes such a file'
  if (document.value === undefined) return { path: [], message: `${fileName} is empty`, fix: wanted }
  return {
    path: [],
    message: `${fileName} must be a mapping, not ${Array.isArray(document.value) ? 'a list' : 'a single value'}`,
    fix: wanted,
  }
}

/** More problems than this are one problem: it is the wrong file. */
const MAX_ISSUES = 200

function inFileOrder(issues: readonly Issue[]): readonly Issue[] {
  // toSorted keeps the order of equals: what was found first comes first.
  const sorted = issues.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0))
  const more = sorted.length - MAX_ISSUES
  return more > 0 ? [...sorted.slice(0, MAX_ISSUES), { path: '', message: `and ${more} more` }] : sorted
}
