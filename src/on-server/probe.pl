# ADDRESS PORT KIND PATH HOST LIMIT-S: one new connection, with perl-base only. Prints "open", "HTTP STATUS" or, with exit status 1, why it failed.
# needs: http-answer.pl
my ($address, $port, $kind, $path, $host, $limit) = @ARGV;
sub tell_http { my $why = shift; print $why eq "" ? "HTTP $code\n" : "$why\n"; exit($why ne "") }
$SIG{ALRM} = sub { tell_http(overdue($limit)) };
alarm $limit;
my $socket = IO::Socket::IP->new(PeerHost => $address, PeerPort => $port, Type => SOCK_STREAM) or do { print "$!\n"; exit 1 };
if ($kind ne "http") { print "open\n"; exit 0 }
syswrite($socket, "GET $path HTTP/1.0\r\nHost: $host\r\nConnection: close\r\n\r\n");
tell_http(http_answer($socket, $limit, sub { tell_http("") if $_[0] >= 500 }));
