/** What comments and pages cite (files, links, names, decisions, findings, npm scripts), and which of that is not there. Pure. */
import { dirname, join, normalize } from 'node:path/posix'

/** A checkout as this rule sees it. */
export interface Checkout {
  /** Every file and folder, from the root. */
  readonly paths: ReadonlySet<string>
  /** Text of every file that may cite something, by its path. */
  readonly texts: ReadonlyMap<string, string>
  /** Names that `npm run` knows. */
  readonly scripts: ReadonlySet<string>
}

/** One finding of docs/evidence. */
export interface Finding {
  readonly id: string
  readonly page: string
  readonly text: string
}

export const EVIDENCE = 'docs/evidence/'
const DECISIONS = 'docs/decisions/'

/** Made by `npm run build`, so not in a checkout. */
const BUILT = new Set(['dist/hactl.mjs', 'hactl.mjs'])

const isPage = (path: string): boolean => path.endsWith('.md')

/** Comment signs at the beginning of a line, so that a citation which goes on in the next line is read whole. */
const CONTINUED = /\n[ \t]*(?:\*|\/\/|#)?[ \t]*/g

const ID_LIST = String.raw`[A-Z]\d+(?:(?:, and |, | and | to )(?:evidence )?[A-Z]\d+)*`
const NUMBER_LIST = String.raw`\d+(?:(?:, and |, | and | to )\d+)*`

/** "K2 to K4, V1" -> K2, K3, K4, V1; "2 to 4" -> 2, 3, 4. */
function expand(list: string): readonly string[] {
  return list
    .replaceAll('evidence ', '')
    .split(/, and |, | and /)
    .flatMap(part => {
      const [from = '', to] = part.split(' to ')
      const letter = from.replace(/\d+/, '')
      const first = Number(from.slice(letter.length))
      const last = to === undefined ? first : Number(to.replace(/^[A-Z]/, ''))
      return Array.from({ length: last - first + 1 }, (_, at) => `${letter}${first + at}`)
    })
}

/** Ids of the findings that a text cites, as "evidence K7". */
export function findingsCited(text: string): readonly string[] {
  const flat = text.replaceAll(CONTINUED, ' ')
  return [...flat.matchAll(new RegExp(`\\bevidence (${ID_LIST})`, 'gi'))].flatMap(match => expand(match[1] ?? ''))
}

function decisionsCited(path: string, text: string): readonly string[] {
  const flat = text.replaceAll(CONTINUED, ' ')
  const named = [...flat.matchAll(new RegExp(`\\bdecisions? (${NUMBER_LIST})`, 'gi'))].flatMap(match => expand(match[1] ?? ''))
  const bare = path.startsWith(DECISIONS) ? [...flat.matchAll(/(?<![\w/(-])00\d\d\b/g)].map(match => match[0]) : []
  return [...named, ...bare].map(number => String(Number(number)))
}

/** The prose of a file: all of a page, the comments of any other file. */
function proseOf(path: string, text: string): string {
  if (isPage(path)) return text
  const lines = text.split('\n').map(line => /^\s*(?:\/\/|\/?\*|#)(.*)/.exec(line)?.[1] ?? /\s(?:\/\/|\/\*\*?) (.*)/.exec(line)?.[1] ?? '')
  return lines.join('\n')
}

const ROOTS = String.raw`src|test|docs|scripts|fixtures|playbooks|\.ci|\.github`
/** Not behind a slash, a drive, a variable or a word: that is some other machine's path. */
const START = String.raw`(?<![\w./~$@{}:\\-])`
const PATH = new RegExp(`${START}(?:(?:${ROOTS})/[\\w.*/-]*|(?:[\\w.-]+/)*[\\w.*-]+\\.(?:ts|mjs|md)(?![\\w/-]))`, 'g')

function pathsCited(prose: string): readonly string[] {
  const withoutLinks = prose.replaceAll(/\]\([^)\s]*\)/g, ']')
  return [...withoutLinks.matchAll(PATH)].map(match => match[0].replace(/[./]+$/, ''))
}

function isThere(cited: string, from: string, { paths }: Checkout): boolean {
  if (BUILT.has(cited)) return true
  const places = [cited, join('src', cited), join(dirname(from), cited)].map(place => normalize(place))
  if (/\*|\bNAME\b/.test(cited)) {
    const patterns = places.map(
      place => new RegExp(`^${place.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll(/\*|\bNAME\b/g, '[^/]*')}$`),
    )
    return [...paths].some(path => patterns.some(pattern => pattern.test(path)))
  }
  if (places.some(place => paths.has(place))) return true
  // A file may be named without its folder.
  return !cited.includes('/') && [...paths].some(path => path.endsWith(`/${cited}`))
}

/** Every word of code: what a comment names in backquotes must be one. */
function codeWords(texts: Checkout['texts']): ReadonlySet<string> {
  const lines = [...texts].flatMap(([path, text]) => (/\.(?:ts|mjs)$/.test(path) ? text.split('\n') : []))
  return new Set(lines.flatMap(line => (/^\s*(?:\/\/|\/?\*)/.test(line) ? [] : (line.match(/\w+/g) ?? []))))
}

/** camelCase words in backquotes. */
const namesCited = (prose: string): readonly string[] => [...prose.matchAll(/`([a-z]+[A-Z]\w*)(?:\(\))?`/g)].map(match => match[1] ?? '')

/** As GitHub makes them. */
function anchorsOf(page: string): ReadonlySet<string> {
  const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(match => match[1] ?? '')
  return new Set(
    headings.map(heading =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

function linkProblem(target: string, from: string, { paths, texts }: Checkout): string | undefined {
  if (/^[a-z]+:/.test(target)) return undefined
  const [file = '', anchor] = target.split('#')
  const path = file === '' ? from : normalize(join(dirname(from), file)).replace(/\/$/, '')
  if (!paths.has(path)) return `links to ${target}, which is not there`
  if (anchor === undefined || anchorsOf(texts.get(path) ?? '').has(anchor)) return undefined
  return `links to ${target}, and ${path} has no such heading`
}

/** The findings of docs/evidence, in order. */
export function findingsOf({ texts }: Checkout): readonly Finding[] {
  return [...texts].flatMap(([page, text]) =>
    page.startsWith(EVIDENCE)
      ? text.split(/^(?=### )/m).flatMap(part => {
          const id = /^### ([A-Z]\d+)$/m.exec(part)?.[1]
          return id === undefined ? [] : [{ id, page, text: part }]
        })
      : [],
  )
}

/** One line for each thing that is cited and not there. */
export function brokenCitations(checkout: Checkout): readonly string[] {
  const findings = new Set(findingsOf(checkout).map(({ id }) => id))
  const decisions = new Set([...checkout.paths].flatMap(path => /^docs\/decisions\/0*(\d+)-.*\.md$/.exec(path)?.[1] ?? []))
  const words = codeWords(checkout.texts)
  return [...checkout.texts].flatMap(([path, text]) => {
    const prose = proseOf(path, text)
    const links = isPage(path) ? [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(match => match[1] ?? '') : []
    const wrong = [
      ...findingsCited(text).flatMap(id => (findings.has(id) ? [] : [`cites evidence ${id}, and docs/evidence has no such finding`])),
      ...[...(isPage(path) ? '' : prose).matchAll(/\b[a-z]+: [A-Z]\d{1,2}\b/g)].map(
        ([cited]) => `cites "${cited}": a finding is cited as "evidence K7"`,
      ),
      ...decisionsCited(path, text).flatMap(number => (decisions.has(number) ? [] : [`cites decision ${number}, which is not there`])),
      ...pathsCited(prose).flatMap(cited => (isThere(cited, path, checkout) ? [] : [`names ${cited}, which is not there`])),
      ...(isPage(path) ? [] : namesCited(prose)).flatMap(name => (words.has(name) ? [] : [`names ${name}, and no code has that name`])),
      ...links.flatMap(target => linkProblem(target, path, checkout) ?? []),
      ...[...prose.matchAll(/npm run (?:-s )?([\w-]+(?::[\w-]+)*)/g)].flatMap(([, name = '']) =>
        checkout.scripts.has(name) ? [] : [`names npm run ${name}, which package.json does not have`],
      ),
    ]
    return [...new Set(wrong)].map(problem => `${path} ${problem}`)
  })
}
