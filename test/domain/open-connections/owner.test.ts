/** Whose the rules are while the program is started again. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, type TestContext } from 'vitest'
import { skipLacking } from '../../support/lacking.ts'
import { saidBesideService } from '../../support/service-in-namespaces.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { clusterWith } from '../example.ts'

const folder = tempFolder()

/** `table WHEN` says which table there is, and whose it is. */
const TABLE = `
table() { echo "$1: $(nft -a list table ip hactl | grep -o -m 1 'handle [0-9]*'), $($program status | head -n 1)"; }
`

/** As programs before hactl-nft had a name: nft is their child, and its pipes and HACTL_NFT go to the program that they start anew. */
const EARLIER = `#!/usr/bin/perl
local $^F = 255;
my ($flags, $pid, $to, $from) = split / /, delete $ENV{HACTL_NFT} // "";
if ($pid) { open($nft, ">&=", $to); open($answers, "<&=", $from) }
else {
    $flags = qx(nft -c "table ip try { flags owner, persist; }" 2>&1) eq "" ? "owner,persist" : "owner";
    pipe($in, $nft); pipe($answers, $out); $pid = fork;
    if (!$pid) { open(STDIN, "<&", $in); open(STDERR, ">&", $out); close $_ for $nft, $answers, $in, $out; exec "nft", "-i" }
}
syswrite($nft, "add table ip hactl { flags $flags; }; add set ip hactl earlier { type mark; }; list chain ip hactl end\n");
sysread($answers, $said, 8192, length $said) or last while $said !~ /hactl end/;
open($state, ">", "/run/hactl/open-connections.state"); print $state $said =~ /not permitted/ || waitpid($pid, 1) ? "refused" : "loaded $flags"; close $state;
$SIG{HUP} = sub { $again = 1 };
sleep 1 while !$again;
$ENV{HACTL_NFT} = join " ", $flags, $pid, fileno $nft, fileno $answers;
exec $0, "run";
`

/** What the script says, run on a server that has the service's files; `edits` of their check is $2. */
function saidBy(script: string, context: TestContext) {
  writeFileSync(join(folder(), 'earlier'), EARLIER)
  const { code, output } = saidBesideService(context, { cluster: clusterWith(), folder: folder(), script: `${TABLE}${script}` })
  if (output.includes('rules ordinary')) skipLacking(context, 'nft of this release has no owner of tables')
  return { code, words: output.trim().split('\n') }
}

test('new rules are checked although the present ones belong to the service', { timeout: 120_000 }, context => {
  const { code, words } = saidBy(
    `
start; table started
rules=/usr/local/lib/hactl/open-connections.nft
nft -c -f $rules >/dev/null 2>&1 || echo 'not checked as they are'
sed -e "$2" $rules >/run/checked; nft -c -f /run/checked && echo taken
sed 's/ dup to / doop to /' /run/checked | nft -c -f - >/dev/null 2>&1 || echo refused
nft list tables`,
    context,
  )
  expect({ code, words: words.slice(1) }).toEqual({ code: 0, words: ['not checked as they are', 'taken', 'refused', 'table ip hactl'] })
})

test('the rules stay while the program is killed, started again and stopped, and it can change them afterwards', {
  timeout: 120_000,
}, context => {
  const { code, words } = saidBy(
    `
start; table started
nft flush ruleset; table flushed
kill -9 $main; wait $main 2>/dev/null || true; table killed
start; table 'started again'
echo 'add set ip hactl added { type mark; }' >>/usr/local/lib/hactl/open-connections.nft
rm /run/hactl/open-connections.state; kill -HUP $main; loaded; nft list set ip hactl added >/dev/null && table reloaded
rm /run/hactl/open-connections.state; pkill -9 -f '^hactl-nft'; loaded; echo "nft killed: $($program status | head -n 1)"
kill $main; wait $main || true; nft list set ip hactl added >/dev/null && echo stopped
$program disarm; nft list tables; ! pgrep -f '^hactl-nft' || echo 'nft is still there'; echo end`,
    context,
  )
  const [, handle] = /^started: (handle \d+, rules owner\S*)$/.exec(words[0] ?? '') ?? []
  const same = ['started', 'flushed', 'killed', 'started again', 'reloaded'].map(when => `${when}: ${handle}`)
  const killed = `nft killed: ${handle?.replace(/^.*, /, '')}`
  expect({ code, words }).toEqual({ code: 0, words: [...same, killed, 'stopped', 'end'] })
})

test('of several nft the one that owns the rules is used again, whichever is noted, and a clean-up ends all', {
  timeout: 120_000,
}, context => {
  const { code, words } = saidBy(
    `
start; table started; owner=$(cat /run/hactl/open-connections.pid)
count() { pgrep -f '^hactl-nft' | wc -l; }
wait_for() { for i in $(seq 100); do [ "$(count)" != "$1" ] || return 0; sleep 0.1; done; echo "not $1 of them"; }
other() { bash -c 'exec -a "$0" nft -i' "$(tr '\\0' '\\n' <"/proc/$owner/cmdline" | head -n 1)" <>"/run/in$1" 2<>"/run/out$1" & }
mkfifo /run/in1 /run/in2 /run/in3 /run/out1 /run/out2 /run/out3; other 1; other 2; wait_for 3
echo $! >/run/hactl/open-connections.pid
kill -9 $main; wait $main 2>/dev/null || true; start; table 'started again'; echo "$(count) of them"
[ "$(cat /run/hactl/open-connections.pid)" = "$owner" ] && echo 'the same'
kill $main; wait $main || true; other 3; wait_for 2; $program disarm; nft list tables; echo "$(count) of them"`,
    context,
  )
  const [, handle] = /^started: (handle \d+, rules owner\S*)$/.exec(words[0] ?? '') ?? []
  expect({ code, words: words.slice(1) }).toEqual({
    code: 0,
    words: [`started again: ${handle}`, '1 of them', 'the same', '0 of them'],
  })
})

test.for([
  ['its own child', ''],
  ['one that it found', 'kill -9 $main; wait $main 2>/dev/null || true; start'],
])(
  'an upgrade from a program that hands its nft on, and the way back, load their rules: %s',
  { timeout: 120_000 },
  ([, between], context) => {
    const { code, words } = saidBy(
      `
cp $program /run/present; cp "$1/earlier" $program.new; chmod 755 $program.new
put() { cp "$1" $program.copy; chmod 755 $program.copy; mv $program.copy $program; }
reload() { rm /run/hactl/open-connections.state; kill -HUP $main; loaded; echo "$1: $(sed -n '1s/ .*//p' /run/hactl/open-connections.state)"; }
put $program.new; start
put /run/present; reload upgraded; $program status | grep -q '^rules owner' && echo 'has rules'; reload reloaded
${between}
put $program.new; reload back
put /run/present; reload 'upgraded again'
kill $main; wait $main || true; $program disarm; nft list tables; echo end`,
      context,
    )
    expect({ code, words }).toEqual({
      code: 0,
      words: ['upgraded: loaded', 'has rules', 'reloaded: loaded', 'back: loaded', 'upgraded again: loaded', 'end'],
    })
  },
)
