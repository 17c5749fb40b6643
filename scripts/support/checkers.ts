/** Programs that checks need and npm does not bring. */
import { heading } from './output.ts'
import { MINUTE_MS, run, Stop } from './process.ts'

/** Installs Debian's shellcheck where it is missing: the package of that name on npm downloads it whenever it runs. */
export async function installCheckers(): Promise<void> {
  if (await isThere('shellcheck')) return
  const stop = (why: string) => new Stop('shellcheck is not installed', why, 'apt-get install shellcheck')
  if (process.getuid?.() !== 0) throw stop('it checks the programs that run on servers, and only root can install it')
  if (!(await isThere('apt-get'))) throw stop('this machine has no apt-get')
  heading('apt-get install shellcheck')
  const apt = (args: readonly string[]) =>
    run('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=120', ...args], { env: { DEBIAN_FRONTEND: 'noninteractive' } })
  const install = () => apt(['install', '-y', '--no-install-recommends', 'shellcheck'])
  if ((await install()).code === 0) return
  await apt(['update'])
  if ((await install()).code !== 0) throw stop('apt-get could not install it, see above')
}

async function isThere(program: string): Promise<boolean> {
  return (await run('sh', ['-c', `command -v ${program}`], { capture: true, timeoutMs: MINUTE_MS })).code === 0
}
