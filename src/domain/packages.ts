/** Versions of the two packages: which an inventory pins, and whether unattended-upgrades may replace them. */
import { HactlError, throwAll } from '../errors.ts'
import type { Issue } from '../inventory/inventory.ts'
import type { ObservedNode } from '../state/observed.ts'
import { UNITS } from '../state/units.ts'
import type { Cluster } from './cluster-types.ts'
import { GENERATED_LINE } from './paths.ts'
import { packageVersionsFor } from './version.ts'

export const PACKAGES = UNITS

type PackageName = (typeof PACKAGES)[number]

/** apt-get(8), install: a version, or its beginning and an asterisk. Debian's epoch and revision count. */
export function matchesPin(version: string, pin: string): boolean {
  return pin.endsWith('*') ? version.startsWith(pin.slice(0, -1)) : version === pin
}

/** The name of a package's file from apt-get(8) download, and in apt's own cache: "keepalived_1%3a2.2.7-1+b2_amd64.deb". */
const PACKAGE_FILE = /^([a-z0-9][a-z0-9+.-]*)_([A-Za-z0-9.+~%:-]+)_[a-z0-9-]+\.deb$/

/** The versions of one package among these files. */
function versionsAmong(files: readonly string[], name: string): readonly string[] {
  return files.flatMap(file => {
    const match = PACKAGE_FILE.exec(file)
    return match?.[1] === name ? [(match[2] ?? '').replaceAll(/%3a/gi, ':')] : []
  })
}

/** Why a deploy could not install from the folder that `packages: from` names, as far as the names in it show. */
export function packageFolderIssues({ packages: { carried, pins } }: Pick<Cluster, 'packages'>): readonly Issue[] {
  if (carried === undefined) return []
  const { folder, files } = carried
  const path = 'packages.from'
  if (files === undefined)
    return [{ path, message: `there is no folder ${folder} that you may read`, fix: 'paths are relative to the folder of the inventory' }]
  const strange = files.filter(file => !PACKAGE_FILE.test(file))
  const named: readonly Issue[] =
    strange.length === 0
      ? []
      : [{ path, message: `${strange.join(', ')}: not the name of a package file`, fix: 'keep the names that apt-get download gives' }]
  return [
    ...named,
    ...PACKAGES.flatMap((name): readonly Issue[] => {
      const [pin, versions] = [pins[name], versionsAmong(files, name)]
      if (versions.length === 0)
        return [
          {
            path,
            message: `${folder} has no ${name}_*.deb`,
            fix: 'apt-get download haproxy keepalived, and what they depend on, on a server of the same release',
          },
        ]
      if (pin === undefined || versions.some(version => matchesPin(version, pin))) return []
      const message = `${folder} has ${name} ${versions.join(', ')}, and packages.${name} wants ${pin}`
      return [{ path, message, fix: `put a package of that version there, or change packages.${name}` }]
    }),
  ]
}

interface KnownVersions {
  readonly facts: { readonly os: { readonly codename: string } }
  readonly packages: ObservedNode['packages']
}

/** The version that apt will install on this server; the pin itself where apt has no lists yet. `carried`: the only files that apt will know. */
export function expectedVersion(
  name: string,
  pin: string | undefined,
  node: KnownVersions,
  carried?: Cluster['packages']['carried'],
): string | undefined {
  const brought = versionsAmong(carried?.files ?? [], name).filter(version => pin === undefined || matchesPin(version, pin))
  // apt takes the highest of several versions. To order versions as dpkg does is not worth it here.
  if (new Set(brought).size === 1) return brought[0]
  const known = carried === undefined ? node.packages[name] : undefined
  if (pin !== undefined) return known?.available?.find(version => matchesPin(version, pin)) ?? pin
  const shipped = packageVersionsFor(node.facts.os.codename)
  return known?.candidate ?? (name === 'haproxy' ? shipped?.haproxy : name === 'keepalived' ? shipped?.keepalived : undefined)
}

/** Throws E_PACKAGE_UNAVAILABLE for pins that fresh package lists do not have. Old lists may just not know the version yet. */
export function assertPinsServed(cluster: Cluster, nodes: readonly ObservedNode[]): void {
  // Carried packages are not in the lists of the servers' own repositories.
  if (cluster.packages.carried !== undefined) return
  const errors = nodes.flatMap(node => {
    if (node.aptListsStale) return []
    return PACKAGES.flatMap(name => {
      const pin = cluster.packages.pins[name]
      const known = node.packages[name]
      if (pin === undefined || known?.installed !== undefined || known?.available === undefined || known.available.length === 0) return []
      return known.available.some(version => matchesPin(version, pin)) ? [] : [unserved(node.server, name, pin, known.available)]
    })
  })
  throwAll(errors)
}

function unserved(server: string, name: PackageName, pin: string, available: readonly string[]): HactlError {
  const epochOf = /^\d+:/.exec(available[0] ?? '')?.[0]
  const meant = epochOf !== undefined && available.some(version => matchesPin(version, `${epochOf}${pin}`)) ? `${epochOf}${pin}` : undefined
  return new HactlError({
    code: 'E_PACKAGE_UNAVAILABLE',
    server,
    what: `no repository of this server has ${name} ${pin}`,
    why: [`it has ${available.join(', ')}`],
    fix:
      meant === undefined
        ? `pin one of those under packages: in the inventory, or add a repository that has ${pin}`
        : `did you mean packages: { ${name}: "${meant}" }? The part before the colon belongs to the version`,
  })
}

/** Notes about installed packages whose version is not the pinned one: deploy does not replace what runs. */
export function pinWarnings(cluster: Cluster, nodes: readonly ObservedNode[]): readonly string[] {
  return nodes.flatMap(node =>
    PACKAGES.flatMap(name => {
      const pin = cluster.packages.pins[name]
      const installed = node.packages[name]?.installed
      if (pin === undefined || installed === undefined || matchesPin(installed, pin)) return []
      return [`${node.server}: ${name} ${installed} is installed, and packages: pins ${pin}; hactl upgrade installs it`]
    }),
  )
}

/**
 * apt.conf(5) that keeps unattended-upgrades from both packages: it would restart them on all servers in the same minute (evidence
 * P6). Its entries are Python regular expressions, matched from the beginning of a package's name.
 */
export function renderUnattendedConf(): string {
  return `${GENERATED_LINE}
// An upgrade restarts the service: hactl upgrade does it on one server at a time. packages: { unattended_upgrades: true } takes this away.
Unattended-Upgrade::Package-Blacklist {
  "haproxy$";
  "keepalived$";
};
`
}
