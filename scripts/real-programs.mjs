// haproxy, keepalived and systemd-analyze for the tests that feed them rendered files: Debian's own, unpacked into a
// folder, not installed. Installing would start services and change a developer's machine.
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, run } from './bootstrap.mjs'

const MINUTE_MS = 60_000
const PROGRAMS = { haproxy: 'usr/sbin/haproxy', keepalived: 'usr/sbin/keepalived', 'systemd-analyze': 'usr/bin/systemd-analyze' }
const PACKAGES = ['haproxy', 'keepalived', 'systemd']

const quiet = { capture: true, timeoutMs: 5 * MINUTE_MS }
const folder = join(root, 'node_modules/.cache/real-programs')

/** Environment that tells the tests where the programs stand; empty where this machine has them, or cannot get them: then the tests say so. */
export async function realPrograms() {
  const lookup = await run(
    'sh',
    [
      '-c',
      Object.keys(PROGRAMS)
        .map(name => `command -v ${name}`)
        .join(' && '),
    ],
    {
      ...quiet,
      env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
    },
  )
  if (lookup.code === 0) return {}
  const wrappers = Object.keys(PROGRAMS).map(name => [name, join(folder, name)])
  if (!wrappers.every(([, path]) => existsSync(path)) && !(await unpack())) return {}
  return Object.fromEntries(wrappers.map(([name, path]) => [`HACTL_${name.toUpperCase().replaceAll('-', '_')}`, path]))
}

async function unpack() {
  try {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(join(folder, 'debs/partial'), { recursive: true })
    const archives = join(folder, 'debs')
    const download = ['-q', '-y', '--no-install-recommends', '--reinstall', '--download-only', '-o', `Dir::Cache::archives=${archives}/`]
    const fetchAll = () => run('apt-get', [...download, '-o', 'APT::Sandbox::User=root', 'install', ...PACKAGES], quiet)
    if ((await fetchAll()).code !== 0) {
      await run('apt-get', ['-q', 'update'], quiet)
      if ((await fetchAll()).code !== 0) return false
    }
    for (const deb of readdirSync(archives).filter(name => name.endsWith('.deb'))) {
      if ((await run('dpkg', ['-x', join(archives, deb), join(folder, 'root')], quiet)).code !== 0) return false
    }
  } catch {
    // No apt here.
    return false
  }
  const libraries = readdirSync(join(folder, 'root'), { recursive: true, withFileTypes: true }).filter(entry =>
    /\.so(\.|$)/.test(entry.name),
  )
  const path = [...new Set(libraries.map(entry => entry.parentPath))].join(':')
  for (const [name, program] of Object.entries(PROGRAMS)) {
    const wrapper = join(folder, name)
    writeFileSync(wrapper, `#!/bin/sh\nLD_LIBRARY_PATH='${path}' exec '${join(folder, 'root', program)}' "$@"\n`)
    chmodSync(wrapper, 0o755)
  }
  rmSync(join(folder, 'debs'), { recursive: true, force: true })
  return true
}
