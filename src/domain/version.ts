/** Versions of packages, as far as hactl must distinguish them. */

/** "1:2.2.7-1+b2" -> "2.2.7": without Debian's epoch and revision. */
export function upstreamVersion(packageVersion: string): string {
  return packageVersion.replace(/^\d+:/, '').replace(/[-~+].*$/, '')
}

/** Whether an upstream version is at least `minimum`; both dotted numbers. */
export function isAtLeast(version: string, minimum: string): boolean {
  const a = version.split('.').map(Number)
  const b = minimum.split('.').map(Number)
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const d = (a[i] ?? 0) - (b[i] ?? 0)
    if (d !== 0) return d > 0
  }
  return true
}

interface Shipped {
  readonly keepalived: string
  readonly haproxy: string
}

/**
 * What each release ships, for servers whose apt lists are still empty (evidence P1). By os-release's VERSION_CODENAME. Ubuntu
 * ships haproxy's fixes within a minor version, so that only the minor version can be named.
 */
const SHIPPED: Readonly<Record<string, Shipped>> = {
  focal: { keepalived: '2.0.19', haproxy: '2.0' },
  bullseye: { keepalived: '2.1.5', haproxy: '2.2.9' },
  jammy: { keepalived: '2.2.4', haproxy: '2.4' },
  bookworm: { keepalived: '2.2.7', haproxy: '2.6.12' },
  noble: { keepalived: '2.2.8', haproxy: '2.8' },
  trixie: { keepalived: '2.3.3', haproxy: '3.0.11' },
  resolute: { keepalived: '2.3.4', haproxy: '3.2' },
}

/** A release that is not in the table counts as newer than all of them: it gets the newest keepalived that was tried. */
export const NEWEST_KEEPALIVED = '2.4'

/** Upstream versions that a release ships; undefined for a release not known here. */
export function packageVersionsFor(codename: string): Shipped | undefined {
  return Object.hasOwn(SHIPPED, codename) ? SHIPPED[codename] : undefined
}
