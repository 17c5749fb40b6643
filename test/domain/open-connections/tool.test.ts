/** The script that starts, reloads and stops the service, run with a systemctl that writes down what it is asked. */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { openConnectionsFiles } from '../../../src/domain/open-connections/resources.ts'
import { OPEN_CONNECTIONS_LOADED, OPEN_CONNECTIONS_PROGRAM, OPEN_CONNECTIONS_SCRIPT } from '../../../src/domain/paths.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { clusterWith, factsOfServer } from '../example.ts'

const folder = tempFolder()
const UNIT = 'hactl-open-connections.service'

/** A folder with the script in it; `isActive`: what systemctl says of the unit. `rules`: what the program's status says. */
function server(isActive: boolean, rules = 'rules owner') {
  const root = mkdtempSync(join(folder(), 'server-'))
  const place = (path: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    return join(root, path)
  }
  const program = (path: string, text: string) => {
    writeFileSync(place(path), text)
    chmodSync(place(path), 0o755)
  }
  const cluster = clusterWith()
  const script = openConnectionsFiles(cluster, 'srv-1', factsOfServer(cluster, 'srv-1')).find(
    ({ path }) => path === OPEN_CONNECTIONS_SCRIPT,
  )
  if (script === undefined) throw new Error('no script')
  program('tool', script.content.replaceAll(/(?<![A-Za-z0-9._+/-])\/(?=(?:etc|run|usr\/local)\/)/g, `${root}/`))
  program('bin/systemctl', `#!/bin/sh\necho "systemctl $*" >>${root}/log\ncase "$*" in *is-active*) exit ${isActive ? 0 : 3} ;; esac\n`)
  program('bin/journalctl', '#!/bin/sh\necho the journal\n')
  program(OPEN_CONNECTIONS_PROGRAM, `#!/bin/sh\necho "program $1" >>${root}/log\n[ "$1" != status ] || echo '${rules}'\n`)
  mkdirSync(join(root, 'run/hactl'), { recursive: true })
  return (verb: string) => {
    const { status, stdout } = spawnSync(join(root, 'tool'), [verb], { env: { PATH: `${root}/bin:/usr/bin:/bin` }, encoding: 'utf8' })
    const log = existsSync(join(root, 'log')) ? readFileSync(join(root, 'log'), 'utf8').trim().split('\n') : []
    return { status, stdout, log: log.map(line => line.replace('--quiet ', '')), isLoaded: existsSync(join(root, OPEN_CONNECTIONS_LOADED)) }
  }
}

test('a service that does not run is enabled and started, and counts once its rules are loaded', () => {
  const { status, log, isLoaded } = server(false)('open')
  expect(status).toBe(0)
  expect(log).toEqual([
    `systemctl enable --no-reload ${UNIT}`,
    `systemctl is-active ${UNIT}`,
    `systemctl reset-failed ${UNIT}`,
    `systemctl start ${UNIT}`,
    'program status',
  ])
  expect(isLoaded).toBe(true)
})

test('a service that runs is reloaded and never restarted: a restart may lose what it keeps', () => {
  const { status, log } = server(true)('open')
  expect(status).toBe(0)
  expect(log).toContain(`systemctl reload ${UNIT}`)
  expect(log.join(' ')).not.toContain('start')
})

test.each(['missing', 'refused'])('a service whose rules the kernel refuses is a failure, with what the journal says: rules %s', rules => {
  const { status, stdout, isLoaded } = server(true, `rules ${rules} Error: Could not process rule`)('open')
  expect([status, stdout, isLoaded]).toEqual([1, 'the journal\n', false])
})

test('close stops the service, then takes away what it has set up', () => {
  const run = server(true)
  run('open')
  const { log, isLoaded } = run('close')
  expect(log.slice(-2)).toEqual([`systemctl stop ${UNIT}`, 'program disarm'])
  expect(isLoaded).toBe(false)
})

test('any other word is refused with how it is used', () => {
  expect(server(false)('status').status).toBe(2)
})
