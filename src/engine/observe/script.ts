import type { Script } from '../../ports.ts'
import type { ServiceLook } from '../../state/services.ts'
import type { Unit } from '../../state/units.ts'
import { onState } from '../server-state/layout.ts'
import { evalWord, joinScripts, sh } from '../../shell/sh.ts'
import { sourceText } from '../../shell/library.ts'
import { ANSWER_SECONDS } from '../limits.ts'

/** Files larger than this are compared by checksum only. */
const CONTENT_LIMIT_BYTES = 262_144
/** Package lists older than this are refreshed before an installation. */
const LISTS_FRESH_MINUTES = 24 * 60
/** A ruleset larger than this is not judged. */
const RULES_LIMIT_BYTES = 524_288

/** What one probe of a server shall look at. */
export interface ProbeRequest {
  readonly packages: readonly string[]
  readonly paths: readonly string[]
  readonly units: readonly Unit[]
  readonly sysctls: readonly string[]
  /** What the services are asked, and how their answers are read. */
  readonly look: ServiceLook
  /** Absolute path of the check script; asked with the argument "once". */
  readonly checkScript: string
  /** Absolute paths of programs that root runs: who may write to the folders above them is asked. */
  readonly programs: readonly string[]
  /** Certificates, folders and lists of them (crt-list), whose end is asked of openssl. `base`: where relative names in a list begin. */
  readonly certificates?: { readonly paths: readonly string[]; readonly lists: readonly string[]; readonly base: string | undefined }
  /** Virtual addresses: who answers for them is asked, where no service looks after them here. */
  readonly virtualAddresses: readonly string[]
}

/**
 * The one script that reads all facts of a server: sections between "@@begin NAME" and "@@end NAME", closed by "@@end all", so that a
 * cut answer can never be taken for an absent thing. Changes nothing but
 * what the services themselves write when they are asked. `patience`: the session's.
 */
export function probeScript(request: ProbeRequest, patience: number): Script {
  const probe = onState('probe.sh', {
    PACKAGES: request.packages.join(' '),
    UNITS: request.units.join(' '),
    SYSCTLS: request.sysctls.join(' '),
    CONTENT_LIMIT_BYTES,
    RULES_LIMIT_BYTES,
    LISTS_FRESH_MINUTES,
    ANSWER_SECONDS: Math.ceil(ANSWER_SECONDS * patience),
    CERTIFICATES_PER_FOLDER,
    ARP_PROGRAM: sourceText('arp-probe.pl'),
    CONTENTS_PROGRAM: sourceText('contents.pl'),
    NFT_PROGRAM: sourceText('nft-ruleset.py'),
  })
  const { paths, lists, base } = request.certificates ?? { paths: [], lists: [], base: undefined }
  const certificates = [...paths, ...lists]
  const rest = joinScripts([
    sh`machine`,
    sh`static_addresses ${request.virtualAddresses}`,
    sh`packages`,
    sh`files ${request.paths}`,
    sh`services ${request.checkScript}`,
    sh`network`,
    sh`folders ${foldersAbove(request.programs)}`,
    ...(certificates.length === 0 ? [] : [sh`certificates ${base ?? ''} ${paths.length} ${certificates}`]),
    sh`hactl_itself`,
    sh`neighbours`,
    request.look.said,
    sh`end_probe`,
  ])
  return joinScripts([
    request.look.ask,
    probe`ask_neighbours ${request.virtualAddresses}`,
    // The answers arrive while the rest is read.
    sh`while_they_answer ${evalWord(rest)}`,
  ])
}

function foldersAbove(paths: readonly string[]): readonly string[] {
  const above = paths.flatMap(path =>
    path
      .split('/')
      .slice(1, -1)
      .map((_, at, names) => `/${names.slice(0, at + 1).join('/')}`),
  )
  return ['/', ...new Set(above)]
}

/** So many files of a folder are asked: each costs a process. */
const CERTIFICATES_PER_FOLDER = 100
