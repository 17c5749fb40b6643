/** Colour by function; every one returns its text unchanged where colour is off. Colour never carries meaning alone. */
export interface Style {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly red: (text: string) => string
  readonly green: (text: string) => string
  readonly yellow: (text: string) => string
  readonly cyan: (text: string) => string
}

export function styleFor(colour: boolean): Style {
  // util.styleText looks at the process's own streams and environment; here both come from the ports.
  const sgr = (open: number, close: number) => (text: string) => (colour && text !== '' ? `\u001B[${open}m${text}\u001B[${close}m` : text)
  return { bold: sgr(1, 22), dim: sgr(2, 22), red: sgr(31, 39), green: sgr(32, 39), yellow: sgr(33, 39), cyan: sgr(36, 39) }
}

// Everything in C0 and C1 but newline and tab, DEL, and the Unicode marks that reorder text on screen.
// oxlint-disable-next-line no-control-regex -- these are the characters to find
const UNPRINTABLE = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g

/** Text from a server or a file, safe to show: control characters are escaped, so that it cannot move the cursor or hide anything. */
export function printable(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(UNPRINTABLE, character => {
    const code = character.charCodeAt(0)
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
  })
}

const LEAST_LAST_COLUMN = 20

/** Rows with aligned columns, two spaces apart. The last column is wrapped within itself where it does not fit into `columns`. */
export function table(rows: readonly (readonly string[])[], indent = '', columns = Number.POSITIVE_INFINITY): string[] {
  const widths: number[] = []
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length)
  const fixed = widths.slice(0, -1).reduce((sum, width) => sum + width + 2, indent.length)
  const room = Math.max(LEAST_LAST_COLUMN, columns - fixed)
  return rows.flatMap(row => {
    const cells = row.slice(0, -1).map((cell, i) => `${cell.padEnd(widths[i] ?? 0)}  `)
    const [first = '', ...rest] = wrap(row.at(-1) ?? '', room)
    return [`${indent}${cells.join('')}${first}`.trimEnd(), ...rest.map(line => ' '.repeat(fixed) + line)]
  })
}

/** Breaks at spaces so that no line is longer than `width`. A word longer than that has a line of its own. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const paragraph of text.split('\n')) {
    let line = ''
    for (const word of paragraph.split(' ')) {
      if (line !== '' && line.length + 1 + word.length > width) {
        lines.push(line)
        line = word
      } else {
        line = line === '' ? word : `${line} ${word}`
      }
    }
    lines.push(line)
  }
  return lines
}
