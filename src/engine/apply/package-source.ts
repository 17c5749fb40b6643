import type { Session } from '../../ports.ts'

/** How apt on a server gets at packages that it cannot fetch by itself. */
export interface PackageSource {
  /**
   * folder: apt knows these files only, so it reads its lists again. controller: apt asks its own repositories, through the machine that
   * runs hactl.
   */
  readonly kind: 'folder' | 'controller'
  /**
   * Lasts on that server until the function that it resolves to is called. `lockId` undefined: the run holds no lock yet. Throws E_LOCKED,
   * E_PACKAGE_UNAVAILABLE and what Session.run throws.
   */
  readonly open: (session: Session, lockId: string | undefined) => Promise<() => Promise<void>>
}
