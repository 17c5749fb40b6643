/** The two ways in which packages are brought to servers whose apt reaches no mirror. */
import { type CarriedPackage, carryPackages } from '../apply/carry.ts'
import type { PackageSource } from '../apply/package-source.ts'
import { servePackages } from '../apply/serve-packages.ts'
import type { Ports } from '../../ports.ts'
import { openPackageMirror } from './package-mirror.ts'
import type { OnEvent } from './run.ts'

/** The controller fetches from these mirrors what apt on a server asks for, and a note reports how much that was. */
export function fetchedSource(
  mirrors: readonly string[],
  { download, signal }: Pick<Ports, 'download' | 'signal'>,
  onEvent: OnEvent,
): PackageSource {
  const fetch = openPackageMirror(mirrors, download, signal)
  return {
    kind: 'controller',
    async open(session, lockId) {
      const close = await servePackages(session, fetch, lockId)
      return async () => {
        const { files, bytes } = await close()
        const amount = `${files} ${files === 1 ? 'file' : 'files'}, ${(bytes / 1024 / 1024).toFixed(1)} MiB`
        if (files > 0)
          onEvent({
            kind: 'note',
            server: session.server,
            text: `this machine fetched packages for its apt and copied them over: ${amount}`,
          })
      }
    },
  }
}

/** These packages are carried to a server, and are all that apt there knows. */
export function carriedSource(packages: readonly CarriedPackage[], signal: AbortSignal): PackageSource {
  return {
    kind: 'folder',
    async open(session, lockId) {
      await carryPackages(session, packages, lockId, signal)
      return async () => {}
    },
  }
}
