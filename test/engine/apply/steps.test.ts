import { expect, test } from 'vitest'
import { runSteps } from '../../../src/engine/apply/steps.ts'
import { createLedger } from '../../../src/engine/ledger.ts'
import { sh } from '../../../src/shell/sh.ts'
import { manualClock } from '../../support/clock.ts'
import { failureOf } from '../../support/failure.ts'
import { fixedLinks } from '../../support/remote.ts'

/** The result of a script that ended like this. */
const ended = (stderr: string, stdout = '', code = 1) =>
  failureOf({ ledger: createLedger(), signal: new AbortController().signal }, ({ signal }) =>
    runSteps(
      {
        links: fixedLinks([
          {
            server: 'srv-1',
            peer: 'srv-1.example.com:22',
            patience: 1,
            run: async (_script, { onLine }) => {
              for (const line of stdout.split('\n')) onLine?.(line)
              return { code, stdout, stderr, durationMs: 1 }
            },
            close: async () => {},
          },
        ]),
        ports: { clock: manualClock(), signal },
        onEvent: () => {},
      },
      'srv-1',
      sh`:`,
      {
        effect: 'none',
        label: 'prepare',
        deadlineMs: 1000,
        tell: false,
        failure: 'E_COMMAND_FAILED',
      },
    ),
  )

test.for([
  '/bin/sh: 27: printf: printf: I/O error\n',
  'mkdir: cannot create directory: No space left on device\n',
  'cp: Disk quota exceeded\n',
])('a script that ended for want of room is told as that, whichever tool says so: %s', async stderr => {
  const error = await ended(stderr)
  expect(error).toMatchObject({ code: 'E_COMMAND_FAILED', why: [stderr.trim()], fix: expect.stringMatching(/disk of srv-1 \(df -h\)/) })
  expect(error.message).toBe('prepare: ended with status 1 (disk full?)')
})

test('a script that ended otherwise is not, and neither is one that has reported why', async () => {
  for (const error of [await ended('sh: 3: foo: not found\n'), await ended('I/O error\n', '@@step a b\n@@fail a refused')])
    expect(`${error.message} ${error.fix}`).not.toMatch(/disk/)
})

test('a script that ended because its server goes down counts as a lost connection', async () => {
  expect(await ended('', '@@step service/haproxy start haproxy\n@@fail service/haproxy systemctl start failed', 99)).toMatchObject({
    code: 'E_CONNECTION_LOST',
    message: 'prepare: the server is shutting down',
    why: ['service/haproxy: systemctl start failed'],
  })
})
