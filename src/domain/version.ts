/** Versions of packages, as far as hactl has to tell them apart. */

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

/** What each release ships, for servers whose apt lists are still empty (operations.md 0.1). By os-release's VERSION_CODENAME. */
const SHIPPED: Readonly<Record<string, { readonly keepalived: string; readonly haproxy: string }>> = {
  focal: { keepalived: '2.0.19', haproxy: '2.0.33' },
  bullseye: { keepalived: '2.1.5', haproxy: '2.2.9' },
  jammy: { keepalived: '2.2.4', haproxy: '2.4.30' },
  bookworm: { keepalived: '2.2.7', haproxy: '2.6.12' },
  noble: { keepalived: '2.2.8', haproxy: '2.8.30' },
  trixie: { keepalived: '2.3.3', haproxy: '3.0.11' },
}

/** Upstream versions that a release ships; undefined for a release not known here. */
export function packageVersionsFor(codename: string): { readonly keepalived: string; readonly haproxy: string } | undefined {
  return SHIPPED[codename]
}
