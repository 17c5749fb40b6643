import { describe, expect, test } from 'vitest'
import { assertReportsWritable, writeReports } from '../../src/app/failover-files.ts'
import type { Files } from '../../src/ports.ts'
import { accountOf, runOf } from '../report/runs.ts'
import { fakeFiles } from '../support/terminal.ts'

const wish = (...paths: string[]) => ({ paths, version: '1.2.3' })

describe('before anything is disturbed', () => {
  const files: Files = {
    ...fakeFiles(),
    list: async () => undefined,
    whyNotWritable: async path => (path.startsWith('/srv/') ? undefined : 'there is no folder /none'),
  }

  test('reports that can be written are accepted, and so is no report', async () => {
    await expect(assertReportsWritable(wish('/srv/a.html', '/srv/a.xml', '/srv/a.json', '/srv/a.md'), { files })).resolves.toBeUndefined()
    await expect(assertReportsWritable(undefined, { files })).resolves.toBeUndefined()
  })

  test.for([
    ['/srv/a.pdf', 'ends in none of .html, .json, .xml, .md'],
    ['/none/a.html', 'there is no folder /none'],
    ['/srv/b.md', 'the file is named twice'],
  ] as const)('%s is refused: %s', async ([path, why]) => {
    await expect(assertReportsWritable(wish('/srv/b.md', path), { files })).rejects.toMatchObject({
      code: 'E_USAGE',
      message: expect.stringContaining(why),
    })
  })
})

describe('after the drills', () => {
  const { hactl: _, ...run } = runOf([accountOf('classic')])

  test('every report is written, readable for all users', async () => {
    const written: [string, number][] = []
    const files: Files = {
      ...fakeFiles(),
      write: async (path, text, mode) => {
        expect(text).toContain('1.2.3')
        written.push([path, mode])
      },
    }
    const reports = await writeReports(wish('/srv/a.html', '/srv/a.json'), run, { files })
    expect(reports.map(({ path, problem }) => [path, problem])).toEqual([
      ['/srv/a.html', undefined],
      ['/srv/a.json', undefined],
    ])
    expect(written).toEqual([
      ['/srv/a.html', 0o644],
      ['/srv/a.json', 0o644],
    ])
  })

  test('a report that cannot be written does not prevent the others, and is returned as text', async () => {
    const files = fakeFiles()
    const full: Files = {
      ...files,
      write: (path, text, mode) =>
        path.endsWith('.md') ? files.write(path, text, mode) : Promise.reject(new Error('ENOSPC: no space left on device')),
    }
    const [html, xml, md] = await writeReports(wish('/srv/a.html', '/srv/a.xml', '/srv/a.md'), run, { files: full })
    expect(html).toMatchObject({ problem: 'ENOSPC: no space left on device', text: expect.stringMatching(/^# Failover drills of edge/) })
    expect(xml).toMatchObject({ text: expect.stringMatching(/^<\?xml/) })
    expect(md?.problem).toBeUndefined()
    expect([...files.written.keys()]).toEqual(['/srv/a.md'])
  })
})
