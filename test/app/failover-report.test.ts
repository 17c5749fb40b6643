import { describe, expect, test } from 'vitest'
import { askedOf, assertReportsWritable, beginRun, readJournals, writeReports } from '../../src/app/failover-report.ts'
import type { Cluster } from '../../src/domain/cluster-types.ts'
import type { Links } from '../../src/engine/links.ts'
import type { Files } from '../../src/ports.ts'
import { Secret } from '../../src/secret.ts'
import { accountOf, runOf } from '../report/runs.ts'
import { manualClock } from '../support/clock.ts'
import { fakeSession } from '../support/remote.ts'
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

test("a run has its start and end, its cluster and its servers, and no person's name", () => {
  const clock = manualClock()
  const cluster = { name: 'edge', servers: [{ name: 'srv-1', host: '192.0.2.11', rank: 0 }] } as unknown as Cluster
  const begun = beginRun(cluster, { clock })
  const run = begun({ drills: [], maxOutageMs: undefined, exit: 0, problems: [] })
  expect(run).toMatchObject({ cluster: 'edge', servers: ['srv-1'], beganAt: new Date(clock.now()).toISOString() })
})

test.for([
  [{ kind: 'http', address: '192.0.2.200', port: 80, path: '/health?token=s3cr3t#x' }, 'http://192.0.2.200:80/health'],
  [{ kind: 'https', address: '2001:db8::200', port: 443, path: '/' }, 'https://[2001:db8::200]:443/'],
  [{ kind: 'tcp', address: '192.0.2.200', port: 5432, path: '/' }, 'tcp://192.0.2.200:5432'],
] as const)('%j was asked as %s', ([target, asked]) => {
  expect(askedOf({ ...target, timeoutMs: 1000 })).toBe(asked)
})

test("the servers' journals are read without the passwords that the inventory knows", async () => {
  const line = {
    __REALTIME_TIMESTAMP: '1700000000000000',
    SYSLOG_IDENTIFIER: 'Keepalived',
    MESSAGE: 'Auth data = k33pal1v, again k33pal1v',
  }
  const session = fakeSession('srv-1', [
    { when: /^recent_journal /, reply: ({ emit }) => (emit('clock 1700000000000 10.0 10.0'), emit(JSON.stringify(line)), { code: 0 }) },
  ])
  const instances = [{ authentication: { type: 'PASS', pass: new Secret('k33pal1v') } }, { authentication: undefined }] as const
  const links = { servers: ['srv-1'], current: () => session } as unknown as Links
  const clock = manualClock()
  const [journal] = await readJournals({ instances } as unknown as Cluster, links, clock.monotonic(), {
    clock,
    signal: new AbortController().signal,
  })
  expect(journal?.lines.map(({ message }) => message)).toEqual(['Auth data = ***, again ***'])
})
