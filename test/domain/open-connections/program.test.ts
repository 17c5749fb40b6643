/** Functions of the program that keeps open connections, as perl runs them. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, type TestContext } from 'vitest'
import { skipLacking } from '../../support/lacking.ts'
import { realProgram, verdictOf } from '../../support/real-programs.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const folder = tempFolder()
const PROGRAM = join(import.meta.dirname, '../../../src/on-server/open-connections.pl')

/** What perl prints for an expression that calls a function of the program. */
function perl(expression: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('perl', ['-e', `do shift or die $@; print ${expression}`, PROGRAM, ...args], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return stdout
}

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

test.for([
  ["haproxy's", 'ports 80 8000-8010', [80, 8005], 1],
  ['none of them', 'ports 80 8000-8010', [22, 8011], 0],
  ['any, where they are not known', '', [22], 1],
] as const)('a connection to a port keeps a window open: %s', ([, ports, open, isOpen]) => {
  const settings = `marks no\n${ports}\ninstance web web\n  family 4\n  virtual 192.0.2.200\n`
  const look = `scalar (sub {
    no warnings 'redefine';
    read_settings(\\$ARGV[0]);
    *each_connection = sub { for my $port (${open.join(', ')}) { $_[1]->(AF_INET(), '', $port, packed('198.51.100.9')) and last } return 0 };
    return any_open({ packed => { packed('192.0.2.200') => 1 } }, {});
  })->()`
  expect(perl(look, settings)).toBe(String(isOpen))
})

test.for([
  ['of a client', '198.51.100.9', 1],
  ['of a program on another server', '192.0.2.12', 0],
] as const)('a connection %s keeps a window open, or does not: %s', ([, peer, isOpen]) => {
  const settings = 'instance web web\n  family 4\n  peer srv-2 192.0.2.12 srv-2\n  virtual 192.0.2.200\n'
  const look = `scalar (sub {
    no warnings 'redefine'; my @said;
    read_settings(\\$ARGV[0]); *addresses = *elements_of = sub { +{} }; *is_loaded = *is_armed = sub { 1 }; *line = sub { '' }; *destroy = sub { push @said, 'ended' };
    *each_connection = sub { $_[1]->(AF_INET(), '', 80, packed($ARGV[1])); return 0 };
    *look = sub { push @said, any_open(@_) }; *hung = *announce = *end_superseded = sub { 0 };
    turn(); status(); return "@said";
  })->()`
  const [open] = isOpen === 1 ? ['instance web kept\nopen web 80 1'] : ['instance web none']
  expect(perl(look, settings, peer)).toBe(`rules ordinary\n${open}\nproven web srv-2 yes\n${isOpen}`)
})

test.for([
  ['is hung where systemd has it running', 'active\nactive', 1],
  ['is not where it is being stopped', 'active\ndeactivating', 0],
  ['is not known to be where systemd does not answer', '', 0],
  ['nor where it has not said all', 'active', 0],
] as const)('a haproxy whose check fails for long %s', ([, units, isHung]) => {
  const look = `scalar (sub {
    no warnings 'redefine'; my $now = 100;
    *check_failed = sub { 1 }; *now = sub { $now }; *units_of_haproxy = sub { $ARGV[0] };
    hung(); $now = 104; return hung();
  })->()`
  expect(perl(look, units)).toBe(String(isHung))
})

/** What perl prints for statements in which functions of the program are replaced. */
const perlOf = (statements: string, ...args: readonly string[]) =>
  perl(`scalar (sub { no warnings 'redefine'; my $now = 100; *now = sub { $now }; ${statements} })->()`, ...args)

test('an nft that is late keeps nobody from hearing announcements, and is not waited for twice while keepalived does not start', () => {
  const waits = `my $told = 0; *announce_open = sub { $told++; $now++ };
    pipe(my $from, my $to) or die; my $said = answer_from($from, 'end_of_answer_1', 102); return "$told $said"`
  expect(perlOf(waits)).toBe('2 nft does not answer\n')
  const first = (seconds: number) =>
    perlOf(`my $loads = 0; *pause = sub {}; *say_state = sub {}; *load = sub { $loads++; $now += ${seconds} }; load_first(); return $loads`)
  expect([first(10), first(0)]).toEqual(['1', '20'])
})

test('while nft is waited for, peers hear each second what they hear anyway: without probes this server sends nothing on', () => {
  const waits = `my @kinds; *announce = sub { push @kinds, $_[1] }; *says = sub { $now += 0.25; return 0 };
    my $text = "instance n N\\n family 4\\n"; read_settings(\\$text); answer_from(undef, 'end_of_answer_1', 103); return "@kinds"`
  expect(perlOf(waits)).toBe('0 2 0 2 0 2')
})

test.each([
  ['exec sleep 20', 'nft does not answer\n'],
  ['echo Error: no; exit 1', 'Error: no\n'],
  ['exit 1', 'nft has failed\n'],
  ['echo Warning: old', ''],
])('an nft that ends by itself is waited for as long, and as well: %s', (does, said) => {
  const bin = mkdtempSync(join(folder(), 'bin-'))
  writeFileSync(join(bin, 'nft'), `#!/bin/sh\n${does}\n`, { mode: 0o755 })
  const statements = `$ENV{PATH} = "$ARGV[0]:$ENV{PATH}"; *announce_open = sub { $now += 6 }; *put = sub { 1 };`
  expect(perlOf(`${statements} return tell_rules('list ruleset')`, bin)).toBe(said)
  expect(perlOf(`${statements} return nft_takes('owner') ? 'takes' : 'refuses'`, bin)).toBe(said === '' ? 'takes' : 'refuses')
})

test.each([
  [1, 1],
  [0, 0],
])('after rules that nft refuses the earlier ones go on working: %i', (isLoaded, isWorking) => {
  expect(perlOf(`*is_loaded = sub { ${isLoaded} }; return works() ? 1 : 0`)).toBe(String(isWorking))
})

test.each([
  [1, 'loaded owner', 'owner'],
  [1, 'refused Error: no', 'refused Error: no'],
  [0, 'refused Error: no', 'missing Error: no'],
  [0, 'loaded owner', 'missing'],
])('status tells refused rules from loaded ones: %i, %s', (isLoaded, state, said) => {
  expect(perlOf(`*is_loaded = sub { ${isLoaded} }; return rules_are($ARGV[0])`, state)).toBe(said)
})

/** Statements that make instances of the settings, and replace what the kernel would be asked for. */
const INSTANCES = `*is_loaded = sub { 1 }; *elements_of = sub { () }; *addresses = sub { {} }; *held = sub { 1 }; *line = sub { "" };
  my $text = join '', map { "instance n$_ N$_\n family 4\n virtual 192.0.2.20$_\n" } 1 .. 5; read_settings(\\$text);`

test('instances that are not prepared are waited for together', () => {
  const said = perlOf(`${INSTANCES} my $pauses = 0; *pause = sub { $pauses++ }; *is_armed = sub { $_[0]{title} eq 'N2' && $pauses == 1 };
    status(); return "pauses $pauses"`)
  const lines = [1, 2, 3, 4, 5].flatMap(n => [`instance N${n} held`, ...(n === 2 ? [] : [`unarmed N${n}`])])
  expect(said.split('\n')).toEqual(['rules ordinary', ...lines, 'pauses 4'])
})

test("status does not count what the service does not keep: connections of this server's own programs", () => {
  const said = perlOf(`${INSTANCES} *held = sub { 0 }; *is_armed = sub { 1 };
    *addresses = sub { +{ '2 ' . packed('192.0.2.11') => 1 } };
    *each_of = sub { $_[1]->(AF_INET(), '', 80, packed("192.0.2.$_")) for 11, 99 };
    status(); return ''`)
  expect(said.split('\n').filter(line => line.includes('N1'))).toEqual(['instance N1 kept', 'open N1 80 1'])
})

test('a reload that the service has not answered is no success, whatever was loaded before', () => {
  const state = (was: string) =>
    perlOf(
      `*pause = sub { $now++ }; my $path = $ARGV[0]; put($path, "loaded owner\\nstarted 7.5\\n");
      my $is = state_after(${was}, 15, $path); unlink $path; return $is`,
      join(tmpdir(), `hactl-test-state-${process.pid}`),
    )
  expect([state("'7.5'"), state("'3.1'")]).toEqual(['the service does not answer', 'loaded owner'])
})

test('the first rules decide a reload once no further attempt is made', () => {
  expect(
    perlOf(`*pause = sub {}; my $loads = 0; my $said = '';
    *load = sub { $loads++ }; *say_state = sub { $said .= "after $loads" }; load_first(); return $said`),
  ).toBe('after 20')
})

test('the reason why nft refuses rules is its error, and its whole answer is printed once', () => {
  const said = 'In file included from internal:0:0-0:\n/run/a.nft:3:4-9: Error: No such file\n  dup to x\n     ^^^\n'
  const reasons = perl(`join '|', map { reason_in($_) } @ARGV`, said, 'Error: first\nError: second\n', 'nft has ended: \n', '')
  expect(reasons.split('|')).toEqual(['/run/a.nft:3:4-9: Error: No such file', 'Error: first', 'nft has ended: ', ''])
  const printed = perlOf(
    `*announce_open = *delete_other_tables = *notify = sub {}; *put = sub { 1 }; *is_loaded = sub { 1 }; *tell_rules = sub { $ARGV[0] };
    open(STDERR, '>&STDOUT'); $| = 1; load() for 1 .. 3; return ''`,
    said,
  )
  expect(printed).toBe(said)
})

test('a file that could not be written whole stays what it was', () => {
  const full = mkdtempSync(join(folder(), 'full-'))
  const path = join(full, 'rules')
  writeFileSync(path, 'before')
  symlinkSync('/dev/full', `${path}.new`)
  expect(perl(`put(@ARGV) ? 'put' : $! + 0`, path, 'after')).toBe('28')
  expect([readFileSync(path, 'utf8'), readdirSync(full)]).toEqual(['before', ['rules']])
})

test.each([
  [
    'that could not be written',
    '*put = sub { $! = 28; return $_[0] !~ /nft$/ && ($state = $_[1]) }; *is_loaded = sub { 1 };',
    /^refused \S+\.nft: \w/,
  ],
  ['that are empty', '*put = sub { $state = $_[1]; 1 }; *is_loaded = sub { 0 };', /^refused nft has loaded no rules$/],
])('rules %s do not count as loaded', (_, stubs, said) => {
  const statements = `my ($state, $told) = ('', 0); *announce_open = *delete_other_tables = *notify = sub {}; open(STDERR, '>', '/dev/null');
    *tell_rules = sub { $told++; return '' }; ${stubs} load(); say_state(); return $state`
  expect(perlOf(statements).split('\n')[0]).toMatch(said)
})

test('that rules were loaded since the boot is known after a start, also where the last ones were refused', () => {
  const statements = `my ($text, $is, @said) = ('', 'Error: no'); *announce_open = *delete_other_tables = *notify = sub {}; open(STDERR, '>', '/dev/null');
    *put = sub { $text = $_[1] }; *slurp = sub { $text }; *is_loaded = sub { 1 }; *tell_rules = sub { $is };
    for my $next ('Error: no', '', 'Error: no') { $is = $next; load(); say_state(); push @said, had_rules_before() } return "@said"`
  expect(perlOf(statements)).toBe('0 1 1')
})

test('what a full /run has of an earlier state is no answer to a reload', context => {
  const { code, output } = inNamespace(
    context,
    `unshare -m sh -ec '
  mount -t tmpfs none /run; mkdir /run/hactl; mount -t tmpfs -o size=4k none /run/hactl
  echo loaded owner >/run/hactl/open-connections.state
  perl -e "do shift or die; say_state()" "$1"; ls /run/hactl' sh "$1"`,
  )
  expect({ code, output }).toEqual({ code: 0, output: '' })
})

test.each([
  ['takes both', '', '', 'owner,persist'],
  ['takes the first only', 'Error: no', '', 'owner'],
  ['takes none', 'Error: no', 'Error: no', ''],
  ['is late', 'nft does not answer\n', '', 'owner,persist'],
  ['refuses one and is late then', 'Error: no', 'nft does not answer\n', 'owner,persist'],
])('the tables get the flags that nft takes, or where it does not answer those of the last time: it %s', (_, persist, owner, flags) => {
  const asked = `*run_nft = sub { $_[1] =~ /persist/ ? $ARGV[0] : $ARGV[1] }; *slurp = sub { $ARGV[2] }; return flags_for_tables()`
  for (const state of ['loaded owner,persist\nstarted 1\n', 'refused Error: no\nstarted 1\nflags owner,persist\n'])
    expect(perlOf(asked, persist, owner, state)).toBe(flags)
})

test.each([
  [1, '0 1'],
  [0, '1 1'],
])('what an earlier run was told of superseded connections is left alone by a holder: %i', (isHeld, looked) => {
  const statements = `my ($count, @keys, @said) = (0, 1); *tables = sub { 'ip' }; *connection_between = sub { $count++; return () };
    *announce = *arm = *hung = *any_open = sub { 0 }; *addresses = sub { {} }; *held = sub { $ARGV[0] };
    *elements_of = sub { map { [pack('a4 n x2 a4 n', packed('198.51.100.9'), $_, packed('192.0.2.200'), 80), 9] } @keys };
    my $text = "instance n N\\n family 4\\n virtual 192.0.2.200\\n"; read_settings(\\$text); turn();
    for my $new (2, 3) { end_superseded(); push @said, $count; $count = 0; @keys = ($new) } return "@said"`
  expect(perlOf(statements, String(isHeld))).toBe(looked)
})

test('what is open is announced before nft is asked at a start', () => {
  const order = perl(`scalar (sub {
    no warnings 'redefine'; my @order;
    *addresses = *disarm_all_but = *put_sysctls_back = sub {}; *look = sub { push @order, 'look' }; my $text = "instance n N\\n family 4\\n"; read_settings(\\$text);
    *announce_open = sub { push @order, 'announce' }; *adopt_nft = sub { die "asked\\n" };
    eval { run() }; return join ' ', @order, $@;
  })->()`)
  expect(order).toBe('look announce asked\n')
})

test('a MAC address of its own that has changed is told once, also while new rules are refused', () => {
  const told = perlOf(
    `*announce_open = *delete_other_tables = *notify = sub {}; *put = sub { 1 }; *is_loaded = sub { 1 }; open(STDERR, '>', '/dev/null');
    my $mac = '02:00:00:00:00:01'; *line = sub { $mac }; my $text = "instance n N\\n family 4\\n"; read_settings(\\$text);
    my ($is, @told) = (''); *tell_rules = sub { push @told, $_[0]; return $is };
    load(); load_macs(); @told = (); $is = 'Error: no'; load(); @told = ();
    $mac = '02:00:00:00:00:02'; load_macs(); load_macs(); return join '|', @told`,
  )
  expect(told).toBe('flush set ip hactl own_mac.n; add element ip hactl own_mac.n { 02:00:00:00:00:02 }')
})

test('who has lost its rules takes everybody for one that may know connections, and a holder that has never had any does not', () => {
  const loads = `my ($text, $is, @said) = ('', 0); *announce_open = *delete_other_tables = *notify = *announce = *arm = *any_open = sub {};
    *is_loaded = sub { $is++ % 2 }; *put = sub { $text = $_[1] }; *tell_rules = sub { '' };
    *addresses = sub { {} }; *hung = sub { 0 }; *held = sub { $_[0]{family} == 4 };
    my $settings = join '', map { "instance n N\\n family $_\\n interface none\\n peer p 192.0.2.12 p\\n" } 4, 6; read_settings(\\$settings); turn();
    for (1, 2) { load(); push @said, join ' ', $text =~ /^add element (ip6? hactl [a-z_]+)/mg } return join '|', @said`
  const all = (family: string) => ['window', 'may_know', 'proven'].map(set => `${family} hactl ${set}`).join(' ')
  expect(perlOf(loads)).toBe(`${all('ip6')}|${all('ip')} ${all('ip6')}`)
})

test('a stop waits neither for nft nor for rules that are refused', () => {
  const stopped = `my $did = ''; *units_of_haproxy = *disarm_all_but = *put_sysctls_back = *addresses = *look = *notify = *say_state = *sysctls = sub {};
    *adopt_nft = sub { 1 }; *announce_open = sub { $now++ }; *pause = sub { $did .= 'paused ' }; *turn = sub { $did .= 'turned '; 0 };
    pipe(my $from, my $to) or die;`
  const loads = `*load = sub { kill TERM => $$; $did .= answer_from($from, 'end_of_answer_1', 102) }; run(); return $did`
  expect(perlOf(`${stopped} ${loads}`)).toBe('nft does not answer\n')
  expect(perlOf(`${stopped} *load = sub { kill TERM => $$; $did .= 'loaded ' }; run(); return $did`)).toBe('loaded ')
})

test('an nft that hangs is waited for no longer than it may take, and another is started in its place', () => {
  const bin = mkdtempSync(join(folder(), 'bin-'))
  writeFileSync(join(bin, 'nft'), '#!/bin/sh\nexec sleep 20\n', { mode: 0o755 })
  const said = perlOf(
    `my $started = 0; *put = sub { $started++ if $_[0] =~ /pid$/; return 1 }; *delete_other_tables = *notify = *line = sub { '' }; *is_loaded = *has_chain = sub { 0 }; *all_nft = sub { () }; *announce_open = sub { $now += 6 };
    open(STDERR, '>', '/dev/null'); $ENV{PATH} = "$ARGV[0]:$ENV{PATH}";
    require POSIX; pipe(my $in, my $to) && pipe(my $from, my $out) or die; my $id = fork; exec 'sleep', 20 if !$id;
    my @said = adopt_nft("owner $id " . join ' ', map { POSIX::dup(fileno $_) } $to, $from);
    push @said, kill(0, $id) ? 'runs' : 'ended';
    start_nft(); push @said, map { tell_nft($_) =~ s/\\n//r } 'x' x 200_000, 'y';
    for (1, 2) { load(); push @said, nft_runs() ? 'runs' : 'ended' }
    return join '|', @said, $started`,
    bin,
  )
  expect(said.split('|')).toEqual(['0', 'ended', 'nft does not answer', 'nft does not answer', 'ended', 'ended', '2'])
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

/** What a shell script prints in a network namespace of its own; `$1` is the program. Skips the test where this user cannot make one. */
function inNamespace(context: TestContext, script: string): ReturnType<typeof verdictOf> {
  const ip = realProgram('ip', context)
  if (verdictOf('unshare', '-rn', ip, 'rule').code !== 0) skipLacking(context, 'this user cannot make a network namespace')
  return verdictOf('unshare', '-rn', 'sh', '-c', `set -e\n${script}`, 'sh', PROGRAM)
}

test("the packet filter is asked by netlink: its chains, the proven peers, and what a client has superseded, once by each connection's ends", context => {
  realProgram('nft', context)
  const { code, output } = inNamespace(
    context,
    `nft -f - <<'RULES'
table ip hactl {
  set superseded { type ipv4_addr . inet_service . ipv4_addr . inet_service; size 1024; flags dynamic,timeout; timeout 1h; }
  set proven.web.srv-2 { type ether_type; size 4; flags dynamic,timeout; timeout 1h; }
  set proven.web.srv-3 { type ether_type; size 4; flags dynamic,timeout; timeout 1h; }
  chain arrive { type filter hook prerouting priority -350; policy accept; }
}
table ip6 hactl {
  set superseded { type ipv6_addr . inet_service . ipv6_addr . inet_service; size 1024; flags dynamic,timeout; timeout 1h; }
}
add element ip hactl proven.web.srv-2 { ip }
add element ip hactl superseded { 198.51.100.9 . 40000 . 192.0.2.200 . 80 }
add element ip6 hactl superseded { 2001:db8::9 . 40001 . 2001:db8::200 . 443 }
RULES
perl -e 'do shift or die $@; no warnings "redefine";
  print join(" ", map { has_chain($_, "arrive") ? "yes" : "no" } qw(ip ip6)), "\n";
  print join(" ", map { owner_flags($_) // "none" } qw(ip ip6)), "\n";
  print join(" ", map { scalar(my @keys = elements_of("ip", "proven.web.$_")) } qw(srv-2 srv-3 srv-4)), "\n";
  *tables = sub { qw(ip ip6) };
  *connection_between = sub { print "over ", join(" ", map { unpacked($_->[0]), $_->[1] } @_[0, 1]), "\n"; return () };
  *tell_rules = sub { die "nft was asked\n" };
  $| = 1;
  for (1, 2) { end_superseded(); print "$_\n" }
  my $again = "ip hactl superseded { 198.51.100.9 . 40000 . 192.0.2.200 . 80";
  system("nft", "delete element $again }; add element $again timeout 2h }") == 0 or die;
  end_superseded();
  system("nft", "delete table ip6 hactl") == 0 or die;
  print owner_flags("ip6") // "none", "\n";
' "$1"
# Many of them.
perl -e 'print "add element ip hactl superseded { ", join(", ", map { "198.51.100.9 . $_ . 192.0.2.200 . 80" } 1 .. 400), " }\n"' | nft -f -
perl -e 'do shift or die $@; no warnings "redefine";
  my ($now, $told) = (0, 0); *now = sub { $now }; *announce_open = sub { $told++ };
  *tables = sub { "ip" }; *connection_between = sub { $now += 0.1; return () };
  end_superseded(); print "announced $told times\n";
' "$1"
`,
  )
  expect({ code, words: output.trim().split('\n') }).toEqual({
    code: 0,
    words: [
      'yes no',
      '0 0',
      '1 0 0',
      'over 192.0.2.200 80 198.51.100.9 40000',
      'over 2001:db8::200 443 2001:db8::9 40001',
      '1',
      '2',
      'over 192.0.2.200 80 198.51.100.9 40000',
      'none',
      'announced 133 times',
    ],
  })
})

test('a connection that no program has open any more keeps no window open, and one that is half closed does', context => {
  const { code, output } = inNamespace(
    context,
    `ip link set lo up
for a in 192.0.2.200/32 192.0.2.99/32; do ip address add $a dev lo; done
perl -e 'do shift or die $@;
  use Socket;
  my $text = "instance n N\\n family 4\\n interface lo\\n virtual 192.0.2.200\\n"; read_settings(\\$text);
  my $listener; socket($listener, AF_INET, SOCK_STREAM, 6) && bind($listener, pack_sockaddr_in(80, inet_aton("192.0.2.200"))) && listen($listener, 9) or die $!;
  my $client; socket($client, AF_INET, SOCK_STREAM, 6) && bind($client, pack_sockaddr_in(40000, inet_aton("192.0.2.99"))) && connect($client, pack_sockaddr_in(80, inet_aton("192.0.2.200"))) or die $!;
  accept(my $server, $listener) or die $!;
  shutdown($server, 1); pause(0.1); print count(), "\\n";
  close $server; pause(0.1); print count(), "\\n";
  sub count { my @states; each_connection(inet_aton("192.0.2.200"), sub { push @states, 1 if $_[2] == 80; 0 }); return scalar @states }
' "$1"`,
  )
  expect({ code, output }).toEqual({ code: 0, output: '1\n0\n' })
})

test('of both families, what a client has superseded ends, also where one socket listens for both, and nothing else does', context => {
  realProgram('nft', context)
  const { code, output } = inNamespace(
    context,
    `ip link set lo up
for a in 192.0.2.200/32 192.0.2.99/32 2001:db8::200/128 2001:db8::99/128; do ip address add $a dev lo; done
nft -f - <<'RULES'
table ip hactl { set superseded { type ipv4_addr . inet_service . ipv4_addr . inet_service; size 1024; flags dynamic,timeout; timeout 1h; }; }
table ip6 hactl { set superseded { type ipv6_addr . inet_service . ipv6_addr . inet_service; size 1024; flags dynamic,timeout; timeout 1h; }; }
RULES
perl -e 'do shift or die $@;
  use Socket qw(:DEFAULT inet_pton AF_INET6 pack_sockaddr_in6 MSG_DONTWAIT);
  my $text = "instance n N\n family 4\n interface lo\n virtual 192.0.2.200\ninstance m M\n family 6\n interface lo\n virtual 2001:db8::200\n"; read_settings(\\$text);
  my $end = sub { my ($address, $port) = @_; return $address =~ /:/ ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $address)) : pack_sockaddr_in($port, inet_aton($address)) };
  my $made = sub { my ($at) = @_; my $s; socket($s, length $at > 16 ? AF_INET6 : AF_INET, SOCK_STREAM, 6) && setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1) && bind($s, $at) or die $!; return $s };
  my $listener = $made->($end->("::", 80)); listen($listener, 9) or die $!;
  my @clients;
  my $opened = sub {
    my ($client, $port, $to) = @_;
    my $s = $made->($end->($client, $port)); connect($s, $end->($to, 80)) or die "$port: $!";
    push @clients, $s; accept(my $accepted, $listener) or die $!; return $accepted;
  };
  my $is = sub { my ($s) = @_; return defined recv($s, my $got, 9, MSG_DONTWAIT) ? "closed" : $! == 11 ? "open" : "$!" };
  my @of = (["192.0.2.99", 40000, "192.0.2.200"], ["2001:db8::99", 40000, "2001:db8::200"]);
  my @over = map { $opened->(@$_) } @of;
  my @other = map { $opened->($_->[0], 40001, $_->[2]) } @of;
  system("nft", "add element ip hactl superseded { 192.0.2.99 . 40000 . 192.0.2.200 . 80, 192.0.2.99 . 40002 . 192.0.2.200 . 80 }; add element ip6 hactl superseded { 2001:db8::99 . 40000 . 2001:db8::200 . 80 }") == 0 or die;
  end_superseded();
  print join("|", map { $is->($_) } @over, @other), "\n";
  my @new = map { $opened->(@$_) } @of;
  end_superseded();
  print join("|", map { $is->($_) } @new), "\n";
' "$1"`,
  )
  const aborted = 'Software caused connection abort'
  expect({ code, lines: output.trim().split('\n') }).toEqual({
    code: 0,
    lines: [`${aborted}|${aborted}|open|open`, 'open|open'],
  })
})

test('an interface that comes and goes all the time gets no turn without a pause', context => {
  const { code, output } = inNamespace(
    context,
    `perl -e 'do shift or die $@; no warnings "redefine";
  *disarm_all_but = *put_sysctls_back = *addresses = *look = *announce_open = *load_first = *load_macs = *notify = *sysctls = sub {};
  *adopt_nft = *works = sub { 1 }; *now = sub { 100 };
  my $turns = 0; $| = 1;
  *pause = sub { print "pause " };
  *turn = sub { print "turn "; kill TERM => $$ if ++$turns == 3; system("ip", "link", "set", "lo", $turns % 2 ? "up" : "down"); return 0 };
  run();
' "$1"`,
  )
  expect({ code, output }).toEqual({ code: 0, output: 'turn pause turn pause turn ' })
})

test('announcements reach each peer, also beside one to which a filter lets none out', context => {
  realProgram('nft', context)
  const { code, output } = inNamespace(
    context,
    `ip link set lo up; ip link add eth0 type veth peer name eth1; ip link set eth0 up; ip link set eth1 up
ip address add 192.0.2.11/24 dev eth0
for n in 12 13; do ip neighbour add 192.0.2.$n lladdr 02:00:00:00:00:02 dev eth0; done
nft -f - <<'RULES'
table ip guard { chain out { type filter hook output priority 0; ip daddr 192.0.2.12 drop; ip daddr 192.0.2.13 udp dport 8945 counter; }; }
RULES
perl -e 'do shift or die $@;
  announce({ vrid => 66, index => 0, family => 4, af => AF_INET(), interface => "eth0", address => "192.0.2.11", peers => [["x", "192.0.2.12"], ["y", "192.0.2.13"]] }, 1);
' "$1"
nft list ruleset | grep -o 'counter packets [0-9]*'`,
  )
  expect({ code, counter: output.trim() }).toEqual({ code: 0, counter: 'counter packets 1' })
})

test('addresses that an earlier configuration has armed are disarmed, those of the present one and rules of others stay', context => {
  const script = `ip link set lo up; ip link add eth0 type veth peer name eth1; ip link set eth0 up; ip link set eth1 up
perl -e 'do shift or die $@;
  # /sys still shows the devices of the machine.
  *index_of = sub { return (qx(ip -o link show $_[0]) =~ /^(\\d+)/)[0] };
  my $i = sub { my ($n, $link, @a) = @_; return { name => "web", title => "web", family => $n, af => $n == 6 ? AF_INET6() : AF_INET(), interface => $link, packed => { map { packed($_) => 1 } @a } } };
  arm($_) for $i->(4, "eth0", "192.0.2.200", "192.0.2.201"), $i->(4, "eth1", "192.0.2.200"), $i->(6, "eth0", "2001:db8::200"), $i->(6, "eth0", "fe80::200");
  my $lo = { map { index_of("lo") . " " . packed($_) => 1 } "192.0.2.200", "192.0.2.203" };
  print "armed: ", join(" ", map { is_armed(@$_) ? "yes" : "no" } [$i->(4, "eth0", "192.0.2.200"), $lo], [$i->(6, "eth0", "2001:db8::200"), {}],
    [$i->(4, "eth0", "192.0.2.200"), {}], [$i->(4, "eth0", "192.0.2.203"), $lo], [$i->(4, "eth1", "192.0.2.201"), $lo]), "\\n";
  $| = 1;
  # The kernel refuses them where the loopback has no IPv6.
  system "ip route flush table 8945; ip -6 route del local fe80::200 dev eth0 table 8945";
  print "without routes: ", join(" ", map { is_armed(@$_) ? "yes" : "no" } [$i->(4, "eth0", "192.0.2.200"), $lo], [$i->(6, "eth0", "fe80::200"), {}]), "\\n";
  arm($_) for $i->(4, "eth0", "192.0.2.200", "192.0.2.201"), $i->(6, "eth0", "fe80::200");
  system "ip rule add to 192.0.2.202 priority 8945 table 77; ip -6 -o rule | grep ^8945:; ip -6 route show table 8945";
  disarm_all_but($i->(4, "eth0", "192.0.2.200"));
' "$1"
ip -o rule | grep '^8945:'; ip route show table 8945; ip -o -4 address show dev lo scope host
ip -6 -o rule | grep '^8945:' || true; ip -6 route show table 8945 || true
perl -e 'do shift or die $@; disarm_all_but()' "$1"
echo then; ip -o rule | grep '^8945:'; ip route show table 8945 || true; ip -o -4 address show dev lo scope host`
  const { code, output } = inNamespace(context, script)
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
      'without routes: no no',
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
