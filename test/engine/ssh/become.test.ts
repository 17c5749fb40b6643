/** What sudo and sudo-rs say where they give no root shell, word for word from their sources under LC_ALL=C. */
import { expect, test } from 'vitest'
import { judgeSudo, PROMPT, VIA_SUDO } from '../../../src/engine/ssh/become.ts'

test.each([
  // sudo-rs 0.2.5 (Debian 13) to 0.2.14.
  ['interactive authentication is required', 'sudo-rs: interactive authentication is required', 'needs-password'],
  ['a terminal', 'sudo-rs: A terminal is required to authenticate', 'needs-password'],
  ['one wrong password', `[sudo: ${PROMPT}] Password: \nsudo: Authentication failed, try again.`, 'wrong-password'],
  ['too many of them, before 0.2.11', 'sudo-rs: Maximum 3 incorrect authentication attempts', 'wrong-password'],
  ['too many of them, since', 'sudo-rs: maximum 3 incorrect authentication attempts', 'wrong-password'],
  ['no password at all', 'sudo-rs: Incorrect authentication attempt', 'wrong-password'],
  ['nobody in sudoers', "sudo-rs: I'm sorry guest. I'm afraid I can't do that", 'not-allowed'],
  ['another command in sudoers', "sudo-rs: Sorry, user guest is not allowed to execute '/bin/sh -c true' as root on srv-1.", 'not-allowed'],
  ['no account for it', 'sudo-rs: Sorry, user guest is not allowed to authenticate as root.', 'not-allowed'],
  // sudo 1.9.
  ['sudo: -n', 'sudo: a password is required', 'needs-password'],
  ['sudo: a wrong password', 'Sorry, try again.\nsudo: 1 incorrect password attempt', 'wrong-password'],
  ['sudo: nobody in sudoers', 'guest is not in the sudoers file.', 'not-allowed'],
  ['sudo: requiretty', 'sudo: sorry, you must have a tty to run sudo', 'needs-terminal'],
])('%s', (_, said, kind) => {
  expect(judgeSudo(`${VIA_SUDO}\n${said}\n`)).toBe(kind)
})
