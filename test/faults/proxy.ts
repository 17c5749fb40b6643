/** A network that can be broken at a chosen byte: TCP from a local port to a server's sshd. */
import { createServer, connect, type Server, type Socket } from 'node:net'

/** What happens to the connections once this many bytes have passed, in both directions together. */
export type Fault =
  /** The connection is reset, as by a firewall that was restarted; new ones pass. */
  | { readonly kind: 'reset'; readonly afterBytes: number }
  /** It is closed with a FIN, as by an sshd that ends; new ones pass. */
  | { readonly kind: 'close'; readonly afterBytes: number }
  /** Nothing passes any more, without a reset or FIN. `isLasting`: not through new connections either. */
  | { readonly kind: 'stall'; readonly afterBytes: number; readonly isLasting: boolean }

export interface Proxy {
  readonly port: number
  /** Bytes that have passed since arm(). */
  bytes(): number
  /** Counts from 0 again; undefined: a network without faults. */
  arm(fault: Fault | undefined): void
  /** performance.now() at the fault; undefined before it. */
  struckMs(): number | undefined
  close(): Promise<void>
}

export async function openProxy(listenOn: string, host: string, port: number): Promise<Proxy> {
  let fault: Fault | undefined
  let bytes = 0
  let struckMs: number | undefined
  const pairs = new Set<readonly [Socket, Socket]>()
  const stalled = new Set<Socket>()

  const strike = (cause: Fault) => {
    struckMs = performance.now()
    for (const pair of pairs) {
      for (const socket of pair) {
        if (cause.kind === 'reset') socket.resetAndDestroy()
        else if (cause.kind === 'close') socket.end()
        else stalled.add(socket)
      }
    }
  }
  const pass = (from: Socket, to: Socket) => {
    from.on('data', (chunk: Buffer) => {
      if (stalled.has(from)) return
      const left = fault === undefined || struckMs !== undefined ? chunk.length : Math.max(0, fault.afterBytes - bytes)
      bytes += chunk.length
      // The bytes before the fault do arrive: half a packet is what a cut connection leaves.
      if (!to.destroyed) to.write(chunk.subarray(0, left))
      if (left < chunk.length && fault !== undefined) strike(fault)
    })
    from.once('end', () => {
      if (!stalled.has(from)) to.end()
    })
    from.on('error', () => {
      if (!stalled.has(from)) to.destroy()
    })
  }
  const server: Server = createServer({ allowHalfOpen: true }, near => {
    const far = connect({ host, port, allowHalfOpen: true })
    const pair = [near, far] as const
    pairs.add(pair)
    if (struckMs !== undefined && fault?.kind === 'stall' && fault.isLasting) for (const socket of pair) stalled.add(socket)
    for (const socket of pair) {
      socket.setNoDelay(true)
      socket.once('close', () => {
        if (near.destroyed && far.destroyed) pairs.delete(pair)
      })
    }
    pass(near, far)
    pass(far, near)
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, listenOn, resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
  const drop = () => {
    for (const pair of pairs) for (const socket of pair) socket.destroy()
    stalled.clear()
  }
  return {
    port: address.port,
    bytes: () => bytes,
    arm: next => {
      drop()
      fault = next
      bytes = 0
      struckMs = undefined
    },
    struckMs: () => struckMs,
    close: () => {
      drop()
      return new Promise(resolve => server.close(() => resolve()))
    },
  }
}
