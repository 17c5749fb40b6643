/** The keys of an agent, with those that ssh2 leaves out of its own list: hactl cannot use them, but must report them. */
import { connect } from 'node:net'
import type { ParsedKey } from 'ssh2'
import ssh2 from 'ssh2'
import { keyTypeOf } from './known-hosts.ts'

const { utils } = ssh2

/** The agent protocol's numbers (draft-ietf-sshm-ssh-agent, 6.1). */
const REQUEST_IDENTITIES = Buffer.from([0, 0, 0, 1, 11])
const IDENTITIES_ANSWER = 12
/** A hung agent must not hang the deployment. */
const ANSWER_LIMIT_MS = 5_000
const MAX_ANSWER_BYTES = 1024 * 1024

export interface AgentKeys {
  readonly usable: readonly ParsedKey[]
  /** Types of the others: "ssh-ed25519-cert-v01@openssh.com". */
  readonly others: readonly string[]
}

/** The agent's keys in its order, or why it does not answer. */
export function listAgentKeys(path: string | undefined): Promise<AgentKeys | string> {
  if (path === undefined) return Promise.resolve({ usable: [], others: [] })
  return new Promise(resolve => {
    const socket = connect(path)
    const timer = setTimeout(() => end(`the agent at ${path} did not answer in ${ANSWER_LIMIT_MS / 1000} s`), ANSWER_LIMIT_MS)
    const end = (result: AgentKeys | string) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(result)
    }
    let received = Buffer.alloc(0)
    socket.once('error', () => end(`the agent at ${path} does not answer`))
    socket.once('close', () => end(`the agent at ${path} does not answer`))
    socket.on('data', chunk => {
      received = Buffer.concat([received, chunk])
      if (received.length < 4) return
      const length = received.readUInt32BE(0)
      if (length > MAX_ANSWER_BYTES) return end(`the agent at ${path} answers with something other than keys`)
      if (received.length >= 4 + length) end(parseAnswer(received.subarray(4, 4 + length)) ?? `the agent at ${path} does not list its keys`)
    })
    socket.write(REQUEST_IDENTITIES)
  })
}

function parseAnswer(answer: Buffer): AgentKeys | undefined {
  let at = 5
  const string = (): Buffer => {
    const length = answer.readUInt32BE(at)
    at += 4 + length
    if (at > answer.length) throw new RangeError('cut')
    return answer.subarray(at - length, at)
  }
  try {
    if (answer[0] !== IDENTITIES_ANSWER) return undefined
    const usable: ParsedKey[] = []
    const others: string[] = []
    for (let left = answer.readUInt32BE(1); left > 0; left--) {
      const blob = string()
      const comment = string().toString('utf8')
      const key = utils.parseKey(blob)
      // parseKey takes a certificate for the plain key in it, and no server accepts the signature of that key.
      if (key instanceof Error || key.type.includes('-cert-')) others.push(keyTypeOf(blob))
      else usable.push(Object.assign(key, { comment: key.comment || comment }))
    }
    return { usable, others }
  } catch {
    return undefined
  }
}

/** The kind of a key that hactl cannot use, in an operator's words; undefined where its type says nothing. */
export function unusableKind(keyType: string): string | undefined {
  if (keyType.includes('-cert-')) return 'a certificate: hactl logs in with plain keys only'
  return keyType.startsWith('sk-') ? 'a security key (FIDO), which hactl cannot use' : undefined
}
