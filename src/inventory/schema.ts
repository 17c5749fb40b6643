/**
 * The shape of inventory.yml. The one source of its keys: their types, the JSON Schema, the manual's table, the comments of a written
 * inventory and "did you mean" are made from it. Keys are in the order in which hactl writes them.
 * Every message begins with "must", so that parse.ts can finish the sentence with what was found.
 */
import * as z from 'zod'
import {
  addressIssue,
  authPassIssue,
  bindIssue,
  configLineIssue,
  configWordsIssue,
  emailIssue,
  environmentNameIssue,
  freeTextIssue,
  type Grammar,
  hostIssue,
  interfaceIssue,
  mirrorIssue,
  nameIssue,
  pathIssue,
  serverFileIssue,
  probeHostIssue,
  proxyJumpIssue,
  proxyNameIssue,
  serverAddressIssue,
  smtpServerIssue,
  urlPathIssue,
  userIssue,
  versionIssue,
  virtualAddressIssue,
} from './grammar.ts'

/**
 * A key's documentation. `normally` says what applies where the key is absent, as prose and not as a JSON value. A top-level key may also
 * have a `comment`: the comment above it in an inventory that hactl writes, where that is not the description.
 */
function doc(description: string, normally?: string): { description: string; normally?: string } {
  return normally === undefined ? { description } : { description, normally }
}

function text(issueOf: Grammar) {
  return z.string({ error: 'must be text' }).superRefine((value, context) => {
    const message = issueOf(value)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  })
}

function whole(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`
  return z.int({ error }).min(min, { error }).max(max, { error })
}

/** Seconds with at most ms resolution, keepalived's finest (keepalived.conf(5), vrrp_script interval). */
function seconds(min: number, max: number) {
  const error = `must be a number of seconds from ${min} to ${max}`
  return z.number({ error }).min(min, { error }).max(max, { error })
}

/** Seconds in steps of 0.000001, keepalived's finest, and not 0. None of these numbers has an exponent as text. */
function microseconds(max: number) {
  return seconds(0.000001, max).refine(value => /^\d+(\.\d{1,6})?$/.test(String(value)), {
    error: 'must be a number of seconds with at most 6 decimals',
  })
}

function flag() {
  return z.boolean({ error: 'must be true or false' })
}

function word<const Words extends readonly [string, ...string[]]>(...words: Words) {
  return z.enum(words, { error: `must be ${words.join(' or ')}` })
}

/** Bounded, so that no file keeps `check` busy. An advert has room for 255 addresses, and nobody writes more by hand. */
function list<Item extends z.ZodType>(item: Item, max = 255) {
  return z
    .array(item, { error: 'must be a list' })
    .min(1, { error: 'must have at least one entry' })
    .max(max, { error: `must have at most ${max} entries` })
}

function byServer<Value extends z.ZodType>(value: Value) {
  return z.record(text(nameIssue), value, { error: 'must be a mapping from server names to values' })
}

function section<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, { error: 'must be a mapping of keys and values' })
}

const optional = z.exactOptional

/** A secret: its source, or the text itself, which `check` warns about. */
function secret(literalIssue: Grammar) {
  const literal = text(literalIssue)
  return z.union(
    [
      literal.transform(value => ({ literal: value })),
      section({ env: text(environmentNameIssue).meta(doc('Name of an environment variable of the operator that holds the secret.')) }),
      section({ file: text(pathIssue).meta(doc('Path of a file that holds the secret; one newline at its end is dropped.')) }),
      section({
        command: text(freeTextIssue).meta(doc('Shell command, run on the operator\'s machine, that prints the secret: "pass show x".')),
      }),
      section({ literal: literal.meta(doc('The secret itself. It works, and `hactl check` warns.')) }),
    ],
    { error: 'must be { env: NAME }, { file: PATH } or { command: "..." }' },
  )
}

const ssh = () =>
  section({
    user: optional(text(userIssue).meta(doc('Login name.', 'what OpenSSH would use: ssh_config, then your own'))),
    port: optional(whole(1, 65535).meta(doc('TCP port of sshd.', 'what OpenSSH would use: ssh_config, then 22'))),
    identity_file: optional(text(pathIssue).meta(doc('Private key to offer first.', "ssh_config's, then ~/.ssh/id_* and the agent"))),
    proxy_jump: optional(text(proxyJumpIssue).meta(doc('Hosts to go through: [user@]host[:port], first hop first.', "ssh_config's"))),
    known_hosts: optional(text(pathIssue).meta(doc('File with the keys of known servers.', "ssh_config's, then ~/.ssh/known_hosts"))),
    host_key_checking: optional(
      word('strict', 'accept-new').meta(
        doc(
          'What to do about a server whose key is not known: strict refuses, accept-new records it. A changed key is always refused.',
          'strict',
        ),
      ),
    ),
  })

const sudoPassword = (more: { readonly comment?: string } = {}) =>
  optional(secret(freeTextIssue).meta({ ...doc('Password for sudo.', 'none; -K asks for it'), ...more }))

const server = section({
  name: text(nameIssue).meta(doc('Its name in reports, in --limit and in the maps by server.')),
  host: text(hostIssue).meta(doc('Address, host name or ssh_config alias to connect to. Never one that moves.')),
  ssh: optional(ssh().meta(doc('Overrides the common ssh settings for this server.'))),
  become: optional(flag().meta(doc('Overrides the common become for this server.'))),
  become_password: sudoPassword(),
})

const globalDefs = section({
  notification_email: optional(list(text(emailIssue)).meta(doc('Who gets mail when a server changes its VRRP state.', 'nobody'))),
  notification_email_from: optional(text(emailIssue).meta(doc('Sender of that mail.', "keepalived's: its user at the server's name"))),
  smtp_server: optional(
    text(smtpServerIssue).meta(doc('Mail server: address, then a space and a port where it is not 25.', 'none; no mail is sent')),
  ),
  smtp_connect_timeout: optional(whole(1, 3600).meta(doc('Seconds to wait for the mail server.', "keepalived's: 30"))),
  router_id: optional(text(nameIssue).meta(doc('Name of the sender in notification mail.', "keepalived's: the server's host name"))),
  vrrp_garp_interval: optional(
    microseconds(1).meta(doc('Seconds between two ARP (IPv4) announcements on an interface, for switches that drop many at once.', 'none')),
  ),
})

const vrrpScript = section({
  interval: optional(seconds(0.1, 3600).meta(doc('Seconds between two checks. Fractions need keepalived 2.3.2.', 'classic: 2; fast: 1'))),
  fall: optional(whole(1, 1000).meta(doc('Failed checks in a row that make a server fail.', 'classic: 2; fast: 1'))),
  rise: optional(whole(1, 1000).meta(doc('Passed checks in a row that make it healthy again.', 'classic: 2; fast: 1'))),
  timeout: optional(
    seconds(0.1, 3600).meta(doc('Seconds that a check may take. Profile fast spreads its questions over them.', 'as interval')),
  ),
  weight: optional(
    whole(-253, 253).meta(
      doc('What a check adds to the priority; 0: a failed check gives the addresses up at once.', 'classic: 5; fast: 0'),
    ),
  ),
})

const garpDelay = (what: string, normally: string) => optional(whole(0, 86_400).meta(doc(what, `keepalived's: ${normally}`)))
const garpCount = (what: string, normally: string) => optional(whole(1, 1000).meta(doc(what, `keepalived's: ${normally}`)))

const instance = section({
  name: text(nameIssue).meta(doc('Name of the vrrp_instance.')),
  interface: optional(
    z
      .union([text(interfaceIssue), byServer(text(interfaceIssue))], {
        error: 'must be the name of an interface, or a mapping from server names to them',
      })
      .meta(
        doc(
          'Interface that takes the addresses: one name, or one by server.',
          "the one that holds the server's address on the VIP's subnet",
        ),
      ),
  ),
  virtual_router_id: whole(1, 255).meta(doc('VRRP router number: one of its own on the network for every instance.')),
  priority: optional(
    byServer(whole(1, 254)).meta(
      doc('By server; the highest is master.', 'in rank order; classic: 100, 99, 98, ...; fast: 254, 250, 190, ...'),
    ),
  ),
  advert_int: optional(
    seconds(0.01, 255).meta(
      doc('Seconds between two adverts: whole ones with version 2, 0.01 to 40.95 with version 3.', 'classic: 1; fast: 0.2'),
    ),
  ),
  version: optional(
    z
      .union([z.literal(2), z.literal(3)], { error: 'must be 2 or 3' })
      .meta(doc('VRRP version: 2 has whole seconds and authentication, 3 has hundredths and IPv6.', 'classic: 2; fast: 3')),
  ),
  authentication: optional(
    section({
      auth_type: word('PASS', 'AH').meta(doc('PASS sends the password as plain text.')),
      auth_pass: secret(authPassIssue).meta(doc('Shared password, of which keepalived takes the first 8 characters.')),
    }).meta(doc('VRRP version 2 only.', 'none')),
  ),
  virtual_ipaddress: list(text(virtualAddressIssue)).meta(
    doc('Addresses that move together, all of one family: ADDRESS or ADDRESS/PREFIX.'),
  ),
  nopreempt: optional(flag().meta(doc('A better server that comes back leaves the address where it is.', 'false'))),
  preempt_delay: optional(seconds(0, 1000).meta(doc('Seconds before a better server takes the address.', '0'))),
  unicast_peer: optional(
    z
      .union([flag(), list(text(addressIssue))], { error: 'must be true, false or a list of addresses' })
      .meta(
        doc('true: adverts go to the other servers one by one; false: multicast; a list: exactly these.', 'classic: false; fast: true'),
      ),
  ),
  unicast_src_ip: optional(
    byServer(text(addressIssue)).meta(doc('Address that adverts come from, by server.', "the server's address on the VIP's interface")),
  ),
  garp_master_delay: garpDelay('Seconds before a new master announces the addresses a second time.', '5'),
  garp_master_repeat: garpCount('Announcements sent each time.', '5'),
  garp_master_refresh: garpDelay('Seconds between announcements while master; 0: none.', '0'),
  garp_master_refresh_repeat: garpCount('Announcements sent at each refresh.', '1'),
  garp_lower_prio_delay: garpDelay('Seconds before a master that heard a lower one announces again.', 'garp_master_delay'),
  garp_lower_prio_repeat: garpCount('Announcements sent then.', 'garp_master_repeat'),
  smtp_alert: optional(flag().meta(doc('Mail at every change of state.', 'true where notification_email is set'))),
})

const configLines = (what: string) => optional(list(text(configLineIssue), 1000).meta(doc(what)))
const proxyMode = () =>
  optional(word('http', 'tcp').meta(doc('What is balanced: HTTP requests or TCP connections.', 'that of the defaults section')))

const frontend = section({
  name: text(proxyNameIssue).meta(doc('Name of the frontend.')),
  bind: list(text(bindIssue)).meta(doc('Where it listens: ":80", "192.0.2.200:443 ssl crt /etc/ssl/site.pem".')),
  mode: proxyMode(),
  default_backend: optional(text(proxyNameIssue).meta(doc('The backend that gets what no other rule takes.'))),
  option: configLines('Lines that begin with "option", without that word: "forwardfor".'),
  lines: configLines("Any other lines of the section, in haproxy.cfg's syntax."),
})

const backendServer = section({
  name: text(proxyNameIssue).meta(doc('Name of the server in HAProxy.')),
  address: text(serverAddressIssue).meta(doc('HOST:PORT of the application.')),
  check: optional(flag().meta(doc('Whether HAProxy checks it.', 'false'))),
  weight: optional(whole(0, 256).meta(doc('Share of the load.', "HAProxy's: 1"))),
  backup: optional(flag().meta(doc('Used only when no other server is left.', 'false'))),
  options: optional(list(text(configWordsIssue)).meta(doc('Any other words of the server line: "inter 2s".'))),
})

const backend = section({
  name: text(proxyNameIssue).meta(doc('Name of the backend.')),
  mode: proxyMode(),
  balance: optional(text(configWordsIssue).meta(doc('How servers are chosen: "roundrobin", "leastconn".', "HAProxy's: roundrobin"))),
  option: configLines('Lines that begin with "option", without that word: "httpchk GET /health".'),
  servers: list(backendServer, 1000).meta(doc('The servers of the application.')),
  lines: configLines("Any other lines of the section, in haproxy.cfg's syntax."),
})

const haproxy = section({
  config: optional(text(pathIssue).meta(doc('Your own haproxy.cfg, shipped byte for byte. Excludes all other keys here.'))),
  global: configLines('Lines to add to the global section.'),
  defaults: configLines('Lines to add to the defaults section.'),
  frontends: optional(list(frontend, 1000).meta(doc('Where HAProxy listens.'))),
  backends: optional(list(backend, 1000).meta(doc('Where it sends what it accepts.'))),
})

const probe = section({
  port: optional(whole(1, 65535).meta(doc('Port asked on the virtual address.', 'that of the first bind that is not loopback'))),
  path: optional(text(urlPathIssue).meta(doc('Path asked for; makes the probe an HTTP request.', '/'))),
  status: optional(whole(100, 599).meta(doc('HTTP status expected.', 'any below 500'))),
  tls: optional(flag().meta(doc('Ask with TLS.', 'that of the first bind'))),
  host: optional(text(probeHostIssue).meta(doc('Host header, and name for TLS.', 'the virtual address'))),
})

const certificate = section({
  file: text(pathIssue).meta(doc('PEM file on your machine: certificate, chain and private key.')),
  path: text(serverFileIssue).meta(doc('Its path on the servers: what a bind names after crt.')),
})

const packages = section({
  haproxy: optional(text(versionIssue).meta(doc('Version to install: "2.6.*", or one that apt shows.', "apt's candidate"))),
  keepalived: optional(text(versionIssue).meta(doc('Version to install; Debian counts it from 1: as in "1:2.2.*".', "apt's candidate"))),
  from: optional(
    text(pathIssue).meta(
      doc(
        "For servers whose apt reaches no mirror. controller: hactl fetches on your machine what each server's apt asks for, once, and carries it over SSH. A folder here: its .deb files are carried and installed, dependencies too (./controller for one of that name).",
        "the servers' own way to their repositories",
      ),
    ),
  ),
  mirrors: optional(
    list(text(mirrorIssue), 100).meta(
      doc(
        'With from: controller, further hosts (HOST or HOST:PORT) that hactl may fetch from.',
        'the public archives of Debian and Ubuntu',
      ),
    ),
  ),
  unattended_upgrades: optional(
    flag().meta(doc('Whether unattended-upgrades may replace both packages, on all servers in the same minute.', 'false')),
  ),
})

export const inventorySchema = section({
  cluster: optional(text(nameIssue).meta(doc('Name of the cluster in locks, reports and history.', 'hactl'))),
  profile: optional(
    word('classic', 'fast').meta({
      ...doc("classic: the article's timings, priorities and weight; fast: failover that users do not notice.", 'fast'),
      comment: 'classic: the timings of the article; fast: failover that users do not notice.',
    }),
  ),
  open_connections: optional(
    word('keep', 'reset').meta({
      ...doc(
        'What a planned move of an address does to open TCP connections. keep: the server that has them still gets their packets until they end (docs/open-connections.md). reset: clients get a reset. Profile classic has only reset.',
        'classic: reset; fast: keep',
      ),
      comment: 'keep: open connections survive a planned move of the address; reset: clients get a reset.',
    }),
  ),
  stop_timeout: optional(
    seconds(0, 600).meta({
      ...doc(
        'With open_connections: keep, how many seconds a stop of haproxy waits for open connections before it ends them. 0 ends them at once. Refused with reset.',
        '20',
      ),
      comment: 'Seconds that a stop of haproxy waits for open connections.',
    }),
  ),
  ssh: optional(
    ssh().meta({
      ...doc('How to reach the servers; each may override it under its own ssh.'),
      comment: 'How to reach all servers. What is absent is taken from ssh_config, as ssh itself would.',
    }),
  ),
  become: optional(
    flag().meta({
      ...doc('Become root with sudo where the login user is not root.', 'true'),
      comment: 'Root by sudo, where the login user is not root.',
    }),
  ),
  become_password: sudoPassword({ comment: 'Where the password for sudo comes from; without this key, -K asks for it.' }),
  servers: list(server, 32).meta(
    doc('The load balancers. Their order is their rank: the first is master unless priorities say otherwise.'),
  ),
  global_defs: optional(
    globalDefs.meta({ ...doc("keepalived.conf's global_defs."), comment: 'Mail when a server becomes master or stops being it.' }),
  ),
  vrrp_script: optional(
    vrrpScript.meta({
      ...doc('How keepalived checks HAProxy on its own server.'),
      comment: 'How keepalived checks HAProxy on its own server. Times are seconds.',
    }),
  ),
  vrrp_instances: list(instance).meta({
    ...doc('Virtual addresses and how servers agree on who holds them.'),
    comment: 'Addresses that move between the servers. virtual_router_id must be unique on their network.',
  }),
  haproxy: haproxy.meta({
    ...doc('What HAProxy does: config, or frontends and backends.'),
    comment: 'What HAProxy does: `config: FILE` is your own haproxy.cfg, shipped as it is; else frontends and backends.',
  }),
  certificates: optional(
    list(certificate, 1000).meta({
      ...doc('Certificates that hactl ships, readable by root only; a new one is rolled out with a reload.', 'none'),
      comment: 'Certificates with their private keys, from this machine to where a bind names them.',
    }),
  ),
  firewall: optional(
    word('check', 'open').meta({
      ...doc(
        "What to do where a server's own packet filter (ufw, nftables, iptables) stops VRRP, the frontends' ports or, on their way out, packets that keep open connections: check reports it, open lets exactly these through.",
        'check',
      ),
      comment: "check: report where a server's packet filter is in the way; open: let through exactly what is needed.",
    }),
  ),
  packages: optional(
    packages.meta({
      ...doc('Versions of the haproxy and keepalived packages.', "apt's candidates"),
      comment: 'Versions of the two packages, as apt-get takes them.',
    }),
  ),
  probe: optional(probe.meta(doc('What drills and gates ask through the virtual address.'))),
})

/** The inventory as written: a secret may still be bare text. */
export type InventoryInput = z.input<typeof inventorySchema>
