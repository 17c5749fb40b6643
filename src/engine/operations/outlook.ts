/** What apt on each server would do in an upgrade, and what becomes of the packages that it downloads. */
import type { Cluster } from '../../domain/cluster-types.ts'
import { PACKAGES } from '../../domain/packages.ts'
import type { PackageSource } from '../apply/package-source.ts'
import { clearDownloadsScript } from '../apply/packages.ts'
import { runSteps } from '../apply/steps.ts'
import { outlookScript, parseOutlook, type UpgradeOutlook } from '../apply/upgrade.ts'
import { readAll } from '../fan-out.ts'
import type { RunOptions } from '../../ports.ts'
import type { Run } from './run.ts'

// A slow line, and apt's lock held by another program for as long as apt may wait for it.
const OUTLOOK_DEADLINE_MS = 900_000
const CLEAR_DEADLINE_MS = 15_000

/** Refreshes the package lists and asks apt on every server what it would do. Throws E_PACKAGE_UNAVAILABLE and what Session.run throws. */
export function askApt(run: Run, forks: number, packages: PackageSource | undefined): Promise<ReadonlyMap<string, UpgradeOutlook>> {
  const { cluster, links, onEvent } = run
  const words = wordsFor(cluster)
  onEvent({
    kind: 'stage-started',
    stage: 'outlook',
    title: 'refresh the package lists and look for newer versions',
    servers: links.servers,
  })
  return readAll(links, forks, async session => {
    const close = await packages?.open(session, undefined)
    try {
      const said: string[] = []
      await runSteps(run, session.server, outlookScript(words, packages !== undefined), {
        effect: 'none',
        label: 'look for newer versions',
        deadlineMs: OUTLOOK_DEADLINE_MS,
        failure: 'E_PACKAGE_UNAVAILABLE',
        onDetail: line => said.push(line),
      })
      return parseOutlook(said, PACKAGES)
    } finally {
      await close?.()
    }
  })
}

/** The words by which apt-get is asked: "keepalived", "haproxy=2.6.*". */
function wordsFor({ packages }: Pick<Cluster, 'packages'>): readonly string[] {
  return PACKAGES.map(name => (packages.pins[name] === undefined ? name : `${name}=${packages.pins[name]}`))
}

/**
 * Runs `work`, then removes the downloads where nothing was installed: packages from a folder alone may be 200 MiB. The next run would
 * remove them too. `work` calls `onInstall` before it installs packages on a server.
 */
export async function clearingDownloads<T>({ links }: Run, work: (onInstall: (server: string) => void) => Promise<T>): Promise<T> {
  const installedOn = new Set<string>()
  try {
    return await work(server => installedOn.add(server))
  } finally {
    const waiting = links.servers.filter(server => !installedOn.has(server))
    const options: RunOptions = { effect: 'none', label: 'remove the downloads', deadlineMs: CLEAR_DEADLINE_MS }
    await Promise.allSettled(waiting.map(server => links.current(server).run(clearDownloadsScript(), options)))
  }
}
