import type { ObservedNode } from '../../state/observed.ts'
import { assertKnownFormat } from '../server-state/format.ts'
import { parseCertificates } from './certificates.ts'
import { parseFacts } from './facts.ts'
import { parseFiles, parseFolders, parseOwned } from './files.ts'
import { parseFirewall } from './firewall.ts'
import { parseLock } from './lock.ts'
import { parseListener, parseNeighbours, parseStatic } from './network.ts'
import { parsePackages } from './packages.ts'
import { parseWhole } from './said.ts'
import type { ProbeRequest } from './script.ts'
import { linesOf, parseSections, splitOnce } from './sections.ts'
import { parseOwnUnits, parseServices } from './services.ts'

/**
 * Reads a probe's answer. Throws E_PROBE_CUT when the closing mark is missing: a cut answer says nothing about what is absent; and
 * E_STATE_FORMAT where a newer version of hactl was at work.
 */
export function parseProbe(server: string, stdout: string, request: ProbeRequest): ObservedNode {
  const sections = parseSections(server, stdout)
  const text = (name: string) => sections.get(name) ?? ''
  assertKnownFormat(server, text('format'))
  const facts = parseFacts(text('facts'), text('os'), text('addresses'), text('links'))
  const owned = parseOwned(text('owned'))
  return {
    server,
    facts,
    packages: parsePackages(request.packages, text('packages'), text('candidates')),
    dpkgBroken: text('updates').trim() !== '' || text('audit').trim() !== '',
    aptListsStale: sections.has('lists') && text('lists').trim() === '',
    files: parseFiles(sections, request.paths, owned),
    ...(text('record').trim() === '' ? {} : { ownedPaths: [...owned.keys()] }),
    services: parseServices(request.units, text('services'), text('loaded')),
    ownUnits: parseOwnUnits(text('services')),
    sysctls: Object.fromEntries(linesOf(text('sysctls')).map(line => splitOnce(line, ' '))),
    checkStatus: parseWhole(text('check').trim(), 0, 255),
    ...request.look.parse(name => sections.get(name)),
    lock: parseLock(text('lock')),
    residue: linesOf(text('residue')),
    programFolders: parseFolders(text('folders')),
    certificates: parseCertificates(text('certificates'), facts.clockMs),
    leftRuns: linesOf(text('runs')),
    neighbours: parseNeighbours(text('neighbours')),
    ...(sections.has('static') ? { staticAddresses: parseStatic(text('static'), request.virtualAddresses) } : {}),
    ...(sections.has('listeners') ? { listeners: linesOf(text('listeners')).flatMap(parseListener) } : {}),
    ...(sections.has('firewall') ? { firewall: parseFirewall(sections) } : {}),
  }
}
