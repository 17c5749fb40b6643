import { describe, expect, test } from 'vitest'
import { renderReport, REPORT_FORMATS, reportFormatOf } from '../../src/report/report.ts'
import { STYLE } from '../../src/report/style.ts'
import { type Element, readXml } from './markup.ts'
import { accountOf, brokenOffAccount, HOSTILE, hostileAccount, refusedAccount, runOf, TIMELINES } from './runs.ts'

const EVERYTHING = runOf([...TIMELINES.map(name => accountOf(name)), refusedAccount()])
const ILL = runOf([hostileAccount()], { problems: [...HOSTILE] })

describe('a report', () => {
  test.for([
    ['failover.html', 'html'],
    ['/srv/a.b/r.xml', 'xml'],
    ['r.json', 'json'],
    ['r.md', 'md'],
    ['r.pdf', undefined],
    ['html', undefined],
    ['r.HTML', undefined],
  ] as const)('in %s is %s', ([path, format]) => {
    expect(reportFormatOf(path)).toBe(format)
  })

  test.for(REPORT_FORMATS)('as %s names the run, every drill and its verdict', format => {
    const text = renderReport(EVERYTHING, format)
    for (const part of ['edge', '1.2.3', 'srv-3', '198.51.100.200', 'haproxy-stop', 'partition', 'passed', 'failed', 'refused']) {
      expect(text).toContain(part)
    }
  })

  test.for(REPORT_FORMATS)('as %s shows no secret, no control character and no endless line of a journal', format => {
    const text = renderReport(ILL, format)
    expect(text).not.toContain('s3cr3t')
    // oxlint-disable-next-line no-control-regex -- these are the characters to find
    expect(text).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u202E\uFFFF]/)
    expect(text.isWellFormed()).toBe(true)
    expect(text).toContain('(9500 more characters)')
    expect(text).not.toContain('x'.repeat(501))
  })

  test.for(REPORT_FORMATS)('as %s distinguishes the places that probes came from', format => {
    const text = renderReport(runOf([accountOf('slow-from-elsewhere')]), format)
    const { origins = [] } = accountOf('slow-from-elsewhere').verdict
    expect(origins.length).toBe(2)
    for (const { from, failedProbes, probes, outageMs } of origins) {
      const told = {
        html: `<span>${from}</span></th><td role="cell" data-label="probes lost"><span>${failedProbes} of ${probes}</span></td><td role="cell" data-label="outage"><span>${outageMs} ms</span>`,
        json: JSON.stringify({ from, probes, failed_probes: failedProbes, outage_ms: outageMs }),
        xml: `from.${from}.outage_ms" value="${outageMs}"`,
        md: `| ${from} | ${failedProbes} of ${probes} | ${outageMs} ms |`,
      }
      expect(text).toContain(told[format])
    }
  })

  test.for(REPORT_FORMATS)('as %s counts long-lived connections apart from the probes, and names their errors', format => {
    const text = renderReport(runOf([accountOf('reload-cuts-a-kept-connection')]), format)
    const told = {
      html: ['<dd>1 of 3 cut</dd>', 'Errors of the long-lived connections that were cut', '<g class="kept">'],
      json: ['"connections":3,"connections_cut":1', '0,"cut","answered with Connection: close"]'],
      xml: ['reload-under-load.connections_cut" value="1"', '1 long-lived connections cut: '],
      md: ['1 of 3 long-lived connections cut', 'connection 1 of controller  '],
    }
    for (const part of told[format]) expect(text).toContain(part)
  })

  test.for(REPORT_FORMATS)('as %s says who cut connections that the cluster promises to keep, with a lane for each', format => {
    const text = renderReport(runOf([accountOf('keeps-connections-and-cuts-some')]), format)
    const told = {
      html: ['3 of 6 cut (1 FIN, 2 RST); promised to be kept', 'RST: ECONNRESET', '>kept-alive 1<', '>transfer 4<'],
      json: [
        '"connections_cut_by":{"FIN":1,"RST":2},"connections_promised":true',
        '0,"cut","ECONNRESET","kept-alive","RST"]',
        '3,"opened",null,"transfer"]',
      ],
      xml: ['connections_cut_by.RST" value="2"', 'connections_promised" value="true"', '2 long-lived connections cut: RST: ECONNRESET'],
      md: ['kept-alive 1 of controller  ', 'transfer 4 of controller  ', 'RST: ECONNRESET'],
    }
    for (const part of [...told[format], '2 long-lived connections were cut by a reset (RST)']) expect(text).toContain(part)
  })

  test.for(REPORT_FORMATS)('as %s has what was seen of a drill that ended in a fault, and how to recover', format => {
    const text = renderReport(runOf([brokenOffAccount('classic', 4000)], { exit: 8 }), format)
    expect(text).toContain('systemctl start haproxy')
    const seen = {
      html: '<figure class="whole">',
      json: '["controller",0,3,false,"ECONNREFUSED"]',
      xml: '0.000 s disturbed (srv-1)',
      md: 'xx xx xx',
    }
    expect(text).toContain(seen[format])
  })

  test.for(REPORT_FORMATS)('as %s is the same text for the same run', format => {
    expect(renderReport(EVERYTHING, format)).toBe(renderReport(EVERYTHING, format))
  })
})

describe('HTML', () => {
  const tagsOf = (html: string) => new Set([...html.matchAll(/<([a-z][a-z0-9]*)[\s>]/gi)].map(match => match[1] ?? ''))

  test('fetches nothing and runs nothing', () => {
    const html = renderReport(EVERYTHING, 'html')
    expect(html).not.toMatch(/<(script|link|img|iframe|object|embed|base)\b/i)
    expect(html).not.toMatch(/\s(src|srcset|on[a-z]+)=/i)
    expect([...html.matchAll(/href="([^"]*)"/g)].every(match => match[1]?.startsWith('#'))).toBe(true)
    expect(html.replace(/url\(#[a-z]+\)/g, '')).not.toMatch(/url\(|@import/)
    expect(html).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`)
  })

  test('has no additional tag, whatever a journal contains', () => {
    const tame = renderReport(runOf([accountOf('classic', { journals: hostileAccount().journals })]), 'html')
    expect(tagsOf(renderReport(ILL, 'html'))).toEqual(tagsOf(tame))
    expect(tagsOf(tame)).not.toContain('img')
    expect(renderReport(ILL, 'html')).toContain('&lt;img src=x onerror=&quot;window.pwned = 1&quot;&gt;')
  })

  test('stays small: a drill of 30 s with a probe every 20 ms is less than 500 kB', () => {
    const account = accountOf('classic')
    const probes = Array.from({ length: 1500 }, (_, i) => ({
      kind: 'probe' as const,
      from: 'controller',
      sentMs: i * 20,
      tookMs: 2,
      // Every third one failed: nothing can be merged.
      ok: i % 3 !== 0,
    }))
    const samples = [...account.samples.filter(sample => sample.kind !== 'probe'), ...probes]
    expect(renderReport(runOf([{ ...account, samples }]), 'html').length).toBeLessThan(500_000)
  })

  const themes = [...STYLE.matchAll(/:root\{color-scheme:[^;]*;([^}]*)\}/g), ...STYLE.matchAll(/:root\{(--[^}]*)\}/g)].map(
    match => new Map([...(match[1] ?? '').matchAll(/--([a-z]+):(#[0-9a-f]{3,6})(?![0-9a-f])/g)].map(m => [m[1] ?? '', m[2] ?? ''])),
  )

  test('has a light, a dark and a printed look', () => {
    expect(themes).toHaveLength(3)
  })

  test.for(['ink', 'muted', 'held', 'ok', 'bad', 'warn', 'gone'])(
    'is readable in the colour "%s": 4.5 to 1 at least (WCAG 2.2, 1.4.3)',
    name => {
      for (const theme of themes) {
        for (const ground of ['paper', 'raised']) {
          expect(contrast(theme.get(name) ?? '', theme.get(ground) ?? '')).toBeGreaterThanOrEqual(4.5)
        }
      }
    },
  )
})

/** WCAG 2.2, "contrast ratio". */
function contrast(one: string, other: string): number {
  const luminance = (colour: string) => {
    const digits = (colour.length === 4 ? colour.replace(/[^#]/g, '$&$&') : colour).slice(1).match(/../g) ?? []
    const [r = Number.NaN, g = Number.NaN, b = Number.NaN] = digits.map(pair => {
      const c = Number.parseInt(pair, 16) / 255
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a)
  return (light + 0.05) / (dark + 0.05)
}

describe('JSON', () => {
  test('carries its version, the figures under the keys of --json, and every sample', () => {
    const account = accountOf('classic')
    const report = JSON.parse(renderReport(runOf([account]), 'json'))
    expect(report).toMatchObject({ report: 1, hactl: '1.2.3', cluster: 'edge', exit: 0, max_outage_ms: 8480 })
    expect(report.drills[0]).toMatchObject({
      drill: 'haproxy-stop',
      verdict: 'passed',
      from: 'srv-1',
      predicted: 'srv-2',
      to: 'srv-2',
      outage_ms: 6600,
      failed_probes: 65,
      probes: 150,
      holders_max: 1,
      failback: 'srv-1',
      failback_outage_ms: 0,
      restored: true,
    })
    const { probes, holders } = report.drills[0].samples
    expect(probes.rows).toHaveLength(account.samples.filter(sample => sample.kind === 'probe').length)
    expect(probes.rows[0]).toEqual(['controller', -1000, 3, true])
    expect(probes.rows[10]).toEqual(['controller', 0, 3, false, 'ECONNREFUSED'])
    expect(holders.rows).toHaveLength(account.samples.filter(sample => sample.kind === 'holder').length)
    expect(holders.columns).toHaveLength(7)
  })

  test('has null for what is not known, never a missing key', () => {
    const report = JSON.parse(renderReport(runOf([accountOf('nobody-took-over'), refusedAccount()]), 'json'))
    expect(report.drills[0]).toMatchObject({ to: null, outage_ms: null })
    expect(report.drills[1]).toMatchObject({ from: null, to: null, outage_ms: null, max_outage_ms: null, window_ms: null })
    expect(Object.keys(report.drills[0])).toEqual(Object.keys(report.drills[1]))
  })
})

/** Which elements may contain which, and which attributes they must and may have: Jenkins' junit-10.xsd, as far as reports use it. */
const JUNIT: Readonly<
  Record<string, { readonly holds: readonly string[]; readonly must: readonly string[]; readonly may: readonly string[] }>
> = {
  testsuites: { holds: ['testsuite'], must: [], may: ['name', 'time', 'tests', 'failures', 'errors'] },
  testsuite: {
    holds: ['properties', 'testcase', 'system-out', 'system-err'],
    must: ['name', 'tests', 'failures', 'errors'],
    may: ['time', 'skipped', 'timestamp'],
  },
  properties: { holds: ['property'], must: [], may: [] },
  property: { holds: [], must: ['name', 'value'], may: [] },
  testcase: { holds: ['skipped', 'error', 'failure', 'system-out', 'system-err'], must: ['name'], may: ['time', 'classname'] },
  skipped: { holds: [], must: [], may: ['type', 'message'] },
  error: { holds: [], must: [], may: ['type', 'message'] },
  failure: { holds: [], must: [], may: ['type', 'message'] },
  'system-out': { holds: [], must: [], may: [] },
  'system-err': { holds: [], must: [], may: [] },
}

function junitIssues({ name, attributes, children }: Element): readonly string[] {
  const shape = JUNIT[name]
  if (shape === undefined) return [`<${name}> is not JUnit's`]
  return [
    ...shape.must.filter(key => !(key in attributes)).map(key => `<${name}> lacks ${key}`),
    ...Object.keys(attributes)
      .filter(key => !shape.must.includes(key) && !shape.may.includes(key))
      .map(key => `<${name}> has ${key}`),
    ...children.filter(child => !shape.holds.includes(child.name)).map(child => `<${child.name}> in <${name}>`),
    ...(/^\d+\.\d{3}$/.test(attributes['time'] ?? '0.000') ? [] : [`time is ${attributes['time']}`]),
    ...children.flatMap(junitIssues),
  ]
}

function all(element: Element, name: string): readonly Element[] {
  return [...(element.name === name ? [element] : []), ...element.children.flatMap(child => all(child, name))]
}

describe('JUnit XML', () => {
  test.for([
    ['of every timeline', EVERYTHING],
    ['with a hostile journal', ILL],
    ['without a drill', runOf([])],
  ] as const)('%s has the shape that CI servers read', ([, run]) => {
    expect(junitIssues(readXml(renderReport(run, 'xml')))).toEqual([])
  })

  test('counts its test cases correctly', () => {
    const root = readXml(renderReport(EVERYTHING, 'xml'))
    const [suite] = all(root, 'testsuite')
    expect(suite?.attributes).toMatchObject({
      tests: String(all(root, 'testcase').length),
      failures: String(all(root, 'failure').length),
      skipped: String(all(root, 'skipped').length),
      errors: '0',
      timestamp: '2026-01-01T14:00:00',
    })
    expect(all(root, 'failure').length).toBeGreaterThan(3)
  })

  test('has the figures as properties, and the drill with its journal as system-out', () => {
    const root = readXml(renderReport(ILL, 'xml'))
    const properties = Object.fromEntries(all(root, 'property').map(({ attributes }) => [attributes['name'], attributes['value']]))
    expect(properties).toMatchObject({ '1.haproxy-stop.outage_ms': '6600', '1.haproxy-stop.probes': '150', exit: '0' })
    const [out] = all(root, 'system-out')
    expect(out?.text).toContain('0.000 s srv-1')
    expect(out?.text).toContain(']]></system-out><failure message="forged"/>')
  })

  test('reports a run that ended early as failed', () => {
    const root = readXml(renderReport(runOf([], { exit: 130, problems: ['interrupted'] }), 'xml'))
    expect(all(root, 'error').map(error => error.attributes['message'])).toEqual(['interrupted'])
    expect(all(root, 'testsuite')[0]?.attributes).toMatchObject({ tests: '1', errors: '1' })
  })
})

describe('Markdown', () => {
  test('has one table over all drills, each row with as many cells as its head', () => {
    const rows = renderReport(EVERYTHING, 'md')
      .split('\n')
      .filter(line => line.startsWith('| haproxy-stop') || line.startsWith('| drill'))
    expect(new Set(rows.map(row => row.split(/(?<!\\)\|/).length))).toEqual(new Set([12]))
    expect(rows[1]).toBe('| haproxy-stop | 198.51.100.200 | passed | srv-1 -> srv-2 | 6600 ms | 65 of 150 | - | 1 | srv-1 | yes |')
  })

  test('shows in its timeline who held the address', () => {
    const lines = renderReport(runOf([accountOf('classic')]), 'md').split('\n')
    expect(lines).toContain('srv-1                 ##############################-----------------------#######')
    expect(lines).toContain('probes of controller  ....xxxxxxxxxxxxxxxxxxxxxxxxxx..............................')
  })

  test('keeps a journal within its fence', () => {
    const text = renderReport(ILL, 'md')
    const fences = text.split('\n').filter(line => /^`{3,}$/.test(line))
    expect(fences).toEqual(['```', '```', '````', '````'])
    expect(text.split('\n').filter(line => line.startsWith('# '))).toEqual(['# Failover drills of edge'])
  })

  test('has no markup from a server outside of fences', () => {
    const prose = renderReport(ILL, 'md').replace(/^(`{3,})\n[\s\S]*?\n\1$/gm, '')
    expect(prose).not.toMatch(/(?<!\\)</)
    expect(prose).not.toMatch(/https?:\/\//)
  })
})
