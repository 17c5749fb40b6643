/** A file of hactl's as it was on a server at an earlier time. */
export interface FileThen {
  readonly path: string
  readonly mode: string
  readonly owner: string
  readonly group: string
  readonly content: string
}
