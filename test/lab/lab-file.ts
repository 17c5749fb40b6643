interface Machine {
  readonly name: string
  readonly host: string
  readonly container: string
}

/** What `test/lab/lab up` writes into .lab/lab.json. */
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
}
