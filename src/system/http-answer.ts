/** Where an answer of HTTP/1.0 or 1.1 ends (RFC 9112, section 6.3), found while it comes in. No I/O; src/on-server/http-answer.pl does the same on a server. */

/** How far an answer has been read. `rest`: bytes of a line or a head that has not ended yet. */
export type HttpAnswer =
  | { readonly at: 'status'; readonly status?: undefined; readonly rest: Buffer }
  | { readonly at: 'head'; readonly status: number; readonly rest: Buffer }
  /** `left`: bytes to come, by Content-Length. */
  | { readonly at: 'body'; readonly status: number; readonly left: number }
  /** `left`: bytes to come of this chunk and of the line end after it. `isLast`: lines of the trailer come. */
  | { readonly at: 'chunks'; readonly status: number; readonly left: number; readonly isLast: boolean; readonly rest: Buffer }
  /** Only the end of the connection ends it. */
  | { readonly at: 'open body'; readonly status: number }
  | { readonly at: 'end'; readonly status: number }
  | { readonly at: 'wrong'; readonly status?: number; readonly why: string }

export const NOT_BEGUN: HttpAnswer = { at: 'status', rest: Buffer.alloc(0) }

/** Of a status line, or of the line before a chunk. */
const MAX_LINE_BYTES = 1024
const LINE_END_BYTES = 2

/** The answer with these bytes more. Bytes after its end are ignored. */
export function readOn(answer: HttpAnswer, bytes: Buffer): HttpAnswer {
  switch (answer.at) {
    case 'status':
      return readStatus(Buffer.concat([answer.rest, bytes]))
    case 'head':
      return readHead(answer.status, Buffer.concat([answer.rest, bytes]))
    case 'body':
      return bodyOf(answer.status, answer.left - bytes.length)
    case 'chunks':
      return readChunks({ ...answer, rest: Buffer.concat([answer.rest, bytes]) })
    case 'open body':
    case 'end':
    case 'wrong':
      return answer
  }
}

function readStatus(rest: Buffer): HttpAnswer {
  const end = rest.indexOf('\n')
  if (end < 0 && rest.length < MAX_LINE_BYTES) return { at: 'status', rest }
  const status = /^HTTP\/1\.[01] (\d{3})\b/.exec(rest.toString('latin1', 0, MAX_LINE_BYTES))?.[1]
  if (status === undefined) return { at: 'wrong', why: 'the answer is not HTTP' }
  return readHead(Number(status), rest.subarray(end + 1))
}

/** `rest`: what comes after the status line. */
function readHead(status: number, rest: Buffer): HttpAnswer {
  const text = rest.toString('latin1')
  const end = /(?:^|\n)\r?\n/.exec(text)
  if (end === null) return { at: 'head', status, rest }
  const fields = text.slice(0, end.index)
  const body = rest.subarray(end.index + end[0].length)
  if (status < 200 || status === 204 || status === 304) return { at: 'end', status }
  const coding = /^transfer-encoding:(.*)$/im.exec(fields)?.[1]
  if (coding !== undefined)
    return /\bchunked\s*$/i.test(coding)
      ? readChunks({ at: 'chunks', status, left: 0, isLast: false, rest: body })
      : { at: 'open body', status }
  const length = /^content-length:(.*)$/im.exec(fields)?.[1]?.trim()
  if (length === undefined) return { at: 'open body', status }
  if (!/^\d{1,15}$/.test(length)) return { at: 'wrong', status, why: 'the answer has a Content-Length that is not a number' }
  return bodyOf(status, Number(length) - body.length)
}

function bodyOf(status: number, left: number): HttpAnswer {
  return left > 0 ? { at: 'body', status, left } : { at: 'end', status }
}

function readChunks({ status, ...chunk }: HttpAnswer & { readonly at: 'chunks' }): HttpAnswer {
  let { left, isLast, rest } = chunk
  for (;;) {
    const taken = Math.min(left, rest.length)
    left -= taken
    rest = rest.subarray(taken)
    const end = left > 0 ? -1 : rest.indexOf('\n')
    if (end < 0 && (isLast || rest.length < MAX_LINE_BYTES)) return { at: 'chunks', status, left, isLast, rest }
    const line = rest.toString('latin1', 0, Math.max(end, 0)).trimEnd()
    rest = rest.subarray(end + 1)
    if (isLast && line === '') return { at: 'end', status }
    if (isLast) continue
    const size = /^[\da-f]{1,8}(?=$|[\s;])/i.exec(line)?.[0]
    if (size === undefined) return { at: 'wrong', status, why: 'the answer has chunks without sizes' }
    isLast = Number.parseInt(size, 16) === 0
    left = isLast ? 0 : Number.parseInt(size, 16) + LINE_END_BYTES
  }
}
