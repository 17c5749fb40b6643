/** What the program of the clients takes, as one word of JSON. */
export interface Clients {
  /** Their own address: it has some 28,000 ports. */
  readonly from: string
  readonly host: string
  /** In turn. */
  readonly ports: readonly number[]
  readonly count: number
  /** Opened in a second. */
  readonly perSecond: number
}

/** What became of a request of each client. */
export interface Asked {
  readonly answered: number
  /** How often which way: ECONNRESET, EOF, "silence". */
  readonly lost: Readonly<Record<string, number>>
}

/** Of one address, and of one process. */
export const MOST_COUNT = 25_000
