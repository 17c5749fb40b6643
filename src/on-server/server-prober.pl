# ADDRESS PORT KIND PATH HOST STATUS|any LIMIT-S INTERVAL-MS BOUND-MS: a probe every INTERVAL-MS for BOUND-MS, each in a child of its own, so that
# no probe waits for another. One line for each answer: "probe SENT_MS TOOK_MS ok|failed WHY". Times are from /proc/uptime, to 10 ms:
# Time::HiRes is not in perl-base.
# needs: http-answer.pl
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
  my $tell_http = sub { $tell->($_[0] eq "" ? "ok" : ("failed", $_[0])) };
  $SIG{ALRM} = sub { $tell_http->(overdue($limit)) };
  alarm $limit;
  my $s = IO::Socket::IP->new(PeerHost => $address, PeerPort => $port, Type => SOCK_STREAM) or $tell->("failed", "$!");
  $tell->("ok") if $kind ne "http";
  syswrite($s, "GET $path HTTP/1.1\r\nHost: $host\r\nUser-Agent: hactl\r\nConnection: close\r\n\r\n");
  $tell_http->(http_answer($s, $limit, sub {
    my $code = shift;
    $tell->("failed", "HTTP $code") if $status eq "any" ? $code >= 500 : $code != $status;
  }));
}
while ((my $now = now()) - $start < $bound) {
  my $due = $start + $n * $interval;
  if ($now < $due) { select(undef, undef, undef, ($due - $now) / 1000); next }
  $n++;
  my $pid = fork();
  exit 1 if !defined $pid;
  ask($now) if $pid == 0;
}
