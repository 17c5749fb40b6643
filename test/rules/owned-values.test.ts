/** Programs on servers spell no value that TypeScript owns. Perl programs are given none: what they spell is compared with its owner. */
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { MAY_KNOW_MS, OPEN_CONNECTIONS_PORT } from '../../src/domain/open-connections/rules.ts'
import {
  FIREWALL_UNIT,
  HAPROXY_MASTER_SOCKET,
  OPEN_CONNECTIONS_RULES,
  OPEN_CONNECTIONS_SERVICE,
  OPEN_CONNECTIONS_SETTINGS,
  TRACK_DIR,
} from '../../src/domain/paths.ts'
import { PROGRAM_DIR } from '../../src/state/places.ts'
import { TRACKER_FILES } from '../../src/domain/trackers.ts'
import { APT_LOCK_SECONDS } from '../../src/engine/apply/packages.ts'
import { onServer } from '../../src/on-server/files.ts'
import { PROBE_READS_BYTES } from '../../src/system.ts'
import type { CutAnswer } from '../../src/ports.ts'

const CUT: CutAnswer = 'the answer was cut'
const files = readdirSync(join(import.meta.dirname, '../../src/on-server'))
const codeOf = (file: string) => onServer(file).replaceAll(/^[ \t]*#.*$/gm, '')

/** The absolute paths in quotes that only a server of this cluster has. */
const pathsIn = (file: string) => [...codeOf(file).matchAll(/["'](\/(?:run|usr|etc|var)\/[^"':]*)["']/g)].map(match => match[1] ?? '')

test('no Perl program has a path of its own', () => {
  const owned = new Set([HAPROXY_MASTER_SOCKET, TRACK_DIR, PROGRAM_DIR, ...Object.values(TRACKER_FILES)])
  const perl = files.filter(file => file.endsWith('.pl')).map(file => [file, pathsIn(file)] as const)
  expect(perl.flatMap(([, paths]) => paths).length).toBeGreaterThan(5)
  // Those that begin with a dot are hactl's own notes among the track files.
  const strange = perl.flatMap(([file, paths]) =>
    paths.filter(path => !owned.has(path) && !path.startsWith(`${TRACK_DIR}/.`)).map(path => `${file}: ${path}`),
  )
  expect(strange).toEqual([])
})

test.for<readonly [string, string]>([
  ['haproxy-check.pl', `bound { return (stat "${HAPROXY_MASTER_SOCKET}")`],
  ['haproxy-check.pl', `"${TRACKER_FILES.haproxy_down}"`],
  ['haproxy-workers.pl', `Peer => "${HAPROXY_MASTER_SOCKET}"`],
  ['http-answer.pl', `return "${CUT}: $why"`],
  ['http-answer.pl', `my $most = ${PROBE_READS_BYTES / 1024} * 1024;`],
  ['open-connections.pl', `my $FOLDER = '${PROGRAM_DIR}';`],
  ['open-connections.pl', `my $RUN = '${TRACK_DIR}';`],
  ['open-connections.pl', OPEN_CONNECTIONS_SETTINGS.replace(PROGRAM_DIR, '"$FOLDER')],
  ['open-connections.pl', OPEN_CONNECTIONS_RULES.replace(PROGRAM_DIR, '"$FOLDER')],
  ['open-connections.pl', `my $PORT = ${OPEN_CONNECTIONS_PORT};`],
  ['open-connections.pl', `timeout ${MAY_KNOW_MS}ms }`],
  ['open-connections.pl', `peers forget it after ${MAY_KNOW_MS / 1000}`],
])('%s has %s from its owner', ([file, text]) => {
  expect(onServer(file)).toContain(text)
})

test.for([basename(FIREWALL_UNIT), OPEN_CONNECTIONS_SERVICE, `Lock::Timeout=${APT_LOCK_SECONDS}`])('no shell program spells %s', value => {
  // The engine's look at a server, which may not import the domain's paths, asks whether the unit is enabled.
  const asks = value === basename(FIREWALL_UNIT) ? ['probe.sh'] : []
  expect(files.filter(file => file.endsWith('.sh') && codeOf(file).includes(value))).toEqual(asks)
})
