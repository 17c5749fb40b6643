/** Answers of an operator, at a prompt or on the command line, in the grammar of the inventory. */
import { familyOf } from '../inventory/address.ts'
import {
  bindIssue,
  emailIssue,
  hostIssue,
  interfaceIssue,
  nameIssue,
  pathIssue,
  serverAddressIssue,
  userIssue,
  virtualAddressIssue,
} from '../inventory/grammar.ts'
import type { InventoryServer, SshSettings } from '../inventory/inventory.ts'

export interface AnsweredServer {
  readonly name: string
  readonly host: string
  readonly user: string | undefined
  readonly port: number | undefined
}

export interface AnsweredBackend {
  readonly name: string
  readonly address: string
}

/** A server as an inventory says it. */
export function inventoryServerOf({ name, host, user, port }: AnsweredServer): InventoryServer {
  const ssh: SshSettings = { ...(user === undefined ? {} : { user }), ...(port === undefined ? {} : { port }) }
  return { name, host, ...(Object.keys(ssh).length === 0 ? {} : { ssh }) }
}

/** A value, or what is wrong with the text it was read from. */
export type Answer<T> = { readonly value: T } | { readonly problem: string }

/** What the grammar of the inventory refuses in one answer; undefined where it refuses nothing. */
export const answerProblem = {
  host: (text: string) => about(text, hostIssue(text)),
  vip: (text: string) => about(text, virtualAddressIssue(text)),
  interface: (text: string) => about(text, interfaceIssue(text)),
  cluster: (text: string) => about(text, nameIssue(text)),
  user: (text: string) => about(text, userIssue(text)),
  path: (text: string) => about(text, pathIssue(text)),
  bind: (text: string) => about(text, bindIssue(text)),
  email: (text: string) => about(text, emailIssue(text)),
} as const

function about(text: string, issue: string | undefined): string | undefined {
  return issue === undefined ? undefined : `${JSON.stringify(text)} ${issue}`
}

/** NAME=HOST, HOST, NAME=USER@HOST:PORT. The name is the host's first label by default, and srv-N for an address. `at` counts from 0. */
export function parseServerAnswer(text: string, at: number): Answer<AnsweredServer> {
  const match = /^(?:([^=@]*)=)?(?:([^@]*)@)?(.*)$/s.exec(text)
  const [user, rest = ''] = [match?.[2], match?.[3]]
  const { host, port } = splitPort(rest)
  const name = match?.[1] ?? (familyOf(host) === undefined ? (host.split('.')[0] ?? host) : `srv-${at + 1}`)
  const problem =
    about(name, nameIssue(name)) ??
    about(host, hostIssue(host)) ??
    (user === undefined ? undefined : about(user, userIssue(user))) ??
    (port === undefined || (port >= 1 && port <= 65535) ? undefined : `${port} is not a port: 1 to 65535`)
  return problem === undefined ? { value: { name, host, user, port } } : { problem }
}

/** NAME=ADDRESS:PORT or ADDRESS:PORT. The name is app-N by default. `at` counts from 0. */
export function parseBackendAnswer(text: string, at: number): Answer<AnsweredBackend> {
  const cut = text.indexOf('=')
  const name = cut < 0 ? `app-${at + 1}` : text.slice(0, cut)
  const address = text.slice(cut + 1)
  const problem = about(name, nameIssue(name)) ?? about(address, serverAddressIssue(address))
  return problem === undefined ? { value: { name, address } } : { problem }
}

function splitPort(text: string): { readonly host: string; readonly port: number | undefined } {
  const bracketed = /^\[([^\]]*)\](?::(\d{1,6}))?$/.exec(text)
  const plain = bracketed ?? /^([^:]*)(?::(\d{1,6}))?$/.exec(text)
  // More than one colon and no brackets: an IPv6 address without a port.
  if (plain === null) return { host: text, port: undefined }
  return { host: plain[1] ?? '', port: plain[2] === undefined ? undefined : Number(plain[2]) }
}
