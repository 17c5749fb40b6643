/** A server's machine and system. Types only. */

export interface InterfaceAddress {
  readonly interface: string
  readonly family: 4 | 6
  readonly address: string
  readonly prefix: number
}

export interface Facts {
  readonly machineId: string
  readonly bootId: string
  readonly hostname: string
  readonly uid: number
  /** os-release: ID, ID_LIKE, VERSION_ID, VERSION_CODENAME, PRETTY_NAME. */
  readonly os: { readonly id: string; readonly like: string; readonly version: string; readonly codename: string; readonly pretty: string }
  readonly systemd: boolean
  /** Whether dpkg exists, as on all systems of the Debian family. */
  readonly dpkg: boolean
  /** systemd-detect-virt -c: "none" where it is no container. */
  readonly container: string
  readonly addresses: readonly InterfaceAddress[]
  /** MAC addresses of its interfaces. */
  readonly linkAddresses: readonly string[]
  /** ms since the epoch on the server's clock when it answered; undefined where its answer is no time. */
  readonly clockMs: number | undefined
  /** undefined where it is not known. */
  readonly freeVarKiB: number | undefined
  /** cloud-init is still setting the server up. */
  readonly cloudInitRuns?: boolean
}
