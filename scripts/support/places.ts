import { join } from 'node:path'

export const root = join(import.meta.dirname, '../..')
/** The commands of the development tools, Node 24 among them. */
export const binFolder = join(root, 'node_modules/.bin')
export const labScript = join(root, 'test/lab/lab')
export const hactlBin = join(root, 'dist/hactl.mjs')
export const labState = process.env['HACTL_LAB_STATE'] ?? join(root, '.lab')
