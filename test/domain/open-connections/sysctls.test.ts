/** Which kernel parameters the service raises on a server, and what it puts back. */
import { expect, test, type TestContext } from 'vitest'
import { saidBesideService } from '../../support/service-in-namespaces.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { clusterWith, HAPROXY } from '../example.ts'

const folder = tempFolder()

/**
 * `set` gives eth0's arp_ignore, its arp_announce and tcp_fwmark_accept values, and eth1's are 0. `values` prints them in this order, `reach` waits
 * for them and prints them. `saved` prints what is remembered. `settings` edits the service's settings and makes it read them.
 */
const HELPERS = `
parameters='conf/eth0/arp_ignore conf/eth0/arp_announce tcp_fwmark_accept conf/eth1/arp_ignore conf/eth1/arp_announce'
set_() { for p in $parameters; do echo "\${1:-0}" >/proc/sys/net/ipv4/$p; [ $# = 0 ] || shift; done; }
values() { echo $(for p in $parameters; do cat /proc/sys/net/ipv4/$p; done); }
said() { echo "$1: $(values)"; }
reach() { for i in $(seq 200); do [ "$(values)" != "$2" ] || break; sleep 0.05; done; said "$1"; }
saved() { sed 's/^net.ipv4.//' /run/hactl/open-connections.sysctl; }
end() { kill $main; wait $main 2>/dev/null || true; }
settings() { sed -i "$1" /usr/local/lib/hactl/open-connections.conf; rm /run/hactl/open-connections.state; kill -HUP $main; loaded; }
`

/** What the script prints on a server that has the service, where haproxy listens on an address by name: its marks have to last. */
function saidBy(script: string, context: TestContext) {
  const [web] = HAPROXY.frontends ?? []
  if (web === undefined) throw new Error('the example has none')
  const cluster = clusterWith({}, { haproxy: { ...HAPROXY, frontends: [{ ...web, bind: ['192.0.2.200:80'] }] } })
  const { code, output } = saidBesideService(context, { cluster, folder: folder(), script: `${HELPERS}${script}` })
  return { code, lines: output.trim().split('\n') }
}

test('lower ones are raised, again where somebody lowers them, and a clean-up puts back what they were at first', {
  timeout: 60_000,
}, context => {
  const said = saidBy(
    `
set_ 0 1 0; start; reach raised '1 2 1 0 0'
set_ 0 0 0; reach 'raised again' '1 2 1 0 0'
end; start; reach 'started again' '1 2 1 0 0'
saved
end; $program disarm; said 'put back'
echo $(ls /run/hactl) end`,
    context,
  )
  expect(said).toEqual({
    code: 0,
    lines: [
      'raised: 1 2 1 0 0',
      'raised again: 1 2 1 0 0',
      'started again: 1 2 1 0 0',
      'conf/eth0/arp_announce 1 2',
      'conf/eth0/arp_ignore 0 1',
      'tcp_fwmark_accept 0 1',
      'put back: 0 1 0 0 0',
      'end',
    ],
  })
})

test('higher ones stay, and so does what somebody else has set since', { timeout: 60_000 }, context => {
  const said = saidBy(
    `
set_ 8 1 0; start; reach raised '8 2 1 0 0'
end; set_ 8 1 1; said 'lowered by others'
$program disarm; said 'put back'
set_ 0 0 1; start; reach raised '1 2 1 0 0'
end; set_ 2 2 1; said 'raised by others'
$program disarm; said 'put back'`,
    context,
  )
  expect(said).toEqual({
    code: 0,
    lines: [
      'raised: 8 2 1 0 0',
      'lowered by others: 8 1 1 0 0',
      'put back: 8 1 0 0 0',
      'raised: 1 2 1 0 0',
      'raised by others: 2 2 1 0 0',
      'put back: 2 0 1 0 0',
    ],
  })
})

test('settings that do not need them any more put them back, and leave the others as they are', { timeout: 60_000 }, context => {
  const said = saidBy(
    `
set_; start; reach raised '1 2 1 0 0'
settings 's/interface eth0/interface eth1/'; reach 'another interface' '0 0 1 1 2'
saved
settings 's/^marks yes/marks no/'; reach 'no marks' '0 0 0 1 2'
end; $program disarm; said 'put back'`,
    context,
  )
  expect(said).toEqual({
    code: 0,
    lines: [
      'raised: 1 2 1 0 0',
      'another interface: 0 0 1 1 2',
      'tcp_fwmark_accept 0 1',
      'conf/eth1/arp_announce 0 2',
      'conf/eth1/arp_ignore 0 1',
      'no marks: 0 0 0 1 2',
      'put back: 0 0 0 0 0',
    ],
  })
})
