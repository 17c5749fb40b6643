/** What the rules do with real packets: a client, a holder and the server that had the address before, in network namespaces that end with the test. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, type TestContext } from 'vitest'
import { nodeFactsFor } from '../../../src/domain/node-facts.ts'
import { renderOpenConnectionsRules } from '../../../src/domain/open-connections/rules.ts'
import { verdictInNamespaces } from '../../support/namespaces.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import type { Inventory } from '../../../src/inventory/inventory.ts'
import { addresses, clusterWith, HAPROXY, observed } from '../example.ts'

const folder = tempFolder()

/**
 * Three namespaces on one bridge: c is the client, a and b are srv-1 and srv-2, whose rules lie in the folder $1. Each serves port 80, and begins
 * its answers with its name. They know each other as after announcements and probes, for longer than a test lasts. a has the address.
 */
const PREPARE = `set -e
mount -t tmpfs none /run; mkdir /run/netns
in_() { local name=$1; shift; nsenter --net=/run/netns/$name -- "$@"; }
ip link add bridge type bridge; ip link set bridge up
for n in a:11 b:12 c:99; do
  ip netns add \${n%:*}; ip link add to-\${n%:*} type veth peer name eth0 address 02:00:00:00:00:\${n#*:} netns \${n%:*}
  ip link set to-\${n%:*} master bridge up; in_ \${n%:*} ip link set lo up
  in_ \${n%:*} ip link set eth0 up; in_ \${n%:*} ip address add SEGMENT\${n#*:}/LENGTH dev eth0 NODAD
done
for n in a:11:srv-2:12 b:12:srv-1:11; do
  IFS=: read -r name own peer mac <<N
$n
N
  in_ $name sysctl -qw net.ipv4.tcp_fwmark_accept=1 net.ipv4.ip_nonlocal_bind=1 net.ipv6.ip_nonlocal_bind=1
  for at in $mac 99; do in_ $name ip neighbour replace SEGMENT$at lladdr 02:00:00:00:00:$at dev eth0; done
  in_ $name nft -f "$1/$name.nft"
  in_ $name nft -f - <<RULES
add element WORD hactl own_mac.VRRP1 { 02:00:00:00:00:$own }
add element WORD hactl mac.VRRP1.$peer { 02:00:00:00:00:$mac timeout 1h }
add element WORD hactl window.VRRP1 { WORD timeout 1h }
add element WORD hactl may_know.VRRP1.$peer { WORD timeout 1h }
add element WORD hactl proven.VRRP1.$peer { WORD timeout 1h }
RULES
  in_ $name perl "$1/server.pl" $name LISTENS &
  for i in $(seq 100); do ! in_ $name grep -q ':0050 0*:0000 0A' /proc/net/tcp6 || break; sleep 0.1; done
done
in_ a ip address add VIRTUAL/HOST dev eth0 NODAD
in_ c ip neighbour replace VIRTUAL lladdr 02:00:00:00:00:11 dev eth0
`

const SERVER = `use Socket qw(:DEFAULT AF_INET6 inet_pton pack_sockaddr_in6);
$SIG{CHLD} = 'IGNORE';
my $listener;
socket($listener, AF_INET6, SOCK_STREAM, 6) && setsockopt($listener, SOL_SOCKET, SO_REUSEADDR, 1) or die;
bind($listener, pack_sockaddr_in6(80, inet_pton(AF_INET6, $ARGV[1]))) && listen($listener, 16) or die;
while (accept(my $client, $listener)) {
    next if fork;
    while (sysread $client, my $said, 9) { syswrite $client, "$ARGV[0]$said"; last if $said eq 'q' }
    exit;
}
`

const CLIENT = `use Socket qw(:DEFAULT AF_INET6 inet_pton pack_sockaddr_in6);
$| = 1;
my $af = 'VIRTUAL' =~ /:/ ? AF_INET6 : AF_INET;
my ($own, $virtual) = map { inet_pton($af, $_) } qw(SEGMENT99 VIRTUAL);
sub at { my ($port, $address) = @_; return $af == AF_INET6 ? pack_sockaddr_in6($port, $address) : pack_sockaddr_in($port, $address) }
sub in_ { my ($n, $command) = @_; system('nsenter', "--net=/run/netns/$n", '--', 'sh', '-c', $command) == 0 or die "$n: $command" }
sub dial {
    my ($port) = @_;
    my $socket;
    socket($socket, $af, SOCK_STREAM, 6) && setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1) && bind($socket, at($port, $own)) or die "$port: $!";
    connect($socket, at(80, $virtual)) or die "$port: $!";
    return $socket;
}
sub answer {
    my ($socket) = @_;
    syswrite($socket, 'x') or return "lost: $!";
    vec(my $ready = '', fileno $socket, 1) = 1;
    return 'silent' if select($ready, undef, undef, 5) < 1;
    my $size = sysread($socket, my $said, 9) // return "lost: $!";
    return $size ? $said : 'ended';
}
# The address moves from a to b.
sub move {
    in_('a', 'ip address del VIRTUAL/HOST dev eth0; ip address add VIRTUAL/HOST dev lo');
    in_('b', 'ip address add VIRTUAL/HOST dev eth0 NODAD');
    in_('c', 'ip neighbour replace VIRTUAL lladdr 02:00:00:00:00:12 dev eth0');
}
my ($SYN, $RST) = (2, 4);
# What anybody who can send with the client's address can send.
sub spoof {
    my ($port, $flags, $ttl) = @_;
    my $syn = pack 'nnNNCCnnn', $port, 80, 0x12345678, 0, 0x50, $flags, 64240, 0, 0;
    my $sum = unpack '%32n*', $own . $virtual . pack('nn', 6, length $syn) . $syn;
    $sum = ($sum & 0xffff) + ($sum >> 16) for 1, 2;
    substr $syn, 16, 2, pack 'n', ~$sum & 0xffff;
    my $raw;
    socket($raw, $af, SOCK_RAW, 6) && bind($raw, at(0, $own)) or die "raw: $!";
    setsockopt($raw, $af == AF_INET6 ? 41 : 0, $af == AF_INET6 ? 16 : 2, pack 'i', $ttl // 64) or die "raw: $!";
    send($raw, $syn, 0, at(0, $virtual)) or die "raw: $!";
}
# Gone without a word: the server goes on keeping its connection.
sub vanish {
    in_('c', 'nft "table inet gag { chain out { type filter hook output priority 0; tcp dport 80 drop; }; }"');
    setsockopt($_[0], SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0);
    close $_[0];
    in_('c', 'nft delete table inet gag');
}
# The server's kernel does not get the first two packets after its answer to a SYN, and its rules do: as in one batch of a network card.
sub batch { in_('b', 'nft "table inet batch { chain in { type filter hook input priority 0; tcp dport 80 tcp flags & (syn|ack) == ack limit rate 1/hour burst 2 packets drop; }; }"') }
sub both {
    my ($socket) = @_;
    setsockopt($socket, 6, 1, pack 'i', 1);
    syswrite($socket, $_) for 'x', 'y';
    my $said = '';
    vec(my $ready = '', fileno $socket, 1) = 1;
    while (length($said =~ s/b//gr) < 2) {
        return "silent after $said" if select(my $is = $ready, undef, undef, 5) < 1;
        sysread($socket, $said, 9, length $said) or return "lost after $said: $!";
    }
    return $said =~ s/b//gr;
}
sub superseded { return join ' ', 'superseded:', qx(nsenter --net=/run/netns/a -- nft list set WORD hactl superseded) =~ /SEGMENT99 \\. (\\d+)/g }
`

const FAMILIES = {
  4: { WORD: 'ip', SEGMENT: '192.0.2.', LENGTH: '24', VIRTUAL: '192.0.2.200', HOST: '32', NODAD: '', TTL: 'ip ttl' },
  6: { WORD: 'ip6', SEGMENT: '2001:db8::', LENGTH: '64', VIRTUAL: '2001:db8::200', HOST: '128', NODAD: 'nodad', TTL: 'ip6 hoplimit' },
} as const

/** What the client's statements print. `named`: haproxy.cfg binds the port to the virtual address. */
function saidBy(statements: string, family: 4 | 6, named: boolean, context: TestContext) {
  // A socket of IPv6 takes clients of IPv4 under such an address.
  const listens = named ? `${family === 6 ? '' : '::ffff:'}${FAMILIES[family].VIRTUAL}` : '::'
  const words = [...Object.entries(FAMILIES[family]), ['LISTENS', listens] as const]
  const forFamily = (text: string) => words.reduce((said, [word, value]) => said.replaceAll(word, value), text)
  const { VIRTUAL, LENGTH } = FAMILIES[family]
  const bind = named ? [`${family === 6 ? `[${VIRTUAL}]` : VIRTUAL}:80`] : [':80']
  const cluster = clusterWith({ virtual_ipaddress: [`${VIRTUAL}/${LENGTH}`] }, {
    haproxy: { ...HAPROXY, frontends: [{ name: 'web', bind, default_backend: 'app' }] },
  } as Partial<Inventory>)
  const facts = nodeFactsFor(
    cluster,
    Object.fromEntries(
      cluster.servers.map(({ name }, i) => [
        name,
        observed(addresses(`eth0 ${FAMILIES[family].SEGMENT}1${i + 1}/${FAMILIES[family].LENGTH}`)),
      ]),
    ),
  )
  for (const [name, server] of [
    ['a', 'srv-1'],
    ['b', 'srv-2'],
  ] as const) {
    const own = facts[server]
    if (own === undefined) throw new Error(`no server ${server}`)
    writeFileSync(join(folder(), `${name}.nft`), renderOpenConnectionsRules(cluster, server, own))
  }
  writeFileSync(join(folder(), 'server.pl'), SERVER)
  writeFileSync(join(folder(), 'client.pl'), forFamily(`${CLIENT}${statements}`))
  const script = forFamily(`${PREPARE}in_ c perl "$1/client.pl"`)
  const { code, output } = verdictInNamespaces(context, script, folder())
  return { code, lines: output.trim().split('\n') }
}

test.for([
  [4, false],
  [6, false],
  [4, true],
  [6, true],
] as const)(
  "a stranger's SYN or reset with the ports of a kept connection does it no harm, and a new connection with such ports is told of: IPv%i, a port bound by name: %s",
  {
    timeout: 60_000,
  },
  ([family, named], context) => {
    const statements = `
my ($kept, $gone) = (dial(40000), dial(40001));
print join(' ', map { answer($_) } $kept, $gone), "\\n";
vanish($gone); move();
print answer($kept), "\\n";
for (1 .. 3) { spoof(40000, $SYN); print answer($kept), "\\n" }
for (1 .. 5) { spoof(40000, $RST, $_); print answer($kept), "\\n" }
print superseded(), "\\n";
my $again = dial(40001);
print superseded(), "\\n";
print join(' ', map { answer($_) } $again, $again, $kept), "\\n";
print superseded(), "\\n";
`
    expect(saidBy(statements, family, named, context)).toEqual({
      code: 0,
      lines: ['ax ax', ...Array<string>(9).fill('ax'), 'superseded:', 'superseded:', 'bx bx ax', 'superseded: 40001'],
    })
  },
)

test.for([4, 6] as const)('who may have an older connection is told of a new one once: IPv%i', { timeout: 60_000 }, (family, context) => {
  const statements = `
in_('a', 'nft "table inet count { chain told { type filter hook prerouting priority -400; TTL 1 tcp flags rst counter; }; }"');
move(); my $new = dial(40000); my %said;
$said{answer($new)}++ for 1 .. 50;
print map("$_ $said{$_}\\n", sort keys %said), qx(nsenter --net=/run/netns/a -- nft list table inet count) =~ /packets (\\d+)/;
`
  expect(saidBy(statements, family, false, context)).toEqual({ code: 0, lines: ['bx 50', '1'] })
})

test.for([4, 6] as const)(
  "a client's FIN that comes after the server's reaches the server that has the connection: IPv%i",
  { timeout: 60_000 },
  (family, context) => {
    const statements = `
move(); my $new = dial(40000); syswrite $new, 'q';
for (1, 2) { sysread($new, my $said, 9); print $said, "\\n" }
sleep 1; close $new; sleep 1;
print map("$_\\n", qx(nsenter --net=/run/netns/b -- ss -Htan state connected) =~ /^([A-Z]\\S+)/mg);
`
    expect(saidBy(statements, family, false, context)).toEqual({ code: 0, lines: ['bq', '', 'TIME-WAIT'] })
  },
)

test.for([4, 6] as const)(
  'a new connection goes on whose second data passes the rules before its first has a socket: IPv%i',
  { timeout: 60_000 },
  (family, context) => {
    expect(saidBy('move(); batch(); print both(dial(40000)), "\\n";', family, false, context)).toEqual({ code: 0, lines: ['xy'] })
  },
)
