/** Text <-> value. The only file that knows js-yaml. Syntax faults are returned as problems with a place; nothing here throws on input. */
import {
  constructFromEvents,
  CORE_SCHEMA,
  dump,
  EVENT_ID,
  getScalarValue,
  mergeTag,
  parseEvents,
  SCALAR_STYLE,
  YAMLException,
} from 'js-yaml'

type Events = ReturnType<typeof parseEvents>

export type YamlPath = readonly (string | number)[]

/** 1-based. */
interface YamlPlace {
  readonly line: number
  readonly column: number
}

interface YamlProblem {
  readonly path: YamlPath
  readonly message: string
  readonly fix?: string
  readonly place: YamlPlace | undefined
}

export interface YamlDocument {
  /** undefined where the text is empty or cannot be read at all. */
  readonly value: unknown
  /** Syntax faults, duplicate keys and exceeded limits. The value is still given where it could be read. */
  readonly problems: readonly YamlProblem[]
  /** The place of a key or its value; of the nearest existing parent for a path that the text does not have. */
  placeOf(path: YamlPath, part: 'key' | 'value'): YamlPlace | undefined
}

const MAX_BYTES = 1024 * 1024
const MAX_DEPTH = 30
const MAX_ALIASES = 100
/** Counted after aliases are followed: ten lists of ten aliases each would be 10^10 values. */
const MAX_VALUES = 100_000

const SCHEMA = CORE_SCHEMA.withTags(mergeTag)

/** Parses one YAML 1.2 document of at most 1 MiB; anchors and merge keys are followed, duplicate keys are problems. */
export function parseYaml(text: string): YamlDocument {
  // An offset must count what an editor shows, and no editor shows a byte order mark.
  const source = text.startsWith('\uFEFF') ? text.slice(1) : text
  const placeAt = placesIn(source)
  const unreadable = (message: string, fix?: string, offset?: number): YamlDocument => ({
    value: undefined,
    problems: [{ path: [], message, ...(fix === undefined ? {} : { fix }), place: offset === undefined ? undefined : placeAt(offset) }],
    placeOf: () => undefined,
  })
  if (Buffer.byteLength(source) > MAX_BYTES) return unreadable('the file is larger than 1 MiB', 'check that this is the file you meant')
  const undecoded = source.indexOf('\uFFFD')
  if (undecoded >= 0) return unreadable('the file is not UTF-8 text', 'save it as UTF-8', undecoded)
  try {
    return parseDocument(source, placeAt)
  } catch (thrown) {
    if (!(thrown instanceof YAMLException)) return unreadable('the file cannot be read as YAML')
    const { message, fix } = inPlainWords(thrown.reason)
    return unreadable(message, fix, thrown.mark === undefined ? undefined : offsetOfFault(source, thrown.mark.position, thrown.reason))
  }
}

function parseDocument(source: string, placeAt: PlaceAt): YamlDocument {
  const events = parseEvents(source, { maxDepth: MAX_DEPTH })
  const index = indexEvents(source, events)
  const problems: YamlProblem[] = index.repeated.map(({ path, offset, first }) => ({
    path,
    message: `the key is listed twice; the first is on line ${placeAt(first).line}`,
    fix: 'keep one of them',
    place: placeAt(offset),
  }))
  for (const { path, offset } of index.forbidden) {
    problems.push({ path, message: 'this key is not allowed', fix: 'remove it', place: placeAt(offset) })
  }
  const second = index.documents[1]
  if (second !== undefined) {
    problems.push({
      path: [],
      message: 'the file holds several YAML documents',
      fix: 'keep one document to a file: remove the line with ---',
      place: placeAt(second),
    })
  }
  // With the option json, js-yaml accepts a repeated key: each of them is in `repeated` already.
  const documents = constructFromEvents(events, { source, schema: SCHEMA, json: index.repeated.length > 0, maxAliases: MAX_ALIASES })
  const value = documents[0] ?? undefined
  const size = valuesIn(value)
  if (size === 'endless') throw new YAMLException('an alias that contains itself')
  if (size > MAX_VALUES) throw new YAMLException('too many values once aliases are followed')
  return {
    value,
    problems,
    placeOf: (path, part) => {
      for (let length = path.length; length >= 0; length--) {
        const found = index.places.get(pathKey(path.slice(0, length)))
        if (found === undefined) continue
        return placeAt(part === 'key' || found.value < 0 ? found.key : found.value)
      }
      return undefined
    },
  }
}

interface Found {
  readonly key: number
  readonly value: number
}

interface EventIndex {
  readonly places: ReadonlyMap<string, Found>
  readonly repeated: readonly { path: YamlPath; offset: number; first: number }[]
  readonly forbidden: readonly { path: YamlPath; offset: number }[]
  /** Offset of each document's content. */
  readonly documents: readonly number[]
}

interface Frame {
  readonly kind: 'mapping' | 'sequence'
  readonly path: YamlPath
  readonly keys: Map<string, number>
  count: number
  /** The key read last, waiting for its value. */
  key: { readonly name: string; readonly offset: number } | undefined
}

/** Walks the events once: the place of each path, and which keys a mapping repeats (js-yaml itself stops at the first). */
function indexEvents(source: string, events: Events): EventIndex {
  const places = new Map<string, Found>()
  const repeated: { path: YamlPath; offset: number; first: number }[] = []
  const forbidden: { path: YamlPath; offset: number }[] = []
  const documents: number[] = []
  const frames: Frame[] = []
  let depth = 0
  // A document that is a bare scalar or alias has no frame; its content is the first event after DOCUMENT.
  let expectsContent = false

  // Takes the next node as a key (undefined) or as the value at the path it gives.
  const pathOfNext = (name: string | undefined, offset: number): YamlPath | undefined => {
    const frame = frames.at(-1)
    if (frame === undefined) {
      if (documents.length === 1) places.set(pathKey([]), { key: offset, value: offset })
      return []
    }
    if (frame.kind === 'sequence') {
      const path = [...frame.path, frame.count++]
      if (documents.length === 1) places.set(pathKey(path), { key: offset, value: offset })
      return path
    }
    if (frame.key === undefined) {
      const key = name ?? ''
      const first = frame.keys.get(key)
      if (first !== undefined) repeated.push({ path: [...frame.path, key], offset, first })
      else frame.keys.set(key, offset)
      if (key === '__proto__') forbidden.push({ path: [...frame.path, key], offset })
      frame.key = { name: key, offset }
      return undefined
    }
    const path = [...frame.path, frame.key.name]
    if (documents.length === 1) places.set(pathKey(path), { key: frame.key.offset, value: offset })
    frame.key = undefined
    return path
  }

  for (const event of events) {
    const offset = offsetOf(event)
    if (expectsContent && event.type !== EVENT_ID.POP) {
      documents.push(Math.max(offset, 0))
      expectsContent = false
    }
    switch (event.type) {
      case EVENT_ID.DOCUMENT:
        expectsContent = true
        depth++
        break
      case EVENT_ID.SCALAR:
        pathOfNext(getScalarValue(source, event), offset)
        break
      case EVENT_ID.ALIAS:
        pathOfNext(undefined, offset)
        break
      case EVENT_ID.SEQUENCE:
      case EVENT_ID.MAPPING: {
        const path = pathOfNext(undefined, offset)
        frames.push({
          kind: event.type === EVENT_ID.MAPPING ? 'mapping' : 'sequence',
          path: path ?? [],
          keys: new Map(),
          count: 0,
          key: undefined,
        })
        depth++
        break
      }
      case EVENT_ID.POP:
        depth--
        if (depth > 0) frames.pop()
        break
    }
  }
  return { places, repeated, forbidden, documents }
}

function offsetOf(event: Events[number]): number {
  switch (event.type) {
    case EVENT_ID.SCALAR:
      // valueStart is inside the quotes.
      return event.style === SCALAR_STYLE.SINGLE_QUOTED || event.style === SCALAR_STYLE.DOUBLE_QUOTED
        ? event.valueStart - 1
        : event.valueStart
    case EVENT_ID.ALIAS:
      return event.anchorStart - 1
    case EVENT_ID.SEQUENCE:
    case EVENT_ID.MAPPING:
      return event.start
    case EVENT_ID.DOCUMENT:
    case EVENT_ID.POP:
      return -1
  }
}

function pathKey(path: YamlPath): string {
  return JSON.stringify(path)
}

type PlaceAt = (offset: number) => YamlPlace

/** Offsets to places. The line starts are found once, so that a file with many faults is not read again for each. */
function placesIn(source: string): PlaceAt {
  let starts: number[] | undefined
  return offset => {
    starts ??= [0, ...Array.from(source.matchAll(/\r\n|\r|\n/g), newline => newline.index + newline[0].length)]
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return { line: low + 1, column: Math.max(offset, 0) - (starts[low] ?? 0) + 1 }
  }
}

/** How many values a tree has when a shared part is counted each time it occurs; 'endless' where it contains itself. */
function valuesIn(root: unknown): number | 'endless' {
  const sizes = new Map<object, number>()
  const open = new Set<object>()
  const count = (value: unknown): number => {
    if (typeof value !== 'object' || value === null) return 1
    const known = sizes.get(value)
    if (known !== undefined) return known
    if (open.has(value)) return Number.POSITIVE_INFINITY
    open.add(value)
    let size = 1
    for (const child of Object.values(value)) size += count(child)
    open.delete(value)
    sizes.set(value, size)
    return size
  }
  const size = count(root)
  return size === Number.POSITIVE_INFINITY ? 'endless' : size
}

/** js-yaml notices a line without a key only after that line: the fault is in the last text before the place that it names. */
function offsetOfFault(source: string, noticed: number, reason: string): number {
  if (!reason.includes('multiline key')) return noticed
  return source
    .slice(0, noticed)
    .trimEnd()
    .replace(/[^\r\n]*$/, '').length
}

/** js-yaml's reason without the parts that quote the file: what looks like an alias or a tag may be an unquoted secret. */
function inPlainWords(reason: string): { message: string; fix?: string } {
  if (reason.startsWith('unidentified alias')) {
    return { message: 'text that begins with * is read as an alias, and there is no such anchor', fix: 'put the text in quotes' }
  }
  if (/\btag\b/i.test(reason)) {
    return { message: 'text that begins with ! is read as a tag, and there is no such tag', fix: 'put the text in quotes' }
  }
  if (reason.startsWith('tab characters')) return { message: 'a tab is used for indentation', fix: 'indent with spaces' }
  if (reason.startsWith('nesting exceeded')) return { message: `the file is nested more than ${MAX_DEPTH} levels deep` }
  if (reason.startsWith('aliases exceeded')) return { message: `the file uses more than ${MAX_ALIASES} aliases` }
  if (reason.includes('complex keys')) return { message: 'a key must be plain text', fix: 'text with { or [ in it needs quotes' }
  if (reason.includes('cannot merge mappings')) return { message: '<< needs a mapping to merge', fix: 'write << : *anchor' }
  if (reason.startsWith('missed comma')) return { message: 'a comma is missing between two entries of [ ] or { }' }
  if (reason.includes('multiline key')) return { message: 'this line has no "key:", and no line above continues here' }
  if (/quoted scalar/.test(reason)) return { message: 'a quote is not closed' }
  if (/flow collection|deficient indentation/.test(reason)) {
    return { message: 'a bracket is not closed, or its content is not indented', fix: 'close every [ and { that is opened above' }
  }
  if (reason.startsWith('bad indentation')) {
    return {
      message: 'the indentation is wrong, or text here needs quotes',
      fix: 'align the key with its neighbours; quote text that holds ": " or begins with @ or `',
    }
  }
  return { message: reason.replaceAll(/"[^"]*"|<[^>]*>/g, '...') }
}

/** A value as block YAML, two spaces to a level. */
export function renderYaml(value: unknown): string {
  return dump(value, { lineWidth: -1, noRefs: true, quoteStyle: 'double' })
}

/** A value as YAML on one line, as in `{ name: srv-1, host: 192.0.2.11 }`; no newline at its end. */
export function renderYamlInline(value: unknown): string {
  return dump(value, { lineWidth: -1, noRefs: true, quoteStyle: 'double', flowLevel: 0, flowBracketPadding: true }).trimEnd()
}
