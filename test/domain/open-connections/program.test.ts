/** Functions of the program that keeps open connections, as perl runs them. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { skipLacking } from '../../support/lacking.ts'
import { realProgram, verdictOf } from '../../support/real-programs.ts'

const PROGRAM = join(import.meta.dirname, '../../../src/on-server/open-connections.pl')

/** What perl prints for an expression that calls a function of the program. */
function perl(expression: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('perl', ['-e', `do shift or die $@; print ${expression}`, PROGRAM, ...args], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return stdout
}

test.for([
  ['from 6.12 on', 'expires 9s996ms'],
  ['before 6.12', 'timeout 10s expires 9s996ms'],
] as const)('superseded connections are read from what nft prints with kernels %s', ([, ending]) => {
  const said = `table ip hactl {
  set superseded {
    type ipv4_addr . inet_service . ipv4_addr . inet_service
    size 1024
    flags dynamic,timeout
    timeout 10s
    elements = { 198.51.100.9 . 40000 . 192.0.2.200 . 80 ${ending},
                 198.51.100.9 . 40001 . 192.0.2.200 . 443 ${ending} }
  }
}
`
  expect(perl('join "\\n", superseded_in(shift)', said).split('\n')).toEqual([
    '198.51.100.9 . 40000 . 192.0.2.200 . 80',
    '198.51.100.9 . 40001 . 192.0.2.200 . 443',
  ])
})

test('what nft says to a question is told apart from late answers to earlier ones', () => {
  const end = (number: number) => `Error: No such file or directory\nlist chain ip hactl end_of_answer_${number}\n              ^^^^^\n`
  const late = `Error: an earlier command\n${end(7)}`
  expect(perl('answer_in(@ARGV)', `${late}Error: this one\nhere\n${end(8)}`, 'end_of_answer_8')).toBe('Error: this one\nhere\n')
  expect(perl('answer_in(@ARGV)', `${late}${end(8)}`, 'end_of_answer_8')).toBe('')
  expect(perl('answer_in(@ARGV)', late, 'end_of_answer_8')).toBe('nft does not answer\n')
})

test.for([
  ['a list of connections that fails', 'goes on', 4, 1],
  ['an empty list of connections', 'ends', 0, 0],
] as const)('after %s a window %s', ([, , error, isOpen]) => {
  const look = `scalar (sub {
    no warnings 'redefine'; *netlink = sub { return ${error} };
    my $i = { interface => 'none', packed => { packed('192.0.2.200') => 1 }, open => 1, seen => 1, look => 0 };
    look($i, {}, 0); return $i->{open};
  })->()`
  expect(perl(look)).toBe(String(isOpen))
})

test('a service that has stopped leaves prepared only what an open connection needs', () => {
  const left = `join ' ', scalar (sub {
    no warnings 'redefine'; my @gone;
    *addresses = sub { {} }; *held = sub { $_[0]{held} }; *any_open = sub { $_[0]{open} }; *disarm = sub { push @gone, $_[0]{title} };
    stopped({ title => 'held', held => 1, open => 1 }, { title => 'kept', open => 1 }, { title => 'unsure' }, { title => 'none', open => 0 });
    return "@gone";
  })->()`
  expect(perl(left)).toBe('held none')
})

// In a network namespace of its own.
test('addresses that an earlier configuration has armed are disarmed, those of the present one and rules of others stay', context => {
  const ip = realProgram('ip', context)
  if (verdictOf('unshare', '-rn', ip, 'rule').code !== 0) skipLacking(context, 'this user cannot make a network namespace')
  const script = `set -e
ip link set lo up; ip link add eth0 type veth peer name eth1; ip link set eth0 up; ip link set eth1 up
perl -e 'do shift or die $@;
  # /sys still shows the devices of the machine.
  *index_of = sub { return (qx(ip -o link show $_[0]) =~ /^(\\d+)/)[0] };
  my $i = sub { my ($n, $link, @a) = @_; return { name => "web", title => "web", family => $n, af => $n == 6 ? AF_INET6() : AF_INET(), interface => $link, packed => { map { packed($_) => 1 } @a } } };
  arm($_) for $i->(4, "eth0", "192.0.2.200", "192.0.2.201"), $i->(4, "eth1", "192.0.2.200"), $i->(6, "eth0", "2001:db8::200"), $i->(6, "eth0", "fe80::200");
  my $lo = { map { index_of("lo") . " " . packed($_) => 1 } "192.0.2.200", "192.0.2.203" };
  print "armed: ", join(" ", map { is_armed(@$_) ? "yes" : "no" } [$i->(4, "eth0", "192.0.2.200"), $lo], [$i->(6, "eth0", "2001:db8::200"), {}],
    [$i->(4, "eth0", "192.0.2.200"), {}], [$i->(4, "eth0", "192.0.2.203"), $lo], [$i->(4, "eth1", "192.0.2.201"), $lo]), "\\n";
  $| = 1;
  system "ip rule add to 192.0.2.202 priority 8945 table 77; ip -6 -o rule | grep ^8945:; ip -6 route show table 8945";
  disarm_all_but($i->(4, "eth0", "192.0.2.200"));
' "$1"
ip -o rule | grep '^8945:'; ip route show table 8945; ip -o -4 address show dev lo scope host
ip -6 -o rule | grep '^8945:' || true; ip -6 route show table 8945 || true
perl -e 'do shift or die $@; disarm_all_but()' "$1"
echo then; ip -o rule | grep '^8945:'; ip route show table 8945 || true; ip -o -4 address show dev lo scope host`
  const { code, output } = verdictOf('unshare', '-rn', 'sh', '-c', script, 'sh', PROGRAM)
  const words = output.split('\n').map(line =>
    line
      .replaceAll(/\s+/g, ' ')
      .replace(/\\.*/, '')
      .replace(/^.*inet /, 'inet ')
      .trim(),
  )
  expect({ code, words: words.filter(line => line !== '') }).toEqual({
    code: 0,
    words: [
      'armed: yes yes no no no',
      '8945: from all to 2001:db8::200 iif eth0 lookup 8945',
      '8945: from all to fe80::200 iif eth0 lookup 8945',
      'local 2001:db8::200 dev lo metric 1024 pref medium',
      'local fe80::200 dev eth0 metric 1024 pref medium',
      '8945: from all to 192.0.2.200 iif eth0 lookup 8945',
      '8945: from all to 192.0.2.202 lookup 77',
      'local 192.0.2.200 dev lo scope host',
      'inet 127.0.0.1/8 scope host lo',
      'inet 192.0.2.200/32 scope host lo',
      'then',
      '8945: from all to 192.0.2.202 lookup 77',
      'inet 127.0.0.1/8 scope host lo',
    ],
  })
})
