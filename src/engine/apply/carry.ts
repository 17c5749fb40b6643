/** Carries packages of the operator to a server whose apt reaches no mirror. They become apt's only repository for this run. */
import type { Script, Session } from '../../ports.ts'
import { HactlError } from '../../errors.ts'
import { base64Literal, joinScripts, shWith } from '../../shell/sh.ts'
import { freeGuard, lockedByOther, lockGuard, lockLost } from '../lock.ts'
import { APT_CONF, DOWNLOADS } from './packages.ts'

/** The part of a file that one command carries: small enough for the buffers of every sshd and shell. */
const PART_BYTES = 512 * 1024
const PART_DEADLINE_MS = 120_000

/** The variables of every file of src/on-server that leads apt to other packages. */
export const CARRY_VARIABLES = { DOWNLOADS, CARRIED_CONF: APT_CONF }

export interface CarriedPackage {
  /** As apt-get download names it: "keepalived_1%3a2.2.7-1+b2_amd64.deb". */
  readonly fileName: string
  readonly content: Buffer
  /** Hexadecimal. */
  readonly sha256: string
}

/** apt.conf(5). The lists and caches of the server's own repositories stay as they are. */
const CONF = [
  `Dir::Etc::SourceList "${DOWNLOADS}/sources.list";`,
  'Dir::Etc::SourceParts "/dev/null";',
  `Dir::State::Lists "${DOWNLOADS}/lists";`,
  'Dir::Cache::pkgcache "";',
  'Dir::Cache::srcpkgcache "";',
]

const carrying = shWith('carry.sh', CARRY_VARIABLES)

/**
 * Sends the packages and makes them the repository of apt on that server, until the installation has ended. Throws E_LOCKED where the run no
 * longer holds the given lock, or gives none and another run holds it. Throws E_PACKAGE_UNAVAILABLE where a file did not arrive as it was
 * sent, and what Session.run throws.
 */
export async function carryPackages(
  session: Session,
  packages: readonly CarriedPackage[],
  lockId: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const guard = lockId === undefined ? freeGuard() : lockGuard(lockId)
  const run = async (script: Script, label: string) => {
    const result = await session.run(joinScripts([guard, script]), { effect: 'none', label, deadlineMs: PART_DEADLINE_MS, signal })
    if (result.code === 0) return
    const lost = lockedByOther(result, session.server) ?? lockLost(result, session.server, label)
    if (lost !== undefined) throw lost
    throw new HactlError({
      code: 'E_PACKAGE_UNAVAILABLE',
      server: session.server,
      what: `${label}: ended with status ${result.code}`,
      why: `${result.stdout}${result.stderr}`.trim().split('\n').slice(-5),
      fix: `look at the disk of ${session.server} (df -h /var); nothing was installed on any server`,
    })
  }
  await run(carrying`make_room`, 'make room for the packages')
  for (const { fileName, content } of packages) {
    for (const part of partScripts(content, pathOf(fileName))) await run(part, `carry ${fileName}`)
  }
  await run(indexScript(packages), 'build a repository from the packages')
}

/** Scripts that append `content` to the file at `path`, in order. There is at least one. */
export function partScripts(content: Buffer, path: string): readonly Script[] {
  const count = Math.max(1, Math.ceil(content.length / PART_BYTES))
  return Array.from({ length: count }, (_, index) => {
    const part = content.subarray(index * PART_BYTES, (index + 1) * PART_BYTES)
    return carrying`append ${path} ${base64Literal(part, { mask: true })}`
  })
}

// apt would decode a percent sign in the name of a repository's file, and take a colon for an epoch.
function pathOf(fileName: string): string {
  return `${DOWNLOADS}/${fileName.replaceAll(/%3a|:/gi, '_')}`
}

function indexScript(packages: readonly CarriedPackage[]): Script {
  const sums = packages.map(({ fileName, sha256 }) => `${sha256}  ${pathOf(fileName)}`)
  return carrying`index_packages ${sums.join('\n')} ${CONF.join('\n')}`
}
