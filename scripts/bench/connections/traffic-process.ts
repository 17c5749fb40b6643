// Traffic like traffic through a virtual address: node traffic-process.ts LOAD (JSON). Prints "ready" once everything flows, begins to end when its
// stdin ends, and then prints one line of JSON (TrafficSeen). Bounded: no client waits longer than 8 s, and all of it ends after LIMIT_MS.
import { connect, type Socket } from 'node:net'
import { isClosedBetween } from './kept-alive.ts'
import { type Load, type Lost, MOST_LISTED, type Tally } from './traffic-figures.ts'

const LIMIT_MS = 600_000
const CONNECT_LIMIT_MS = 5_000
const ANSWER_LIMIT_MS = 8_000
const PING_EVERY_MS = 100
const THINK_MS = 30
/** Between the last connection that was opened and "ready". */
const QUIET_MS = 1_000
const TRANSFER_GRACE_MS = 30_000

const load = JSON.parse(process.argv[2] ?? '') as Load

class Counted {
  of = 0
  lost = 0
  readonly list: Lost[] = []

  loses(what: string, port: number, how: string): void {
    this.lost += 1
    if (this.list.length < MOST_LISTED) this.list.push({ what, port, atMs: Date.now(), how })
  }

  tally(): Tally {
    return { of: this.of, lost: this.lost, list: this.list }
  }
}

const counted = { open: new Counted(), fresh: new Counted(), keptAlive: new Counted(), transfers: new Counted() }
let closedBetween = 0
let silenceMs = 0
let stopping = false
/** What still has to end before the figures are complete. */
let alive = 0

const waited = (sinceMs: number) => {
  silenceMs = Math.max(silenceMs, Date.now() - sinceMs)
}

/** A connection, or why there is none. */
function dial(port: number, settled: (socket: Socket | undefined, how: string, ownPort: number) => void): void {
  const began = Date.now()
  const socket = connect({ host: load.host, port, noDelay: true })
  let isSettled = false
  const settle = (connected: boolean, how: string) => {
    if (isSettled) return
    isSettled = true
    clearTimeout(timer)
    waited(began)
    if (connected) settled(socket, '', socket.localPort ?? 0)
    else {
      const ownPort = socket.localPort ?? 0
      socket.destroy()
      settled(undefined, how, ownPort)
    }
  }
  const timer = setTimeout(() => settle(false, 'no connection: silence'), CONNECT_LIMIT_MS)
  socket.on('error', (error: NodeJS.ErrnoException) => settle(false, `no connection: ${error.code}`))
  socket.once('connect', () => settle(true, ''))
}

/** Runs `done` once, with how the connection ended; undefined: as it should. */
function ending(socket: Socket, done: (how: string | undefined) => void): (how: string | undefined) => void {
  let isOver = false
  const end = (how: string | undefined) => {
    if (isOver) return
    isOver = true
    socket.destroy()
    done(how)
  }
  socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? 'error'))
  socket.on('end', () => end('EOF'))
  socket.on('close', () => end('EOF'))
  return end
}

const staysUntil = () => Date.now() + (load.stayMs ?? Number.POSITIVE_INFINITY)

/** A connection that is open for as long as there is traffic, or load.stayMs: a line, its echo, a pause. `ready` is called with the first echo. */
function stayOpen(what: string, port: number, upgrade: boolean, ready: () => void): void {
  alive += 1
  counted.open.of += 1
  dial(port, (socket, how, ownPort) => {
    if (socket === undefined) {
      counted.open.loses(what, ownPort, how)
      alive -= 1
      return
    }
    let [sentMs, sent, heard, isUpgraded] = [Date.now(), 0, '', !upgrade]
    let timer: NodeJS.Timeout | undefined
    const until = staysUntil()
    const limit = setTimeout(() => end('silence'), ANSWER_LIMIT_MS)
    const end = ending(socket, ended => {
      clearTimeout(limit)
      clearTimeout(timer)
      alive -= 1
      if (ended === undefined) {
        if (!stopping) stayOpen(what, port, upgrade, () => {})
        return
      }
      waited(sentMs)
      counted.open.loses(what, ownPort, ended)
    })
    const ask = () => {
      if (stopping || Date.now() >= until) return end(undefined)
      sentMs = Date.now()
      limit.refresh()
      socket.write(`line ${sent}\n`)
    }
    socket.setEncoding('utf8').on('data', (text: string) => {
      heard += text
      if (!isUpgraded) {
        if (!heard.includes('\r\n\r\n')) return
        if (!heard.startsWith('HTTP/1.1 101 ')) return end(`answer: ${heard.slice(0, 12)}`)
        isUpgraded = true
        heard = ''
        return ask()
      }
      if (!heard.endsWith('\n')) return
      if (heard !== `line ${sent}\n`) return end('another answer')
      if (sent === 0) ready()
      heard = ''
      sent += 1
      waited(sentMs)
      // Until the next line there is nothing to wait for.
      limit.refresh()
      timer = setTimeout(ask, PING_EVERY_MS)
    })
    if (upgrade) socket.write('GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    else ask()
  })
}

const FRESH = [
  { what: 'new, 50 ms', line: 'slow 50\n' },
  { what: 'new', line: 'small\n' },
  { what: 'new, 200 kB', line: 'big 200000\n' },
] as const

/** One new connection with one request. */
function askOnce(at: number): void {
  const { what, line } = FRESH[at % FRESH.length] ?? FRESH[1]
  alive += 1
  counted.fresh.of += 1
  const began = Date.now()
  dial(load.ports.wild, (socket, how, ownPort) => {
    if (socket === undefined) {
      counted.fresh.loses(what, ownPort, how)
      alive -= 1
      return
    }
    let last = ''
    const limit = setTimeout(() => end('silence'), ANSWER_LIMIT_MS)
    const end = ending(socket, ended => {
      clearTimeout(limit)
      alive -= 1
      waited(began)
      if (ended !== 'EOF' || last !== 'done\n') counted.fresh.loses(what, ownPort, ended === 'EOF' ? 'EOF before the end' : (ended ?? ''))
    })
    socket.setEncoding('latin1').on('data', (text: string) => {
      last = (last + text.slice(-5)).slice(-5)
    })
    socket.write(line)
  })
}

/** A client that keeps its connection from request to request, and opens another one where it finds it closed. */
function keepAlive(): void {
  alive += 1
  let socket: Socket | undefined
  let [heard, sentMs, isAsking, used, slowestMs, ownPort, until] = ['', 0, false, 0, 0, 0, 0]
  const next = (afterMs: number) => setTimeout(ask, afterMs)
  const limit = setInterval(() => {
    if (isAsking && Date.now() - sentMs > ANSWER_LIMIT_MS) broken('silence')
  }, 500)
  const broken = (how: string) => {
    const wasAsking = isAsking
    socket?.destroy()
    socket = undefined
    isAsking = false
    if (wasAsking) waited(sentMs)
    if (isClosedBetween({ how, used, heard, waitedMs: wasAsking ? Date.now() - sentMs : undefined, slowestMs })) closedBetween += 1
    else {
      // The request that is about to come is the one that is lost.
      if (!wasAsking) counted.keptAlive.of += 1
      counted.keptAlive.loses('kept alive', ownPort, how)
    }
    // Between two requests the next one is under way already.
    if (wasAsking) next(THINK_MS)
  }
  const send = () => {
    isAsking = true
    heard = ''
    sentMs = Date.now()
    counted.keptAlive.of += 1
    socket?.write('GET /slow?ms=20 HTTP/1.1\r\nHost: x\r\n\r\n')
  }
  const take = (text: string) => {
    heard += text
    const body = heard.indexOf('\r\n\r\n') + 4
    const length = /\r\ncontent-length: *(\d+)/i.exec(heard)?.[1]
    if (body < 4 || length === undefined || heard.length < body + Number(length)) return
    if (!heard.startsWith('HTTP/1.1 200 ')) counted.keptAlive.loses('kept alive', ownPort, `answer: ${heard.slice(0, 12)}`)
    isAsking = false
    used += 1
    slowestMs = Math.max(slowestMs, Date.now() - sentMs)
    waited(sentMs)
    if (/\r\nconnection: *close/i.test(heard)) {
      socket?.destroy()
      socket = undefined
    }
    next(THINK_MS)
  }
  function ask(): void {
    if (stopping) {
      const last = socket
      // Nobody's cut: its events are not counted any more.
      socket = undefined
      last?.destroy()
      clearInterval(limit)
      alive -= 1
      return
    }
    if (socket !== undefined && Date.now() < until) return send()
    const old = socket
    socket = undefined
    old?.destroy()
    dial(load.ports.http, (fresh, how, port) => {
      if (fresh === undefined) {
        counted.keptAlive.of += 1
        counted.keptAlive.loses('kept alive', port, how)
        next(THINK_MS)
        return
      }
      socket = fresh
      used = 0
      slowestMs = 0
      until = staysUntil()
      ownPort = port
      const isMine = (then: () => void) => () => {
        if (socket === fresh) then()
      }
      fresh.on('error', (error: NodeJS.ErrnoException) => isMine(() => broken(error.code ?? 'error'))())
      fresh.on(
        'end',
        isMine(() => broken('EOF')),
      )
      fresh.on(
        'close',
        isMine(() => broken('EOF')),
      )
      fresh.setEncoding('latin1').on('data', (text: string) => isMine(() => take(text))())
      send()
    })
  }
  ask()
}

/** Bytes that a transfer may have moved since it began. */
const allowed = (beganMs: number) => ((Date.now() - beganMs) * load.transferBytes) / load.transferMs

/** Another one takes its place for as long as there is traffic: an event may last longer than a transfer. */
function transfer(what: 'download' | 'upload', ready: () => void): void {
  alive += 1
  counted.transfers.of += 1
  dial(load.ports.http, (socket, how, ownPort) => {
    if (socket === undefined) {
      counted.transfers.loses(what, ownPort, how)
      alive -= 1
      return
    }
    const began = Date.now()
    const limit = setTimeout(() => end('not done in time'), load.transferMs + TRANSFER_GRACE_MS)
    const end = ending(socket, ended => {
      clearTimeout(limit)
      clearInterval(pace)
      alive -= 1
      if (ended !== undefined) counted.transfers.loses(what, ownPort, ended)
      else if (!stopping) transfer(what, () => {})
    })
    const pace = what === 'download' ? download(socket, began, end) : upload(socket, began, end)
    ready()
  })
}

function download(socket: Socket, began: number, end: (how: string | undefined) => void): NodeJS.Timeout {
  let [head, got, last] = [Buffer.alloc(0) as Buffer | undefined, 0, Date.now()]
  socket.on('data', (chunk: Buffer) => {
    last = Date.now()
    if (head !== undefined) {
      head = Buffer.concat([head, chunk])
      const at = head.indexOf('\r\n\r\n')
      if (at < 0) return
      got = head.length - at - 4
      head = undefined
    } else got += chunk.length
    if (got >= load.transferBytes) end(got === load.transferBytes ? undefined : 'too much')
    else if (got > allowed(began)) socket.pause()
  })
  socket.write(`GET /big?bytes=${load.transferBytes} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  return setInterval(() => {
    if (!socket.isPaused() && Date.now() - last > ANSWER_LIMIT_MS) end('silence')
    if (!socket.isPaused()) silenceMs = Math.max(silenceMs, Date.now() - last)
    if (socket.isPaused() && got <= allowed(began)) {
      last = Date.now()
      socket.resume()
    }
  }, 10)
}

const BLOCK = Buffer.alloc(65_536, 'u')

function upload(socket: Socket, began: number, end: (how: string | undefined) => void): NodeJS.Timeout {
  let [sent, isFull, heard] = [0, false, '']
  socket.on('drain', () => {
    isFull = false
  })
  socket.setEncoding('utf8').on('data', (text: string) => {
    heard += text
    if (/\r\n\r\n[^]*\n$/.test(heard)) end(heard.endsWith(`\n${load.transferBytes} bytes\n`) ? undefined : `answer: ${heard.slice(0, 12)}`)
  })
  socket.write(`POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: ${load.transferBytes}\r\nConnection: close\r\n\r\n`)
  return setInterval(() => {
    while (!isFull && sent < load.transferBytes && sent <= allowed(began)) {
      const size = Math.min(BLOCK.length, load.transferBytes - sent)
      sent += size
      isFull = !socket.write(size === BLOCK.length ? BLOCK : BLOCK.subarray(0, size))
    }
  }, 10)
}

function report(): void {
  const { open, fresh, keptAlive, transfers } = counted
  const seen = {
    open: open.tally(),
    fresh: fresh.tally(),
    keptAlive: keptAlive.tally(),
    closedBetween,
    transfers: transfers.tally(),
    silenceMs,
  }
  process.stdout.write(`${JSON.stringify(seen)}\n`, () => process.exit(0))
}

let toCome = load.openWild + load.openNamed + load.upgraded + load.downloads + load.uploads
const ready = () => {
  toCome -= 1
  if (toCome === 0) setTimeout(() => process.stdout.write('ready\n'), QUIET_MS)
}
for (let i = 0; i < load.openWild; i++) setTimeout(stayOpen, i * 5, 'open on *', load.ports.wild, false, ready)
for (let i = 0; i < load.openNamed; i++) setTimeout(stayOpen, i * 5, 'open on the address', load.ports.named, false, ready)
for (let i = 0; i < load.upgraded; i++) setTimeout(stayOpen, i * 5, 'upgraded', load.ports.http, true, ready)
for (let i = 0; i < load.keptAlive; i++) setTimeout(keepAlive, i * 7)
setTimeout(() => {
  for (let i = 0; i < load.downloads; i++) transfer('download', ready)
  for (let i = 0; i < load.uploads; i++) transfer('upload', ready)
}, 300)

const began = Date.now()
let asked = 0
const asking = setInterval(() => {
  while (!stopping && asked < ((Date.now() - began) * load.perSecond) / 1000) askOnce(asked++)
}, 5)
process.stdin.on('end', () => {
  stopping = true
  clearInterval(asking)
})
process.stdin.resume()
setInterval(() => {
  if (stopping && alive === 0) report()
}, 50)
setTimeout(report, LIMIT_MS)
