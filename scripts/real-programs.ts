// haproxy, keepalived, systemd-analyze and chromium for the tests that feed them rendered files: Debian's own, unpacked into
// a folder, not installed. Installing would start services and change a developer's machine.
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './support/places.ts'
import { MINUTE_MS, run } from './support/process.ts'

interface Group {
  readonly name: string
  /** Where each program is in the packages. */
  readonly programs: Readonly<Record<string, string>>
  readonly packages: readonly string[]
  readonly tryWith: readonly string[] | undefined
}

/** Each group is had whole or not at all, and on its own: a machine without room for a browser still has the daemons. */
const GROUPS: readonly Group[] = [
  {
    name: 'real-programs',
    programs: { haproxy: 'usr/sbin/haproxy', keepalived: 'usr/sbin/keepalived', 'systemd-analyze': 'usr/bin/systemd-analyze' },
    packages: ['haproxy', 'keepalived', 'systemd'],
    tryWith: undefined,
  },
  {
    name: 'real-browser',
    programs: { chromium: 'usr/lib/chromium/chromium' },
    packages: ['chromium', 'chromium-common', 'fonts-liberation'],
    // What is unpacked only may lack something that an installation would have brought: then it is as good as not there.
    tryWith: ['--headless', '--no-sandbox', '--disable-gpu', '--dump-dom', 'about:blank'],
  },
]

const quiet = { capture: true, timeoutMs: 5 * MINUTE_MS }

/** Environment that names the programs for the tests. It lacks those that this machine has, or cannot get: the tests then say so. */
export async function realPrograms(): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {}
  for (const group of GROUPS) Object.assign(found, await programsOf(group))
  return found
}

async function programsOf({ name, programs, packages, tryWith }: Group): Promise<Record<string, string>> {
  const names = Object.keys(programs)
  const lookup = await run('sh', ['-c', names.map(program => `command -v ${program}`).join(' && ')], {
    ...quiet,
    env: { PATH: `${process.env['PATH']}:/usr/sbin:/sbin` },
  })
  if (lookup.code === 0) return {}
  const folder = join(root, 'node_modules/.cache', name)
  const wrappers = names.map(program => [program, join(folder, program)] as const)
  if (!wrappers.every(([, path]) => existsSync(path)) && !(await unpack(folder, programs, packages, tryWith))) return {}
  return Object.fromEntries(wrappers.map(([program, path]) => [`HACTL_${program.toUpperCase().replaceAll('-', '_')}`, path]))
}

async function unpack(
  folder: string,
  programs: Group['programs'],
  packages: Group['packages'],
  tryWith: Group['tryWith'],
): Promise<boolean> {
  try {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(join(folder, 'debs/partial'), { recursive: true })
    const archives = join(folder, 'debs')
    const download = ['-q', '-y', '--no-install-recommends', '--reinstall', '--download-only', '-o', `Dir::Cache::archives=${archives}/`]
    const fetchAll = () => run('apt-get', [...download, '-o', 'APT::Sandbox::User=root', 'install', ...packages], quiet)
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
  const fonts = join(folder, 'fonts.conf')
  writeFileSync(fonts, `<fontconfig><dir>${folder}/root/usr/share/fonts</dir><cachedir>${folder}/fonts</cachedir></fontconfig>\n`)
  for (const [name, program] of Object.entries(programs)) {
    const wrapper = join(folder, name)
    writeFileSync(
      wrapper,
      `#!/bin/sh\nexport LD_LIBRARY_PATH='${path}' FONTCONFIG_FILE='${fonts}'\nexec '${join(folder, 'root', program)}' "$@"\n`,
    )
    chmodSync(wrapper, 0o755)
  }
  rmSync(join(folder, 'debs'), { recursive: true, force: true })
  if (tryWith === undefined) return true
  for (const name of Object.keys(programs)) {
    if ((await run(join(folder, name), tryWith, { ...quiet, timeoutMs: MINUTE_MS })).code === 0) continue
    rmSync(folder, { recursive: true, force: true })
    return false
  }
  return true
}
