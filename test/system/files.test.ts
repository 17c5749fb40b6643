import { execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemFiles } from '../../src/system/files.ts'

let root = ''
beforeAll(() => (root = mkdtempSync(join(tmpdir(), 'hactl-'))))
afterAll(() => rmSync(root, { recursive: true }))

const pipe = (name: string) => {
  const path = join(root, name)
  execFileSync('mkfifo', [path])
  return path
}

describe('a file to be read', () => {
  test('is undefined where it does not exist, also below a file', async () => {
    const path = join(root, 'plain')
    writeFileSync(path, 'text')
    expect(await systemFiles.read(join(root, 'none'))).toBeUndefined()
    expect(await systemFiles.read(join(path, 'none'))).toBeUndefined()
    expect((await systemFiles.read(path))?.toString()).toBe('text')
  })

  test('is refused with the reason where it is no regular file', async () => {
    const [folder, loop, socket] = [join(root, 'folder'), join(root, 'loop'), join(root, 'socket')]
    mkdirSync(folder)
    symlinkSync(loop, loop)
    const server = createServer()
    await new Promise<void>(resolve => server.listen(socket, resolve))
    try {
      await expect(systemFiles.read(folder)).rejects.toMatchObject({ name: 'UnusableFile', reason: 'it is a folder' })
      await expect(systemFiles.read(loop)).rejects.toMatchObject({ reason: 'its symbolic links form a loop' })
      await expect(systemFiles.read(join(root, 'x'.repeat(5000)))).rejects.toMatchObject({ reason: 'its name is too long' })
      await expect(systemFiles.read(socket)).rejects.toMatchObject({ reason: 'it is a socket' })
      await expect(systemFiles.read('/dev/zero', { maxBytes: 1024 })).rejects.toMatchObject({ reason: 'it is a device' })
    } finally {
      server.close()
    }
  })

  test('is refused where the user may not read it', async () => {
    const path = join(root, 'private')
    writeFileSync(path, 'text', { mode: 0o000 })
    // Root can read everything, so that the refusal cannot be tested.
    const outcome = await systemFiles.read(path).catch((error: unknown) => error)
    expect(outcome).toMatchObject(isRoot() ? { length: 4 } : { reason: 'your user may not read it' })
    chmodSync(path, 0o600)
  })

  test('is empty where it is /dev/null, which OpenSSH users set as known_hosts', async () => {
    expect(await systemFiles.read('/dev/null')).toEqual(Buffer.alloc(0))
  })

  test('may be as large as the limit, and no larger', async () => {
    const path = join(root, 'large')
    writeFileSync(path, 'x'.repeat(100_000))
    expect((await systemFiles.read(path, { maxBytes: 100_000 }))?.length).toBe(100_000)
    await expect(systemFiles.read(path, { maxBytes: 99_999 })).rejects.toMatchObject({ reason: 'it is larger than 99999 bytes' })
  })
})

describe('a pipe to be read', () => {
  test('gives what is written into it in pieces, and the same again when it is read twice', async () => {
    const path = pipe('in-pieces')
    const writer = spawn('sh', ['-c', '{ printf one; sleep 0.05; printf two; } >"$0"', path], { stdio: 'ignore' })
    // The writer waits for a reader, and has the pipe open from then on.
    const reader = openSync(path, 'r')
    const read = systemFiles.read(path)
    try {
      expect((await read)?.toString()).toBe('onetwo')
      expect((await systemFiles.read(path))?.toString()).toBe('onetwo')
    } finally {
      closeSync(reader)
      writer.kill()
    }
  })

  test('without a writer is empty and does not block', async () => {
    expect(await systemFiles.read(pipe('no-writer'))).toEqual(Buffer.alloc(0))
  })

  test('with more than the limit is refused', async () => {
    const path = pipe('endless')
    const held = openSync(path, 'r+')
    const writer = spawn('sh', ['-c', 'exec cat /dev/zero >"$0"', path], { stdio: 'ignore' })
    try {
      const reason = 'it is larger than 1 MiB'
      await expect(systemFiles.read(path, { maxBytes: 1024 * 1024 })).rejects.toMatchObject({ reason })
    } finally {
      writer.kill()
      closeSync(held)
    }
  })

  test('is no longer read when the run is interrupted', async () => {
    const path = pipe('silent')
    const held = openSync(path, 'r+')
    const controller = new AbortController()
    const read = systemFiles.read(path, { signal: controller.signal })
    controller.abort('SIGINT')
    try {
      await expect(read).rejects.toMatchObject({ code: 'E_INTERRUPTED' })
    } finally {
      closeSync(held)
    }
  })
})

function isRoot(): boolean {
  return process.getuid?.() === 0
}

describe('files', () => {
  test('are written atomically with the given mode, and leave no other file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hactl-'))
    try {
      const path = join(folder, 'a.yml')
      await systemFiles.write(path, 'one', 0o644)
      await systemFiles.write(path, 'two', 0o640)
      expect(readFileSync(path, 'utf8')).toBe('two')
      expect(statSync(path).mode & 0o777).toBe(0o640)
      expect(readdirSync(folder)).toEqual(['a.yml'])
      expect(await systemFiles.exists(path)).toBe(true)
      expect(await systemFiles.exists(join(folder, 'none'))).toBe(false)
      await expect(systemFiles.write(join(folder, 'none', 'x'), '', 0o600)).rejects.toThrow('ENOENT')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('a path to write to', () => {
  test('is accepted where its folder exists; otherwise the reason is given', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hactl-'))
    try {
      const path = join(folder, 'a.html')
      expect(await systemFiles.whyNotWritable(path)).toBeUndefined()
      await systemFiles.write(path, 'one', 0o644)
      expect(await systemFiles.whyNotWritable(path)).toBeUndefined()
      expect(readdirSync(folder)).toEqual(['a.html'])
      expect(await systemFiles.whyNotWritable(folder)).toBe('it is a folder')
      expect(await systemFiles.whyNotWritable(join(folder, 'none', 'a.html'))).toBe(`there is no folder ${join(folder, 'none')}`)
      expect(await systemFiles.whyNotWritable(join(path, 'a.html'))).toBe(`${path} is not a folder`)
      expect(await systemFiles.whyNotWritable(join(folder, 'x'.repeat(5000)))).toBe('its name is too long')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
