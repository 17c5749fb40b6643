/** Words and figures in the form that all reports share. */

/** The longest text from a server that a report carries, in characters. */
const LONGEST = 500

// C0 and C1 controls, DEL, what reorders text on screen, and what XML 1.0 cannot hold (section 2.2).
// oxlint-disable-next-line no-control-regex -- these are the characters to find
const UNPRINTABLE = /[\u0000-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069\uFFFE\uFFFF]/g

const SHOWN: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': ' ' }

/** Text from outside, as one harmless line: control characters are shown, and a long text is cut. */
export function inertText(text: string): string {
  const whole = text.toWellFormed()
  const rest = whole.length - LONGEST
  // A cut through a surrogate pair would leave half a character.
  const kept = rest > 0 ? whole.slice(0, LONGEST).toWellFormed() : whole
  const shown = kept.replace(UNPRINTABLE, character => SHOWN[character] ?? escaped(character.charCodeAt(0)))
  return rest > 0 ? `${shown} … (${rest} more characters)` : shown
}

function escaped(code: number): string {
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
}

// keepalived and haproxy log no secrets; an operator's own notify script, or a configuration error that quotes its line, might.
const SECRETS = [
  /\b(auth_pass\s+)(?:"[^"]*"?|\S+)/gi,
  /\b(pass(?:word|wd|phrase)?\s*[=:]\s*)(?:"[^"]*"?|\S+)/gi,
  /\b(authorization:\s*\S+\s+)\S+/gi,
  /(\/\/[^/\s:@]*:)[^/\s@]+(?=@)/g,
]

/** The text with what looks like a password replaced by ***. */
export function maskSecrets(text: string): string {
  return SECRETS.reduce((masked, pattern) => masked.replace(pattern, '$1***'), text)
}

/** Markup of HTML or XML as text: for content and for attributes in either quotes. */
export function escapeMarkup(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;')
}

/** Time since the disturbance: "-0.050 s", "0.000 s", "+6.600 s". */
export function formatOffset(ms: number): string {
  const seconds = (Math.abs(ms) / 1000).toFixed(3)
  if (Number(seconds) === 0) return '0.000 s'
  return `${ms < 0 ? '-' : '+'}${seconds} s`
}

/** The time of day in UTC: "14:03:07.120"; of ms since the epoch. */
export function formatClock(epochMs: number): string {
  const ms = ((Math.round(epochMs) % 86_400_000) + 86_400_000) % 86_400_000
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0')
  return `${two(ms / 3_600_000)}:${two((ms / 60_000) % 60)}:${two((ms / 1000) % 60)}.${String(ms % 1000).padStart(3, '0')}`
}
