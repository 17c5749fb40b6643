/** Text for systemd's unit files. */

/**
 * A shell script as the one argument of /bin/sh -c in an Exec line. Inside double quotes systemd reads backslash escapes, and
 * everywhere it expands % specifiers and $ variables (systemd.service(5), "COMMAND LINES"; systemd.unit(5), "SPECIFIERS").
 * Lines of the script are joined by blanks, so each must end as a shell list may: with ; do, then, && or the like.
 */
export function shellArgument(lines: readonly string[]): string {
  const escaped = lines.map(line => line.replace(/[\\"]/g, '\\$&').replace(/%/g, '%%').replace(/\$/g, '$$$$'))
  return `"${escaped.join(' \\\n    ')}"`
}

/** `Exec...=` with a leading -: what fails in it never keeps the service from starting or stopping (evidence T9). */
export function hookLine(key: 'ExecStartPre' | 'ExecStartPost' | 'ExecStop' | 'ExecStopPost', lines: readonly string[]): string {
  return `${key}=-/bin/sh -c ${shellArgument(lines)}`
}
