/** The README's picture: which lines of the demo's output it shows, and how it is drawn. No I/O. */
import { CUT, KEPT } from './account.ts'

interface Section {
  readonly begins: RegExp
  readonly keep: RegExp | undefined
}

/** Which lines of each command's output are worth a picture. A heading, a comment or a command ends the one before. */
const WORTH: readonly Section[] = [
  { begins: /^== [1-4] of 4|^== what clients/, keep: /^/ },
  { begins: /^\$ hactl setup/, keep: /^ {4}--/ },
  { begins: /^\$ hactl deploy/, keep: /^\d+ servers: |^interruption|^took/ },
  { begins: /^\$ hactl (?:verify-failover|drain|undrain)/, keep: /^clients: / },
  { begins: /^\$ |^# (?:the lab|frontends|profile|who answers|planned move|haproxy is)/, keep: undefined },
]
const LEFT_OUT = '  ...'

/** The lines that the picture shows, of what the demo has printed; what is left out is marked with "...". */
export function linesWorthSeeing(text: string): readonly string[] {
  const shown: string[] = []
  let section: Section | undefined
  const start = text.split('\n').findIndex(line => line.startsWith('== 1 of 4'))
  for (const line of text.split('\n').slice(start)) {
    const opened = WORTH.find(({ begins }) => begins.test(line))
    if (opened !== undefined) section = opened
    if (line === '' || section?.keep === undefined) continue
    if (opened !== undefined) shown.push(...(isJoined(shown.at(-1), line) ? [] : ['']), line)
    else if (section.keep.test(line)) shown.push(line)
    else if (shown.at(-1) !== LEFT_OUT) shown.push(LEFT_OUT)
    if (line.startsWith('The demo took')) break
  }
  return shown
}

/** A command stands close under the comment on it, and under what the one before has ended with where that is a line on the clients. */
function isJoined(above: string | undefined, line: string): boolean {
  return above === undefined || (line.startsWith('$ ') && (/^(?:#|clients: )/.test(above) || above === LEFT_OUT))
}

/** What became of open connections, in colour. The text is escaped already. */
const painted = (text: string) => text.replace(KEPT, '<tspan class="p">$&</tspan>').replace(CUT, '<tspan class="f">$&</tspan>')

const escape = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

function styleOf(line: string): string | undefined {
  if (line.startsWith('== ')) return 'h'
  if (line.startsWith('$ ') || line.startsWith('    --')) return 'c'
  if (line === LEFT_OUT || line.startsWith('# ')) return 'd'
  return undefined
}

const WIDEST = 100
const [CHAR, LINE, MARGIN] = [7.85, 18, 18]

/** The lines as SVG, long ones in two. */
export function renderPicture(shown: readonly string[]): string {
  const lines = shown.flatMap(line => {
    if (line.length <= WIDEST) return [line]
    const cut = line.lastIndexOf(' ', WIDEST)
    return [line.slice(0, cut), `      ${line.slice(cut + 1)}`]
  })
  const width = Math.ceil(Math.max(...lines.map(line => line.length)) * CHAR + 2 * MARGIN)
  const height = lines.length * LINE + 2 * MARGIN
  const rows = lines.flatMap((line, at) => {
    if (line === '') return []
    const style = styleOf(line)
    // Every character at its own place: columns stay columns in whatever fixed-width font the reader has.
    const length = ` textLength="${(line.length * CHAR).toFixed(1)}"`
    return `<text x="${MARGIN}" y="${MARGIN + at * LINE + 13}"${length} lengthAdjust="spacing"${style === undefined ? '' : ` class="${style}"`}>${painted(escape(line))}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<style>
text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d8dee6; white-space: pre }
.h { fill: #8ec5ff; font-weight: bold } .c { fill: #ffffff; font-weight: bold } .p { fill: #7ddc8f } .f { fill: #ff8a80 } .d { fill: #8a94a0 }
</style>
<rect width="${width}" height="${height}" rx="8" fill="#161b22"/>
${rows.join('\n')}
</svg>
`
}
