/** Programs that scripts need and npm does not bring. */
import { heading } from './output.ts'
import { MINUTE_MS, run, Stop } from './process.ts'

/** Installs Debian's shellcheck where it is missing: the package of that name on npm downloads it whenever it runs. */
export const installCheckers = () => installProgram('shellcheck', 'it checks the programs that run on servers')

/** Installs Debian's package of this name where the program of this name is missing. Stops where it cannot. */
export async function installProgram(program: string, whatFor: string): Promise<void> {
  if (await isThere(program)) return
  const stop = (why: string) => new Stop(`${program} is not installed`, why, `apt-get install ${program}`)
  if (process.getuid?.() !== 0) throw stop(`${whatFor}, and only root can install it`)
  if (!(await isThere('apt-get'))) throw stop('this machine has no apt-get')
  heading(`apt-get install ${program}`)
  const apt = (args: readonly string[]) =>
    run('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=120', ...args], { env: { DEBIAN_FRONTEND: 'noninteractive' } })
  const install = () => apt(['install', '-y', '--no-install-recommends', program])
  if ((await install()).code === 0) return
  await apt(['update'])
  if ((await install()).code !== 0) throw stop('apt-get could not install it, see above')
}

async function isThere(program: string): Promise<boolean> {
  return (await run('sh', ['-c', `command -v ${program}`], { capture: true, timeoutMs: MINUTE_MS })).code === 0
}
