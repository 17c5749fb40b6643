/**
 * Numbers and times as a server's own tools print them. The tools differ from release to release (GNU coreutils, uutils, busybox), and
 * what a server says is hostile until checked: a value that cannot be is undefined, which is "not known", never a fault of that server.
 */

/** A plain decimal number from `least` to `most`; undefined for everything else. */
export function parseWhole(text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined || !/^-?\d{1,15}$/.test(text)) return undefined
  const value = Number(text)
  return value >= least && value <= most ? value : undefined
}

/** What a server's wall clock showed. */
export interface ClockReading {
  /** Since the epoch, in ms. */
  readonly atMs: number
  /** Whether the fraction of the second was told: else the middle of the second stands for it. */
  readonly isExact: boolean
}

/** The end of the year 9999: no clock shows more, and Date can still say it. */
const LAST_SECOND = 253_402_300_799
export const LAST_CLOCK_MS = LAST_SECOND * 1000 + 999
const LAST_NANOSECOND = 999_999_999

/**
 * What `date '+%s %N'` printed. Of the nanoseconds GNU's date prints all nine digits, and that of some uutils releases leaves leading
 * zeros out: both are the same number. busybox's knows no %N and prints it as it stands.
 */
export function parseClock(text: string | undefined): ClockReading | undefined {
  const [seconds, fraction, ...rest] = (text ?? '').trim().split(/ +/)
  const second = parseWhole(seconds, 0, LAST_SECOND)
  if (second === undefined || rest.length > 0) return undefined
  const nanoseconds = parseWhole(fraction, 0, LAST_NANOSECOND)
  if (nanoseconds !== undefined) return { atMs: second * 1000 + Math.floor(nanoseconds / 1_000_000), isExact: true }
  // A number that is no fraction makes the whole reading doubtful; any other text is a date without fractions.
  return fraction !== undefined && /^[-+]?\d/.test(fraction) ? undefined : { atMs: second * 1000 + 500, isExact: false }
}

/**
 * What `df -Pk` printed of one file system: the KiB that are free. POSIX fixes the columns of that form; the first may hold blanks, so
 * that they are counted from the right: "NAME 1024-blocks Used Available Capacity Mounted-on".
 */
export function parseFreeKiB(text: string | undefined): number | undefined {
  const free = /\s\d+\s+-?\d+\s+(-?\d+)\s+(?:\d+%|-)\s+\/\S*\s*$/.exec(text ?? '')?.[1]
  const kib = parseWhole(free, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
  // BSD's and GNU's df count what is kept for root as less than nothing.
  return kib === undefined ? undefined : Math.max(0, kib)
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const DAYS_BEFORE = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365]
const DAY_SECONDS = 86_400

/** A time as openssl prints it ("Nov  7 10:21:18 2027 GMT"), in seconds since the epoch; what was before that is at its beginning. */
export function parseOpensslTime(text: string): number | undefined {
  const found = /^([A-Z][a-z]{2}) +(\d{1,2}) (\d{2}):(\d{2}):(\d{2}) (\d{4}) GMT$/.exec(text.trim())
  if (found === null) return undefined
  const month = MONTHS.indexOf(found[1] ?? '')
  const [day = 0, hour = 0, minute = 0, second = 0, year = 0] = found.slice(2).map(Number)
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
  const daysBefore = (DAYS_BEFORE[month] ?? 0) + (isLeap && month > 1 ? 1 : 0)
  const daysInMonth = (DAYS_BEFORE[month + 1] ?? 0) - (DAYS_BEFORE[month] ?? 0) + (isLeap && month === 1 ? 1 : 0)
  if (month < 0 || day < 1 || day > daysInMonth || hour > 23 || minute > 59 || second > 59) return undefined
  // Leap years up to the end of the year before.
  const leaps = (last: number) => Math.floor(last / 4) - Math.floor(last / 100) + Math.floor(last / 400)
  const days = (year - 1970) * 365 + leaps(year - 1) - leaps(1969) + daysBefore + day - 1
  return Math.max(0, days * DAY_SECONDS + hour * 3600 + minute * 60 + second)
}
