/** Reads a drill's file (playbooks/drills): a closed vocabulary without logic, checked word by word. */
import { HactlError } from '../errors.ts'
import type { DrillExpectation, DrillFile } from '../state.ts'
import { parseYaml, type YamlPath } from '../yaml.ts'

/** What the words of a file may name; kept out of here because the engine knows no service by name. */
export interface DrillVocabulary {
  readonly disturbances: readonly string[]
  readonly events: readonly string[]
}

const KEYS = ['drill', 'version', 'title', 'disturb', 'on', 'expect', 'destructive']
const EXPECT_KEYS = ['taker', 'holders', 'event']
const TAKERS: readonly DrillExpectation['taker'][] = ['next', 'nobody', 'either']
const HOLDERS: readonly DrillExpectation['holders'][] = [1, 2]
/** A drill's name goes into unit names and reports. */
const NAME = /^[a-z][a-z0-9-]{0,39}$/

/** The drill that a file's text declares. Throws E_PLAYBOOK_INVALID with every fault and its line; `path` is for the message only. */
export function parseDrill(text: string, path: string, vocabulary: DrillVocabulary): DrillFile {
  const document = parseYaml(text)
  const faults = document.problems.map(({ message, place }) => `${place === undefined ? '' : `line ${place.line}: `}${message}`)
  const fault = (at: YamlPath, message: string, part: 'key' | 'value' = 'value') => {
    const place = document.placeOf(at, part)
    faults.push(`${place === undefined ? '' : `line ${place.line}: `}${at.length === 0 ? '' : `${at.join('.')}: `}${message}`)
  }
  const mapping = (value: unknown, at: YamlPath, keys: readonly string[]): Readonly<Record<string, unknown>> => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      fault(at, `a mapping with the keys ${keys.join(', ')} is needed`)
      return {}
    }
    for (const key of Object.keys(value)) if (!keys.includes(key)) fault([...at, key], `unknown key; known: ${keys.join(', ')}`, 'key')
    return Object.fromEntries(Object.entries(value))
  }
  const word = <T extends string | number | boolean>(value: unknown, at: YamlPath, words: readonly T[]): T | undefined => {
    const found = words.find(known => known === value)
    if (found === undefined) fault(at, `must be one of: ${words.join(', ')}`)
    return found
  }

  const root = mapping(document.value, [], KEYS)
  const name = typeof root['drill'] === 'string' && NAME.test(root['drill']) ? root['drill'] : undefined
  if (name === undefined) fault(['drill'], 'a name of small letters, digits and dashes is needed')
  word(root['version'], ['version'], [1])
  const title = typeof root['title'] === 'string' && /^\P{Cc}{1,120}$/u.test(root['title']) ? root['title'] : undefined
  if (title === undefined) fault(['title'], 'one line that says what happens is needed')
  const disturb = word(root['disturb'], ['disturb'], vocabulary.disturbances)
  const on = word(root['on'], ['on'], ['holder'] as const)
  const expect = mapping(root['expect'], ['expect'], EXPECT_KEYS)
  const taker = word(expect['taker'], ['expect', 'taker'], TAKERS)
  const holders = word(expect['holders'], ['expect', 'holders'], HOLDERS)
  const event = word(expect['event'], ['expect', 'event'], vocabulary.events)
  const destructive = word(root['destructive'], ['destructive'], [true, false])

  const isWhole =
    name !== undefined &&
    title !== undefined &&
    disturb !== undefined &&
    on !== undefined &&
    taker !== undefined &&
    holders !== undefined &&
    event !== undefined &&
    destructive !== undefined
  if (!isWhole || faults.length > 0) {
    throw new HactlError({
      code: 'E_PLAYBOOK_INVALID',
      what: `${path} declares no drill that hactl can run`,
      why: faults,
      fix: 'compare it with the drills that hactl ships (playbooks/drills)',
    })
  }
  return { name, title, disturb, on, expect: { taker, holders, event }, destructive }
}
