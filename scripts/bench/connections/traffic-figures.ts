/** What the traffic program reports at its end, as one line of JSON. Times in ms since 1970. */
export interface TrafficSeen {
  readonly open: Tally
  readonly fresh: Tally
  /** Requests of kept-alive clients. One that met a connection closed between two requests is not lost: the client asks again. A reset is a loss. */
  readonly keptAlive: Tally
  readonly closedBetween: number
  /** Those that took the place of one that was done are counted, too. */
  readonly transfers: Tally
  /** The longest that any client waited: for the next answer, or until it knew that there will be none. */
  readonly silenceMs: number
}

export interface Tally {
  readonly of: number
  /** At most MOST_LISTED of them are listed. */
  readonly lost: number
  readonly list: readonly Lost[]
}

export interface Lost {
  /** "open on *", "upgraded", "new, 200 kB", "download" */
  readonly what: string
  /** The client's own port; 0 where it had none yet. */
  readonly port: number
  readonly atMs: number
  /** ECONNRESET, EOF, "silence", "no connection: ECONNREFUSED", ... */
  readonly how: string
}

export const MOST_LISTED = 500

/** The load, as its program takes it. */
export interface Load {
  readonly host: string
  /** A frontend bound to every address, one bound to the virtual address by name (both tcp), and one for HTTP. */
  readonly ports: { readonly wild: number; readonly named: number; readonly http: number }
  readonly openWild: number
  readonly openNamed: number
  readonly upgraded: number
  readonly keptAlive: number
  /** How long each of these stays before another takes its place; undefined: as long as there is traffic. */
  readonly stayMs?: number
  /** New connections a second; every third answers 200 kB. */
  readonly perSecond: number
  readonly downloads: number
  readonly uploads: number
  readonly transferBytes: number
  /** How long a transfer takes at the rate that it is held to. */
  readonly transferMs: number
}
