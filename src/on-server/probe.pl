# ADDRESS PORT KIND PATH HOST LIMIT-S: one new connection, with perl-base only. Prints "open", "HTTP STATUS" or, with exit status 1, why it failed.
use strict; use warnings; use IO::Socket::IP;
my ($address, $port, $kind, $path, $host, $limit) = @ARGV;
$SIG{ALRM} = sub { print "no answer in $limit s\n"; exit 1 };
alarm $limit;
my $s = IO::Socket::IP->new(PeerHost => $address, PeerPort => $port, Type => SOCK_STREAM) or do { print "$!\n"; exit 1 };
if ($kind ne "http") { print "open\n"; exit 0 }
print $s "GET $path HTTP/1.0\r\nHost: $host\r\nConnection: close\r\n\r\n";
my $line = <$s>;
if (defined $line && $line =~ m{^HTTP/\S+ (\d+)}) { print "HTTP $1\n"; exit 0 }
print "no HTTP answer\n"; exit 1;
