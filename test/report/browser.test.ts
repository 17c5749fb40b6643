/** The page in a real browser: what its text alone cannot show. */
import { execFile } from 'node:child_process'
import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { factsOf } from '../../src/report/facts.ts'
import { renderReport } from '../../src/report/report.ts'
import { unlessLacking } from '../support/lacking.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { accountOf, hostileAccount, journalOf, refusedAccount, runOf, TIMELINES } from './runs.ts'

const WIDTHS = [320, 360, 768, 1280]

const chromium = findChromium()
const lacks = chromium === undefined ? 'there is no chromium here; apt-get install chromium' : undefined

interface Seen {
  readonly width: number
  /** How far anything reaches to the right. */
  readonly reach: number
  readonly scripts: number
  readonly pwned: boolean
  readonly drills: readonly SeenDrill[]
  /** Texts that extend beyond their drawing. */
  readonly cut: readonly string[]
}

interface SeenDrill {
  readonly lanes: readonly string[]
  /** Widths of the outage bands of the whole drill, in px. */
  readonly bands: readonly number[]
  readonly marks: number
  readonly failedProbes: number
}

const RUN = runOf([
  ...TIMELINES.map(name => accountOf(name)),
  accountOf('classic', { journals: [journalOf('srv-1', [[1010, 'systemd', 'Stopping haproxy.service']])] }),
  hostileAccount(),
  refusedAccount(),
])

describe('the HTML report in a browser', unlessLacking(lacks), () => {
  const folder = tempFolder()
  let seen: readonly Seen[] = []

  beforeAll(async () => {
    seen = await look(chromium ?? '', folder(), renderReport(RUN, 'html'))
  }, 120_000)

  test('is measured in every width', () => {
    expect(seen.map(({ width }) => width)).toEqual(WIDTHS)
  })

  test.for(WIDTHS)('fits into %i px: no element is wider, and no text of a drawing is cut off', width => {
    const page = seen.find(one => one.width === width)
    expect(page?.reach).toBeLessThanOrEqual(width)
    expect(page?.cut).toEqual([])
  })

  test.for(WIDTHS)('shows at %i px every lane, mark, outage band and failed probe of every drill that was run', width => {
    const page = seen.find(one => one.width === width)
    const wanted = factsOf(RUN).drills.filter(drill => drill.axis !== undefined)
    expect(page?.drills).toHaveLength(wanted.length)
    for (const [index, drill] of wanted.entries()) {
      const drawn = page?.drills[index]
      expect(drawn?.lanes).toEqual(drill.lanes.map(lane => lane.server))
      expect(drawn?.marks).toBe(drill.marks.length)
      expect(drawn?.bands).toHaveLength(drill.interruptions.length)
      expect(drawn?.bands.filter(px => px < 0.5)).toEqual([])
      expect(drawn?.failedProbes).toBe(drill.failedProbes)
    }
  })

  test('runs no code from a journal', () => {
    expect(seen.map(({ scripts, pwned }) => ({ scripts, pwned }))).toEqual(WIDTHS.map(() => ({ scripts: 0, pwned: false })))
  })
})

function findChromium(): string | undefined {
  const given = process.env['HACTL_CHROMIUM']
  if (given !== undefined) return given
  const names = ['chromium', 'chromium-browser', 'google-chrome']
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return folders
    .flatMap(folder => names.map(name => join(folder, name)))
    .find(path => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

async function look(browser: string, folder: string, html: string): Promise<readonly Seen[]> {
  const report = html.replaceAll('&', '&amp;').replaceAll('"', '&quot;')
  const path = join(folder, 'look.html')
  writeFileSync(
    path,
    `<!doctype html><meta charset="utf-8"><iframe style="border:0;height:800px" srcdoc="${report}"></iframe>
<script>${readFileSync(new URL('measure-page.js', import.meta.url), 'utf8')}
onload = () => measure(${JSON.stringify(WIDTHS)})</script>`,
  )
  const { stdout } = await promisify(execFile)(
    browser,
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      `--user-data-dir=${join(folder, 'profile')}`,
      '--window-size=1400,900',
      '--dump-dom',
      `file://${path}`,
    ],
    { timeout: 100_000, maxBuffer: 64 * 1024 * 1024, killSignal: 'SIGKILL' },
  )
  const measured = /<pre id="measured">([^<]*)<\/pre>/.exec(stdout)?.[1]
  if (measured === undefined) throw new Error('the browser measured nothing')
  return JSON.parse(Buffer.from(measured, 'base64').toString('utf8'))
}
