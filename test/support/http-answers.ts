/** Answers of an HTTP service, and what every probe must say of each. */
import type { Socket } from 'node:net'

const BIG = 24_000
/** No probe reads more, as docs/drills.md says. */
const MOST = 32 * 1024
const body = (bytes: number) => 'x'.repeat(bytes)
const head = (...fields: readonly string[]) => ['HTTP/1.1 200 OK', ...fields, '', ''].join('\r\n')
const chunk = (bytes: number) => `${bytes.toString(16)};extension=1\r\n${body(bytes)}\r\n`

const INTERIM = 'HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n'

const end = (text: string) => (socket: Socket) => void socket.end(text)
/** The reset drops what the client has not read, so it has time to read. */
const reset = (text: string) => (socket: Socket) => void socket.write(text, () => setTimeout(() => socket.resetAndDestroy(), 100))
/** Nothing comes after it, and the connection stays open. */
const stay = (text: string) => (socket: Socket) => void socket.write(text)
/** A piece every 50 ms, without an end. */
const drip = (text: string) => (socket: Socket) => {
  socket.write(text)
  const timer = setInterval(() => socket.write('x'), 50)
  socket.once('close', () => clearInterval(timer))
}

const WHOLE = undefined
const ENDED = /^the answer was cut: closed before its end$/
/** Where the client reads too late, the reset has dropped even the status line. */
const RESET = /^(the answer was cut: )?(ECONNRESET|Connection reset)/

/** What the answer is, how it is sent, and why it is lost. `limitMs` is for a probe that must run out of time. */
export const HTTP_ANSWERS: readonly (readonly [
  what: string,
  send: (socket: Socket) => void,
  lost: RegExp | undefined,
  limitMs?: number,
])[] = [
  ['24 kB whole', end(head(`Content-Length: ${BIG}`) + body(BIG)), WHOLE],
  ['24 kB whole over a connection that stays open', stay(head(`content-length:${BIG}`) + body(BIG)), WHOLE],
  ['24 kB that end half-way', end(head(`Content-Length: ${BIG}`) + body(BIG / 2)), ENDED],
  ['24 kB that are reset half-way', reset(head(`Content-Length: ${BIG}`) + body(BIG / 2)), RESET],
  [
    '24 kB that fall silent half-way',
    stay(head(`Content-Length: ${BIG}`) + body(BIG / 2)),
    /^the answer was cut: only a part of it in 1(000 ms| s)$/,
    1000,
  ],
  ['slow, still coming when the time is over', drip(head(`Content-Length: ${BIG}`)), WHOLE, 1000],
  ['one byte less than its length', end(`${head('Content-Length: 5')}fine`), ENDED],
  ['chunked', stay(`${head('Transfer-Encoding: chunked')}${chunk(9000)}${chunk(9000)}0\r\n\r\n`), WHOLE],
  ['chunked, with a trailer', stay(`${head('Transfer-Encoding: gzip, chunked')}${chunk(9)}0\r\nDigest: x\r\n\r\n`), WHOLE],
  ['chunked, without the last chunk', end(head('Transfer-Encoding: chunked') + chunk(9000)), ENDED],
  ['chunked, ended in a chunk', end(`${head('Transfer-Encoding: chunked')}1000\r\nx`), ENDED],
  ['chunked, without sizes', stay(`${head('Transfer-Encoding: chunked')}fine\r\n`), /^the answer has chunks without sizes$/],
  ['without a length, until it is closed', end(head() + body(BIG)), WHOLE],
  ['without a length, and reset', reset(head() + body(BIG)), RESET],
  ['of a length that is no number', stay(`${head('Content-Length: many')}fine`), /^the answer has a Content-Length that is not a number$/],
  ['in two codings, on a line each', stay(`${head('Transfer-Encoding: gzip', 'Transfer-Encoding: chunked')}${chunk(9)}0\r\n\r\n`), WHOLE],
  ['after two that are interim', stay(`${INTERIM}${INTERIM}${head('Content-Length: 4')}fine`), WHOLE],
  ['after an interim one, cut', end(`${INTERIM}${head('Content-Length: 5')}fine`), ENDED],
  ['after an interim one, of a status of failure', stay(`${INTERIM}HTTP/1.1 503 Service Unavailable\r\n\r\n`), /^HTTP 503$/],
  ['an interim one, and closed', end(INTERIM), /^closed without an answer$/],
  ['an interim one, and silent', stay(INTERIM), /^no answer in 1(000 ms| s)$/, 1000],
  ['interim ones without an end', stay(INTERIM.repeat(MOST / INTERIM.length + 1)), /^no answer in /, 1000],
  ['without a body', stay('HTTP/1.1 204 No Content\r\n\r\n'), WHOLE],
  [
    'ended in its head',
    end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n'),
    /^(the answer was cut: closed before its end|closed without an answer)$/,
  ],
  ['larger than what is read, by its length', stay(head(`Content-Length: ${BIG * BIG}`) + body(MOST)), WHOLE],
  ['larger than what is read, chunked', stay(head('Transfer-Encoding: chunked') + chunk(MOST)), WHOLE],
  ['larger than what is read, without a length', stay(head() + body(MOST)), WHOLE],
  ['of a status of failure', stay('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\n'), /^HTTP 503$/],
  ['closed at once', end(''), /^closed without an answer$/],
  ['of another protocol', stay('SSH-2.0-x\r\n'), /^the answer is not HTTP$/],
  ['of a status that is no number', stay('HTTP/1.1 2x0 OK\r\n\r\n'), /^the answer is not HTTP( that can be read)?$/],
  ['silent', stay(''), /^no answer in 1(000 ms| s)$/, 1000],
]
