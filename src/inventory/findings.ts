/** Findings about an inventory before they have a line: a path, the side of the colon, and the words. */
import type { Issue } from './inventory.ts'
import type { YamlDocument, YamlPath } from '../yaml.ts'

export interface Finding {
  readonly path: YamlPath
  /** Which side of the colon the finding is about; the default is 'value'. */
  readonly part?: 'key' | 'value'
  readonly message: string
  readonly fix?: string
}

/** "servers[1].host". Keys that are not plain words are quoted: priority["lb.example.com"]. */
export function pathText(path: YamlPath): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else if (/^[A-Za-z0-9_-]{1,64}$/.test(step)) text += text === '' ? step : `.${step}`
    else text += `[${quoted(step)}]`
  }
  return text
}

/** A value of the file as a message may show it: short, and without control characters for a terminal. */
export function quoted(value: unknown): string {
  const json = JSON.stringify(value) ?? String(value)
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  const safe = json.replaceAll(/[\u007F-\u009F\u2028\u2029\u200B-\u200F\u202A-\u202E]/g, '?')
  return safe.length > 60 ? `${safe.slice(0, 57)}...` : safe
}

/** The finding with its place in the file. */
export function issueFor(finding: Finding, document: Pick<YamlDocument, 'placeOf'>): Issue {
  const place = document.placeOf(finding.path, finding.part ?? 'value')
  return {
    path: pathText(finding.path),
    message: finding.message,
    ...(finding.fix === undefined ? {} : { fix: finding.fix }),
    ...(place === undefined ? {} : place),
  }
}
