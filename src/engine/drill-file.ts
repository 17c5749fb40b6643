/** Reads a drill's file (playbooks/drills): a closed vocabulary without logic, checked word by word. */
import { HactlError } from '../errors.ts'
import type { DrillExpectation, DrillFile } from '../state/drill.ts'
import { parseYaml, type YamlPath } from '../yaml.ts'

/** What the words of a file may name; kept out of here because the engine knows no service by name. */
export interface DrillVocabulary {
  readonly disturbances: readonly string[]
  readonly events: readonly string[]
}

const KEYS = ['drill', 'version', 'title', 'disturb', 'on', 'expect', 'destructive']
const EXPECT_KEYS = ['taker', 'holders', 'event', 'two_holders_ms', 'heals_ms', 'moves', 'lost', 'classic']
const PROFILE_KEYS = EXPECT_KEYS.filter(key => key !== 'classic')
const PLACES: readonly DrillFile['on'][] = ['holder', 'next', 'each-holder']
const TAKERS: readonly DrillExpectation['taker'][] = ['next', 'nobody', 'either']
const HOLDERS: readonly DrillExpectation['holders'][] = [1, 2, 'either']
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
  const on = word(root['on'], ['on'], PLACES)
  const expect = mapping(root['expect'], ['expect'], EXPECT_KEYS)
  const number = (from: Readonly<Record<string, unknown>>, at: YamlPath, key: string): number | undefined => {
    const value = from[key]
    if (value === undefined) return undefined
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 60_000) return value
    fault([...at, key], 'must be a whole number from 0 to 60000')
    return undefined
  }
  /** The words and numbers that the file has. `all`: the keys that every expectation needs must be there. */
  const expectation = (from: Readonly<Record<string, unknown>>, at: YamlPath, all: boolean): Partial<DrillExpectation> => {
    const given = <T extends string | number>(key: string, words: readonly T[]) =>
      all || from[key] !== undefined ? word(from[key], [...at, key], words) : undefined
    return withoutUndefined({
      taker: given('taker', TAKERS),
      holders: given('holders', HOLDERS),
      event: given('event', vocabulary.events),
      twoHoldersMs: number(from, at, 'two_holders_ms'),
      healsMs: number(from, at, 'heals_ms'),
      moves: number(from, at, 'moves'),
      lost: number(from, at, 'lost'),
    })
  }
  const { taker, holders, event, ...numbers } = expectation(expect, ['expect'], true)
  const classicAt = ['expect', 'classic']
  const classic =
    expect['classic'] === undefined ? undefined : expectation(mapping(expect['classic'], classicAt, PROFILE_KEYS), classicAt, false)
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
  return {
    name,
    title,
    disturb,
    on,
    expect: { taker, holders, event, ...numbers },
    ...(classic === undefined ? {} : { classic }),
    destructive,
  }
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

function withoutUndefined<T extends object>(from: T): Defined<T>
function withoutUndefined(from: object): object {
  return Object.fromEntries(Object.entries(from).filter(([, value]) => value !== undefined))
}
