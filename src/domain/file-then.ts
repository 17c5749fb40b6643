/** A file of hactl's as it once was on a server. */
export interface FileThen {
  readonly path: string
  readonly mode: string
  readonly owner: string
  readonly group: string
  readonly content: string
}
