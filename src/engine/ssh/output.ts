/** Collects what a command prints as bytes, so that a character that is cut between two packets stays whole. */

const NEWLINE = 0x0a
/** A line longer than this is given out in pieces. */
const MAX_LINE_BYTES = 1024 * 1024
/** How much of the text before a mark is kept. */
const MAX_HEAD_BYTES = 256 * 1024

/** Everything, up to a bound. */
export class Collector {
  readonly #chunks: Buffer[] = []
  readonly #maxBytes: number
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** false: the bound is passed, and the chunk was not kept. */
  add(chunk: Buffer): boolean {
    if (this.#bytes + chunk.length > this.#maxBytes) return false
    this.#bytes += chunk.length
    this.#chunks.push(chunk)
    return true
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString('utf8')
  }
}

/** The last bytes only. The end of an endless stderr says why a command failed. */
export class TailCollector {
  #chunks: Buffer[] = []
  readonly #maxBytes: number
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  add(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes <= 2 * this.#maxBytes) return
    const tail = Buffer.concat(this.#chunks).subarray(-this.#maxBytes)
    this.#chunks = [tail]
    this.#bytes = tail.length
  }

  text(): string {
    return Buffer.concat(this.#chunks).subarray(-this.#maxBytes).toString('utf8')
  }
}

/** Whole lines, without their newline, as they arrive. */
export class LineSplitter {
  readonly #onLine: (line: string) => void
  #rest: Buffer[] = []
  #restBytes = 0

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine
  }

  add(chunk: Buffer): void {
    let from = 0
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      this.#keep(chunk.subarray(from, at))
      this.#flush()
      from = at + 1
    }
    this.#keep(chunk.subarray(from))
    if (this.#restBytes > MAX_LINE_BYTES) this.#flush()
  }

  /** Gives out a last line that had no newline. */
  end(): void {
    if (this.#restBytes > 0) this.#flush()
  }

  #keep(part: Buffer): void {
    this.#rest.push(part)
    this.#restBytes += part.length
  }

  #flush(): void {
    const line = Buffer.concat(this.#rest).toString('utf8')
    this.#rest = []
    this.#restBytes = 0
    this.#onLine(line)
  }
}

/** Holds a stream back until a mark has passed. */
export class PrefixScanner {
  readonly #mark: string
  #head = ''
  #isOpen = false

  constructor(mark: string) {
    this.#mark = mark
  }

  /** What of the chunk comes after the mark; undefined while the mark has not come. */
  take(chunk: Buffer): Buffer | undefined {
    if (this.#isOpen) return chunk
    // latin1: one character per byte, so that positions in the text are positions in the bytes.
    const before = this.#head.length
    this.#head += chunk.toString('latin1')
    const at = this.#head.indexOf(this.#mark)
    if (at < 0) {
      this.#head = this.#head.slice(-MAX_HEAD_BYTES)
      return undefined
    }
    this.#isOpen = true
    const rest = chunk.subarray(at + this.#mark.length - before)
    this.#head = this.#head.slice(0, at)
    return rest
  }

  /** How often a text has come before the mark. */
  count(text: string): number {
    return this.#head.split(text).length - 1
  }

  /** What came before the mark. */
  head(): string {
    return Buffer.from(this.#head, 'latin1').toString('utf8')
  }
}
