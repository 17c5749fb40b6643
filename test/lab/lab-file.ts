interface Machine {
  readonly name: string
  readonly host: string
  /** "" in the lab of real kernels. */
  readonly container: string
  /** Its address in the second network of the lab of real kernels, by which tests reach it. */
  readonly console?: string
}

/** What `up` writes into lab.json: test/lab/lab into .lab, test/kernel-lab/lab into .kernel-lab. */
export interface LabFile {
  readonly project: string
  readonly release: string
  /** "rust": the servers have Rust's coreutils and sudo-rs; missing in a lab that an older checkout brought up. */
  readonly tools?: string
  readonly prefix: string
  readonly gateway: string
  readonly vip: string
  readonly servers: readonly Machine[]
  readonly backends: readonly (Machine & { readonly port: number })[]
  readonly mail: Machine & { readonly dir: string }
  readonly key: string
  readonly known_hosts: string
  readonly sudo_password_file: string
  /** Only in the lab of real kernels: where the servers' open connections are. */
  readonly run?: string
  /** Only in the lab of real kernels: the network on VLAN `id` of eth2 and eth3. */
  readonly vlan?: { readonly id: number; readonly prefix: string; readonly vip: string; readonly vip6: string }
}
