import { join } from 'node:path'

export const root = join(import.meta.dirname, '../..')
/** The commands of the development tools, Node 24 among them. */
export const binFolder = join(root, 'node_modules/.bin')
export const labScript = join(root, 'test/lab/lab')
export const hactlBin = join(root, 'dist/hactl.mjs')
export const labState = process.env['HACTL_LAB_STATE'] ?? join(root, '.lab')

/** The lab of containers and the lab of real kernels: each has its program, and a folder with its lab.json. */
export interface Place {
  readonly script: string
  readonly state: string
  readonly what: string
}
export const containers: Place = { script: labScript, state: labState, what: 'three Debian servers in containers' }
export const kernels: Place = {
  script: join(root, 'test/kernel-lab/lab'),
  state: process.env['HACTL_KERNEL_LAB_STATE'] ?? join(root, '.kernel-lab'),
  what: 'three Debian servers with real kernels under emulation',
}
