/** What a look at a server asks keepalived, and how its answers are read (src/on-server/keepalived-look.sh). */
import { sourceText } from '../../shell/library.ts'
import { sh, shWith } from '../../shell/sh.ts'
import type { ServiceLook } from '../../state/services.ts'
import { DAMPING_UNIT } from '../haproxy/hooks.ts'
import { KEEPALIVED_CONF } from '../paths.ts'
import { parseHeld, parseInstances } from './dump.ts'

/** `trackers`: absolute paths of track files. */
export function keepalivedLook(trackers: readonly string[]): ServiceLook {
  const look = shWith('keepalived-look.sh', {
    TRACKERS: trackers.join(' '),
    TRACKER_FOLDERS: [...new Set(trackers.map(path => path.slice(0, path.lastIndexOf('/'))))].join(' '),
    KEEPALIVED_CONF,
    DAMPING_UNIT,
    SAID_PROGRAM: sourceText('keepalived-said.pl'),
  })
  return {
    ask: look`ask_keepalived`,
    said: sh`keepalived_said`,
    parse: section => {
      const now = parseTrackers(section('trackers') ?? '')
      const asked = parseTrackers(section('trackers-asked') ?? section('trackers') ?? '')
      const changing = trackers.filter(path => asked[path] !== now[path])
      const held = parseHeld(section('held') ?? '', changing, now)
      return {
        instances: parseInstances(section('instances') ?? ''),
        trackers: now,
        ...parseWatched(section('watched') ?? ''),
        ...(held === undefined ? {} : { trackersHeld: held }),
        ...parseRefused(section('refused') ?? ''),
        ...(section('damped') === undefined ? {} : { isDamped: true }),
        ...(changing.length === 0 ? {} : { trackersChanging: changing }),
      }
    },
  }
}

/** "PATH VALUE" lines. */
function parseTrackers(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries([...text.matchAll(/^(\S+)(?: (.*))?$/gm)].map(([, path = '', value = '']) => [path, value] as const))
}

/** The path of each dump that was not read. */
function parseRefused(text: string): Pick<ReturnType<ServiceLook['parse']>, 'answersRefused'> {
  const paths = text.split('\n').filter(line => line.startsWith('/'))
  return paths.length === 0 ? {} : { answersRefused: paths }
}

/** "yes" or "no" for each folder of track files. */
function parseWatched(text: string): Pick<ReturnType<ServiceLook['parse']>, 'trackersWatched'> {
  const answers = text.trim()
  return answers === '' ? {} : { trackersWatched: !answers.split('\n').includes('no') }
}
