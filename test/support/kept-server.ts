/** A server as an older version of hactl left it, from a fixture. */
import { chmodSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { ShellServer } from './shell-server.ts'

type Kept =
  | { readonly mode: string; readonly text: string }
  | { readonly mode: string; readonly textOf: string }
  | { readonly linkTo: string }
  | { readonly folder: true }

/** Puts the server of fixtures/server-state/NAME.json in the place of this one. */
export function putKeptServer(server: ShellServer, name: string): void {
  const fixture = join(import.meta.dirname, `../../fixtures/server-state/${name}.json`)
  const kept = JSON.parse(readFileSync(fixture, 'utf8')) as Readonly<Record<string, Kept>>
  const placed = (text: string) => text.replaceAll('@ROOT@', server.root).replaceAll('@FLAT@', server.root.replaceAll('/', '_'))
  for (const top of ['etc', 'usr', 'var', 'run', 'world', 'proc', 'tmp']) server.remove(`/${top}`)
  for (const [key, entry] of Object.entries(kept)) {
    const path = placed(key)
    if ('folder' in entry) mkdirSync(join(server.root, path), { recursive: true })
    else if ('linkTo' in entry) symlinkSync(entry.linkTo, join(server.root, path))
    else {
      server.write(path, placed('text' in entry ? entry.text : textOf(kept, entry.textOf)))
      chmodSync(join(server.root, path), Number.parseInt(entry.mode, 8))
    }
  }
}

function textOf(kept: Readonly<Record<string, Kept>>, key: string): string {
  const entry = kept[key]
  if (entry === undefined || !('text' in entry)) throw new Error(`the fixture has no text of ${key}`)
  return entry.text
}
