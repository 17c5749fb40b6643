/** Servers on a port of their own, for tests of what connects to them. */
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'

const open: Server[] = []

/** Ends those that the test has begun. */
export async function endListening(): Promise<void> {
  await Promise.all(open.splice(0).map(server => new Promise(resolve => server.close(resolve))))
}

/** Its port, once it listens. */
async function listening(server: Server): Promise<number> {
  open.push(server)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

export const http = (answer: RequestListener) => listening(createHttpServer(answer))

export const tcp = (answer: (socket: Socket) => void) =>
  listening(
    createServer(socket => {
      // The client may close its side first.
      socket.on('error', () => {})
      socket.resume()
      answer(socket)
    }),
  )
