/** How a script gets to a root shell on the server: what both ends send to each other. Pure. */
import type { Script } from '../../ports.ts'
import { sourceText } from '../../shell/library.ts'

/** The shell prints it on stdout and stderr before it reads the script. Everything before it is noise of login files. */
export const READY = 'hactl:ready'
/** sudo's prompt. The password is sent to nothing else. */
export const PROMPT = 'hactl:password'
/** Printed on stderr where the login user is not root. */
export const VIA_SUDO = 'hactl:sudo'
const NO_SUDO = 'hactl:no-sudo'

/**
 * How root is reached.
 * login: the login user runs the script (root already, or become is off).
 * sudo: root if the login user is, else `sudo -n`. Nothing asks for a password, so the script may be sent at once.
 * password: as sudo, but hactl sends the password where sudo asks for it. The script must wait until the shell is ready.
 */
export type Way = 'login' | 'sudo' | 'password'

/**
 * The command line of the ssh exec: it opens the shell, so it cannot be a file that is sent to one. Its only value is the number of seconds, so nothing in it needs quoting and ps shows nothing. It has single
 * quotes, no backslash and one line, so that bash, dash, zsh, fish and csh read it alike as login shells.
 *
 * timeout(1) puts the script into a process group of its own and ends that group when the controller no longer can: after
 * `limitSeconds` with TERM, 5 s later with KILL.
 */
export function bootstrapFor(way: Way, limitSeconds: number): string {
  const shell = `echo ${READY}; echo ${READY} >&2; exec timeout -k 5 ${Math.ceil(limitSeconds)} /bin/sh -s`
  if (way === 'login') return `exec /bin/sh -c '${shell}'`
  const steps = [
    // hactl tells sudo's messages apart by their English text.
    'LC_ALL=C; export LC_ALL',
    `if [ "$(id -u)" = 0 ]; then ${shell}; fi`,
    `echo ${VIA_SUDO} >&2`,
    `command -v sudo >/dev/null || { echo ${NO_SUDO} >&2; exit 127; }`,
    // -S asks on stderr and reads one line of stdin, but only where a password is needed. -k ignores a login that sudo remembers, or a
    // run that worked once would fail later.
    `exec sudo ${way === 'password' ? `-S -k -p ${PROMPT}` : '-n'} /bin/sh -c "${shell}"`,
  ]
  return `exec /bin/sh -c '${steps.join('; ')}'`
}

/** The line that stops a running script: its watcher waits for it. */
export const CANCEL_LINE = 'cancel\n'

/**
 * The script as it goes to the shell's stdin, with what stands around it (src/on-server/session.sh). The body is a function, and its call comes
 * last. When the connection breaks half-way, the function is never complete and nothing of it runs.
 */
export function wrapScript(script: Script): string {
  return `${sourceText('session.sh')}hactl_begin\nhactl_main() {\n:\n${script.raw}\n\n}\nhactl_run hactl_main\n`
}

/** Why sudo gave no root shell. */
export type SudoFailure = 'not-installed' | 'needs-password' | 'wrong-password' | 'not-allowed' | 'needs-terminal' | 'other'

/** Reads what came on stderr before a shell was ready. The texts are those of sudo's sources under LC_ALL=C, and of sudo-rs. */
export function judgeSudo(stderr: string): SudoFailure {
  if (stderr.includes(NO_SUDO)) return 'not-installed'
  if (/not in the sudoers file|may not run sudo|not allowed to (?:execute|run|authenticate)|I'm sorry .*\. I'm afraid/i.test(stderr))
    return 'not-allowed'
  if (/you must have a tty/i.test(stderr)) return 'needs-terminal'
  if (/incorrect password|Sorry, try again|no password was provided|Authentication failed|incorrect authentication/i.test(stderr))
    return 'wrong-password'
  if (/password is required|interactive authentication is required|a terminal is required/i.test(stderr)) return 'needs-password'
  return 'other'
}

/** What the server itself said before a shell was ready, without hactl's own marks. */
export function noiseOf(stderr: string): string {
  return stderr
    .split('\n')
    .map(line => line.replaceAll(/hactl:(?:ready|password|sudo|no-sudo)/g, '').trim())
    .filter(line => line !== '')
    .join('\n')
}
