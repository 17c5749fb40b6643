# ADDRESS PORT KIND PATH HOST STATUS|any LIMIT-S INTERVAL-MS BOUND-MS: a probe every INTERVAL-MS for BOUND-MS, each in a child of its own, so that
# no probe waits for another. One line for each answer: "probe SENT_MS TOOK_MS ok|failed WHY". Times are from /proc/uptime, to 10 ms.
use strict; use warnings; use IO::Socket::IP;
my ($address, $port, $kind, $path, $host, $status, $limit, $interval, $bound) = @ARGV;
$SIG{CHLD} = $SIG{PIPE} = "IGNORE";
my $parent = $$;
sub now { open(my $f, "<", "/proc/uptime") or exit 1; my ($s) = split / /, <$f>; return $s * 1000 }
my $start = now();
my $n = 0;
sub ask {
  my $sent = shift;
  my $tell = sub {
    syswrite(STDOUT, join(" ", "probe", $sent, int(now() - $sent), @_) . "\n") or getppid() == $parent && kill("TERM", $parent);
    exit 0;
  };
  $SIG{ALRM} = sub { $tell->("failed", "no answer in $limit s") };
  alarm $limit;
  my $s = IO::Socket::IP->new(PeerHost => $address, PeerPort => $port, Type => SOCK_STREAM) or $tell->("failed", "$!");
  $tell->("ok") if $kind ne "http";
  syswrite($s, "GET $path HTTP/1.1\r\nHost: $host\r\nUser-Agent: hactl\r\nConnection: close\r\n\r\n");
  my $line = <$s>;
  $tell->("failed", "closed without an answer") if !defined $line;
  my ($code) = $line =~ m{^HTTP/1\.[01] (\d{3})} or $tell->("failed", "the answer is not HTTP");
  $tell->(($status eq "any" ? $code < 500 : $code == $status) ? "ok" : ("failed", "HTTP $code"));
}
while ((my $now = now()) - $start < $bound) {
  my $due = $start + $n * $interval;
  if ($now < $due) { select(undef, undef, undef, ($due - $now) / 1000); next }
  $n++;
  my $pid = fork();
  exit 1 if !defined $pid;
  ask($now) if $pid == 0;
}
