/** How apt's questions reach the controller: the real method and the real relay in a real shell, with apt played by the test. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Fetched, type Served, servePackages } from '../../../src/engine/apply/serve-packages.ts'
import { bareServer, type ShellServer, shellServerLacks } from '../../support/shell-server.ts'
import { unlessLacking } from '../../support/lacking.ts'

const FOLDER = '/var/cache/apt/hactl'

/** What apt reads from a method: messages, each a status and its headers. */
type Message = Readonly<Record<string, string>>

/** One method process as apt starts it. */
function startMethod(server: ShellServer) {
  const child: ChildProcess = spawn(join(server.root, FOLDER, 'method'), { stdio: ['pipe', 'pipe', 'ignore'] })
  const messages: Message[] = []
  const waiting: (() => void)[] = []
  let text = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const [status = '', ...headers] = block.split('\n')
      messages.push({ status, ...Object.fromEntries(headers.map(line => [line.replace(/:.*/, ''), line.replace(/^.*?: /, '')])) })
    }
    for (const wake of waiting.splice(0)) wake()
  })
  const message = async (index: number): Promise<Message> => {
    for (;;) {
      const found = messages[index]
      if (found !== undefined) return found
      await new Promise<void>(resolve => waiting.push(resolve))
    }
  }
  return {
    message,
    /** As apt 2.2 to 3.0 ask. */
    ask: (uri: string, file: string) =>
      child.stdin?.write(`600 URI Acquire\nURI: ${uri}\nFilename: ${join(server.root, file)}\nExpected-SHA256: 00\nIndex-File: true\n\n`),
    end: () => child.kill(),
  }
}

describe('on a server', unlessLacking(shellServerLacks()), () => {
  let folder: string
  let server: ShellServer
  let answers: Map<string, Fetched | Promise<Fetched>>
  let asked: string[]
  let close: (() => Promise<Served>) | undefined
  let method: ReturnType<typeof startMethod> | undefined

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hactl-serve-'))
    server = bareServer(folder, 'srv-1', 1)
    server.write('/var/lib/hactl/lock/info', 'id lock-1\n')
    answers = new Map()
    asked = []
    ;[close, method] = [undefined, undefined]
  })

  afterEach(async () => {
    method?.end()
    await close?.()
    rmSync(folder, { recursive: true, force: true })
  })

  const serve = async (lockId: string | undefined = 'lock-1') => {
    const fetch = async (url: string) => {
      asked.push(url)
      return answers.get(url) ?? Promise.reject(new Error(`${url} is not expected`))
    }
    close = await servePackages(server.session, fetch, lockId)
    method = startMethod(server)
    return method
  }
  const whole = (content: Buffer | string): Fetched => ({ kind: 'whole', content: Buffer.from(content) })

  test('what apt asks for arrives, byte for byte and with its checksum, one file after the other', async () => {
    // Longer than one part, and nothing that a shell could keep in a variable.
    const list = Buffer.alloc(1_100_000, Buffer.from([0, 10, 39, 255, 92]))
    answers.set('http://mirror.example.net/dists/x/Packages.xz', whole(list)).set('https://mirror.example.com/a+b_1.deb', whole('package'))
    const { message, ask } = await serve()
    expect(await message(0)).toMatchObject({ status: '100 Capabilities' })
    ask('http://mirror.example.net/dists/x/Packages.xz', '/var/lib/apt/lists/Packages.xz')
    ask('https://mirror.example.com/a+b_1.deb', '/tmp/a+b_1.deb')
    expect(await message(1)).toMatchObject({
      status: '201 URI Done',
      URI: 'http://mirror.example.net/dists/x/Packages.xz',
      Size: '1100000',
      'SHA256-Hash': createHash('sha256').update(list).digest('hex'),
    })
    expect(await message(2)).toMatchObject({ status: '201 URI Done', URI: 'https://mirror.example.com/a+b_1.deb', Size: '7' })
    expect(server.read('/tmp/a+b_1.deb')).toBe('package')
    expect(asked).toEqual(['http://mirror.example.net/dists/x/Packages.xz', 'https://mirror.example.com/a+b_1.deb'])
    expect(await close?.()).toEqual({ files: 2, bytes: 1_100_007 })
  })

  test('an empty file is a file', async () => {
    answers.set('http://mirror.example.net/empty', whole(''))
    const { message, ask } = await serve()
    ask('http://mirror.example.net/empty', '/tmp/empty')
    expect(await message(1)).toMatchObject({ status: '201 URI Done', Size: '0' })
  })

  test('a missing file and a failed fetch are reported to apt, which decides what to do then', async () => {
    answers
      .set('http://mirror.example.net/gone', { kind: 'failed', why: '404  Not Found', isFinal: true })
      .set('http://mirror.example.net/slow', { kind: 'failed', why: "no answer; it's\nslow", isFinal: false })
    const { message, ask } = await serve()
    ask('http://mirror.example.net/gone', '/tmp/gone')
    expect(await message(1)).toEqual({ status: '400 URI Failure', URI: 'http://mirror.example.net/gone', Message: '404 Not Found' })
    ask('http://mirror.example.net/slow', '/tmp/slow')
    expect(await message(2)).toEqual({
      status: '400 URI Failure',
      URI: 'http://mirror.example.net/slow',
      Message: "no answer; it's slow",
      'Transient-Failure': 'true',
    })
  })

  test('a fetch that throws is a failure as well', async () => {
    const { message, ask } = await serve()
    ask('http://mirror.example.net/unexpected', '/tmp/unexpected')
    expect(await message(1)).toMatchObject({ status: '400 URI Failure', Message: expect.stringContaining('not expected') })
  })

  test('a full disk is reported to apt, and the other files go on', async () => {
    answers.set('http://mirror.example.net/large', whole('large')).set('http://mirror.example.net/small', whole('small'))
    const { message, ask } = await serve()
    server.before = ({ label }) =>
      label === 'carry http://mirror.example.net/large' ? { code: 1, stderr: 'base64: write error: No space left on device\n' } : undefined
    ask('http://mirror.example.net/large', '/tmp/large')
    expect(await message(1)).toMatchObject({ status: '400 URI Failure', Message: 'base64: write error: No space left on device' })
    ask('http://mirror.example.net/small', '/tmp/small')
    expect(await message(2)).toMatchObject({ status: '201 URI Done' })
  })

  test('apt does not wait once hactl is gone', async () => {
    // Never fetched.
    answers.set('http://mirror.example.net/late', new Promise<Fetched>(() => {}))
    const { message, ask } = await serve()
    ask('http://mirror.example.net/late', '/tmp/late')
    while (asked.length === 0) await new Promise(resolve => setTimeout(resolve, 10))
    const relay = Number(server.read(`${FOLDER}/relay`))
    process.kill(relay, 'SIGKILL')
    expect(await message(1)).toMatchObject({ status: '400 URI Failure', Message: expect.stringMatching(/no longer connected/) })
    // It would wait for the file that never comes.
    close = undefined
  })

  test('the end leaves no relay behind, and a later question is answered at once', async () => {
    const { message, ask } = await serve()
    await close?.()
    ask('http://mirror.example.net/after', '/tmp/after')
    expect(await message(1)).toMatchObject({ status: '400 URI Failure' })
    expect(asked).toEqual([])
  })

  test('only root can read or write the questions and answers, and those of an earlier run are removed', async () => {
    server.write(`${FOLDER}/brought/1.1`, 'old')
    server.write(`${FOLDER}/haproxy_1.8.0-1_amd64.deb`, 'old')
    await serve()
    const { stdout } = await server.session.run(
      (await import('../../../src/shell/sh.ts')).sh`stat -c '%a %n' ${`${FOLDER}/asked`} ${`${FOLDER}/brought`} ${`${FOLDER}/method`}`,
      { effect: 'none', label: 'look', deadlineMs: 5000 },
    )
    expect(stdout).toBe(`700 ${FOLDER}/asked\n700 ${FOLDER}/brought\n755 ${FOLDER}/method\n`)
    expect(readdirSync(join(server.root, FOLDER, 'brought'))).toEqual([])
    expect(existsSync(join(server.root, FOLDER, 'haproxy_1.8.0-1_amd64.deb'))).toBe(false)
    expect(server.read(`${FOLDER}/apt.conf`)).toMatch(/Dir::Bin::Methods::http ".*\/method";\nDir::Bin::Methods::https /)
  })

  test('nothing is started once another run has the lock', async () => {
    await expect(serve('lock-2')).rejects.toMatchObject({ code: 'E_LOCKED' })
    expect(server.read(`${FOLDER}/method`)).toBeUndefined()
  })

  test('a server on which the method cannot be installed is named, and nothing is installed', async () => {
    server.before = () => ({ code: 1, stderr: 'printf: I/O error\n' })
    await expect(serve()).rejects.toMatchObject({
      code: 'E_PACKAGE_UNAVAILABLE',
      server: 'srv-1',
      fix: expect.stringContaining('df -h'),
    })
  })
})
