/** How a kept-alive connection of the benchmark ended. No I/O. */

export interface KeptEnd {
  /** EOF, ECONNRESET, "silence", ... */
  readonly how: string
  /** Answers that the connection has brought. */
  readonly used: number
  /** What the answer to the request under way has brought so far. */
  readonly heard: string
  /** Since the request under way was sent; undefined between two requests. */
  readonly waitedMs: number | undefined
  /** The slowest answer of the connection. */
  readonly slowestMs: number
}

/**
 * Whether the server closed it between two requests: the client then asks again by itself (RFC 9112, 9.3.1). As strict as a drill's client: only an
 * end in order, which comes as soon as answers do and instead of one, crossed the request on its way. A reset never did.
 */
export function isClosedBetween({ how, used, heard, waitedMs, slowestMs }: KeptEnd): boolean {
  return how === 'EOF' && (waitedMs === undefined || (used > 0 && heard === '' && waitedMs <= slowestMs))
}
