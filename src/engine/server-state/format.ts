/** The format of what hactl keeps on a server: a number that every look reads, so that no version takes another's records for its own. */
import packageJson from '../../../package.json' with { type: 'json' }
import { HactlError } from '../../errors.ts'
import type { CommandResult, Script } from '../../ports.ts'
import { onState } from './layout.ts'

/** Versions from before there was a number wrote format 1. */
export const STATE_FORMAT = 2

/** A server's state is of a newer format. */
const NEWER_FORMAT_STATUS = 95
/** The state of an older format could not be converted. */
const UNCONVERTED_STATUS = 94

/** What is given to every file of src/on-server that makes the state ready. */
export const FORMAT_VARIABLES = { STATE_FORMAT, NEWER_FORMAT_STATUS, UNCONVERTED_STATUS, HACTL_VERSION: packageJson.version }

/**
 * Under the lock: converts the state of an older format, and names its own. Returns NEWER_FORMAT_STATUS, after what formatRefused reads,
 * where the state is newer.
 */
export const READY_STATE: Script = onState('format.sh', FORMAT_VARIABLES)`ready_state`

/** E_STATE_FORMAT (5) where READY_STATE ended a script; undefined for any other end. */
export function formatRefused(result: CommandResult, server: string): HactlError | undefined {
  if (result.code === NEWER_FORMAT_STATUS) return newerFormat(server, result.stdout)
  if (result.code !== UNCONVERTED_STATUS) return undefined
  return new HactlError({
    code: 'E_STATE_FORMAT',
    server,
    what: 'what hactl keeps on this server is of an older format and could not be converted',
    why: [...result.stderr.trim().split('\n').slice(-3), 'nothing else was changed; the next run converts what is left'],
    fix: `look at the disk of ${server}: df -h /var, and run it again`,
  })
}

/** `text`: the file that names the format, empty where there is none. Throws E_STATE_FORMAT (5) for a newer one. */
export function assertKnownFormat(server: string, text: string): void {
  if (text.trim() === '') return
  const number = /^format ([0-9]{1,6})$/m.exec(text)?.[1]
  if (number === undefined || Number(number) > STATE_FORMAT) throw newerFormat(server, text)
}

function newerFormat(server: string, text: string): HactlError {
  const number = /^format ([0-9]{1,6})$/m.exec(text)?.[1]
  const version = /^hactl ([A-Za-z0-9.+-]{1,40})$/m.exec(text)?.[1]
  return new HactlError({
    code: 'E_STATE_FORMAT',
    server,
    what:
      number === undefined
        ? 'what hactl keeps on this server is of a format that this version cannot read'
        : `what hactl keeps on this server is of format ${number}, and this version (${packageJson.version}) reads up to ${STATE_FORMAT}`,
    why: [
      version === undefined ? 'a newer version of hactl wrote it' : `hactl ${version} wrote it`,
      'to read it as if it were older could lose what stood there before hactl; nothing was changed',
    ],
    fix: version === undefined ? 'use a newer version of hactl' : `use hactl ${version} or newer`,
  })
}
