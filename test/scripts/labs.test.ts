/** What the labs' shell scripts do beside starting a lab: signals, the lock, the folder that `down` removes. Every script here runs in a folder of its own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { root } from '../../scripts/support/places.ts'

let folder: string
const children: ChildProcess[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hactl-labs-'))
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/** common.sh as a lab sources it, with nothing of this machine's in it. */
const common = (checkout = 'checkout') => `
set -Eeuo pipefail
cd ${folder}
lab_command=lab command=up root=${folder}/${checkout} project=of-${checkout}
own_state=$root/.lab state=\${STATE:-$own_state} state_setting=LAB_STATE
. ${root}/test/lab/common.sh
shared=${folder}/shared
mkdir -p "$shared"
`

function bash(script: string, env: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr } = spawnSync('bash', ['--norc', '-c', script], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], ...env },
  })
  return { status, stdout, stderr }
}

/** A script in a process group of its own, as a terminal's foreground job. */
function start(script: string) {
  const child = spawn('bash', ['--norc', '-c', script], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (more: string) => {
      text += more
    })
  const ended = new Promise<{ readonly status: number | null; readonly text: string }>(resolve =>
    child.on('close', status => resolve({ status, text })),
  )
  return { pid: child.pid ?? 0, ended }
}

const written = (name: string) => vi.waitFor(() => expect(readFileSync(join(folder, name), 'utf8')).toMatch(/\n$/), 10_000)
const pidIn = (name: string) => Number(readFileSync(join(folder, name), 'utf8'))

/** A process that has ended and was not waited for is a zombie. */
function isAlive(pid: number): boolean {
  const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'utf8') : ') Z'
  return !/\) Z/.test(stat)
}

/** The lab of real kernels: sourced with --help, its program only defines what it can do. Here it does nothing. */
const WITH_STAND_INS = `set -- --help
  . ${root}/test/kernel-lab/lab >/dev/null
  lock() { echo lock; }
  need_lab() { echo need_lab; }
  for name in ensure_network ensure_beside discard write_known_hosts wait_for_all start_server take_down; do eval "$name() { echo $name; }"; done
  ip() { :; }
  state=$SANDBOX`

describe('an interrupt', () => {
  const LONG = 'echo $$ >work; exec sleep 300'
  const STEPS = [
    ['of a step that is logged', `run 300 "$shared/log" sh -c '${LONG}' || fail 'it failed' why fix`],
    ['of a step that starts others', `run 300 "$shared/log" sh -c 'sleep 300 & echo $! >work; wait' || fail 'it failed' why fix`],
    ['of a step in the foreground', `bounded 300 sh -c '${LONG}' || fail 'it failed' why fix`],
    ['of steps side by side', `step() { timeout 300 sh -c '${LONG}'; }; step & wait $! || fail 'it failed' why fix`],
  ] as const
  test.each(STEPS)('%s ends it at once, and then what `up` has started', async (_, step) => {
    const lab = start(`${common()}
      undo=undo_up; undo_up() { echo undone; }
      ${step}
      echo went on`)
    await written('work')
    process.kill(-lab.pid, 'SIGINT')
    expect(await lab.ended).toEqual({ status: 130, text: 'lab: interrupted by SIGINT\nlab: ending what was started\nundone\n' })
    expect(isAlive(pidIn('work'))).toBe(false)
  })

  test('leaves what has a session of its own to the undo, and the undo is not interrupted', async () => {
    const lab = start(`${common()}
      setsid sh -c 'echo $$ >daemon; exec sleep 300' >/dev/null 2>&1 </dev/null &
      undo=undo_up; undo_up() { echo undoing; echo >undoing; until [[ -e go-on ]]; do sleep 0.02; done; kill "$(cat daemon)"; echo undone; }
      until [[ -s daemon ]]; do sleep 0.02; done
      run 300 "$shared/log" sh -c '${LONG}'`)
    await written('work')
    process.kill(-lab.pid, 'SIGTERM')
    await written('undoing')
    expect(isAlive(pidIn('daemon'))).toBe(true)
    process.kill(-lab.pid, 'SIGINT')
    writeFileSync(join(folder, 'go-on'), '')
    expect(await lab.ended).toMatchObject({ status: 143, text: expect.stringMatching(/undoing\nundone\n$/) })
    await vi.waitFor(() => expect(isAlive(pidIn('daemon'))).toBe(false))
  })

  test('of an `up` takes down a lab that is new, and of one that was there only the servers that it started', () => {
    const undo = `${WITH_STAND_INS}\ncut_power() { echo "cut_power $1"; }\nrecord_server() { echo "record_server $1"; }
      started=(2 3) run=$SANDBOX\necho 1 >"$run/srv-3.qemu"\nundo_up`
    expect(bash(undo, { SANDBOX: folder }).stdout).toBe('take_down\n')
    writeFileSync(join(folder, 'env'), 'x')
    expect(bash(undo, { SANDBOX: folder }).stdout).toBe('cut_power 2\nrecord_server 3\ncut_power 3\n')
  })

  test('waits for the end of an installation: dpkg must not be left half done', async () => {
    const lab = start(`${common()}
      run whole 300 "$shared/log" sh -c 'echo >work; until [ -e go-on ]; do sleep 0.02; done; echo >installed'
      echo went on`)
    await written('work')
    process.kill(-lab.pid, 'SIGINT')
    writeFileSync(join(folder, 'go-on'), '')
    expect(await lab.ended).toEqual({ status: 130, text: 'lab: interrupted by SIGINT\n' })
    expect(existsSync(join(folder, 'installed'))).toBe(true)
  })
})

describe('the lock', () => {
  const HOLDER = (checkout: string) => `${common(checkout)}
    lock
    echo >locked
    until [[ -e go-on ]]; do sleep 0.02; done`

  test('is refused to a second checkout, with the words of who has it', async () => {
    const first = start(HOLDER('one'))
    await written('locked')
    const second = bash(`${common('two')}\nlock_wait=0\nlock`)
    expect(second.status).toBe(1)
    expect(second.stderr).toContain(`another lab command holds the lock: lab up of ${folder}/one, process ${first.pid}\n`)
    writeFileSync(join(folder, 'go-on'), '')
    await first.ended
  })

  test('is waited for, and names its new owner', async () => {
    const first = start(HOLDER('one'))
    await written('locked')
    const second = start(`${common('two')}\nlock\ncat "$shared/lock"`)
    writeFileSync(join(folder, 'go-on'), '')
    await first.ended
    expect(await second.ended).toMatchObject({
      status: 0,
      text: expect.stringContaining(`lab up of ${folder}/two, process ${second.pid}\n`),
    })
  })

  test.each(['cmd_reset', 'cmd_fresh srv-1', 'cmd_power-on srv-2 srv-3', 'cmd_down'])(
    'is taken first by %s of the lab of real kernels',
    call => {
      const done = bash(`${WITH_STAND_INS}\n${call}`, { SANDBOX: folder })
      expect(done).toMatchObject({ status: 0, stdout: expect.stringMatching(/^lock\n\w+\n/) })
    },
  )
})

describe('the folder of a lab', () => {
  const claim = (state: string, checkout?: string) => bash(`${common(checkout)}\nclaim_state`, { STATE: state })
  const remove = (state: string, checkout?: string) => bash(`${common(checkout)}\nremove_state`, { STATE: state })

  test('is made, and removed again', () => {
    const state = join(folder, 'state')
    expect(claim(state)).toMatchObject({ status: 0, stderr: '' })
    expect(claim(state)).toMatchObject({ status: 0, stderr: '' })
    writeFileSync(join(state, 'sudo_password'), 'x')
    expect(remove(state)).toMatchObject({ status: 0, stderr: '' })
    expect(existsSync(state)).toBe(false)
  })

  test('may be the checkout’s own, whatever is in it', () => {
    const state = join(folder, 'checkout/.lab')
    mkdirSync(join(state, 'hactl/log'), { recursive: true })
    writeFileSync(join(state, 'sudo_password'), 'x')
    expect(claim(state).status).toBe(0)
    expect(remove(state).status).toBe(0)
    expect(existsSync(state)).toBe(false)
  })

  test('is no folder with files of somebody else’s in it, and none of those is removed', () => {
    const state = join(folder, '.ssh')
    mkdirSync(state)
    for (const name of ['id_ed25519', 'sudo_password']) writeFileSync(join(state, name), 'x')
    expect(claim(state)).toMatchObject({ status: 1, stderr: expect.stringContaining('it has files in it, and no lab has made them') })
    expect(remove(state).status).toBe(0)
    expect(existsSync(join(state, 'id_ed25519'))).toBe(true)
  })

  test('of one checkout is refused to another one, which names whose it is, and does not remove it', () => {
    const state = join(folder, 'state')
    claim(state, 'one')
    expect(claim(state, 'two')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`it is the folder of another lab: of-one of ${folder}/one`),
    })
    expect(remove(state, 'two').stderr).toContain('stays')
    expect(existsSync(state)).toBe(true)
  })
})
