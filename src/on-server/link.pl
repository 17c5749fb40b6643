# Sends and listens on a server's network with perl-base only, an essential package of Debian and Ubuntu; tcpdump and arping are not.
# A packet socket for one protocol of the link layer (packet(7)): packets from such a socket bypass the filter rules and leave no entry in
# connection tracking, which would let the answer in as "established".
use strict; use warnings; use Socket;
$| = 1;
# Time::HiRes is not in perl-base.
open(my $uptime, '<', '/proc/uptime') or die "/proc/uptime: $!";
sub now { sysseek $uptime, 0, 0; sysread $uptime, my $line, 64; return (split ' ', $line)[0] }
sub mac { return join ':', map { sprintf '%02x', $_ } unpack 'C6', $_[0] }
socket(my $any, AF_INET, SOCK_DGRAM, 0) or die "socket: $!";
sub ask { my ($request, $if) = @_; my $ifreq = pack 'a16 x24', $if; ioctl($any, $request, $ifreq) or die "$if: $!"; return $ifreq }
sub link_socket {
  my ($type, $index) = @_;
  socket(my $s, 17, SOCK_DGRAM, unpack 'S', pack 'n', $type) or die "packet socket: $!";
  bind($s, pack 'S n l x12', 17, $type, $index) or die "packet socket: $!";
  return $s;
}
sub to { my ($type, $index, $mac) = @_; return pack 'S n l S C C a8', 17, $type, $index, 0, 0, 6, $mac }
my $BROADCAST = "\xff" x 6;
sub arp_request { my ($own_mac, $own, $wanted) = @_; return pack 'n n C C n a6 a4 a6 a4', 1, 0x0800, 6, 4, 1, $own_mac, inet_aton($own), "\0" x 6, inet_aton($wanted) }
# The socket receives only what this program of the classic packet filter lets through: each instruction is [code, if true, if false, value].
sub listen_only {
  my ($s, @program) = @_;
  my $code = join '', map { pack 'S C C L', @$_ } @program;
  my $word = length pack 'P', $code;
  setsockopt($s, SOL_SOCKET, 26, pack('S', scalar @program) . ("\0" x ($word - 2)) . pack('P', $code)) or die "socket filter: $!";
}
sub sum { my $s = 0; $s += $_ for unpack 'n*', $_[0]; $s = ($s & 0xffff) + ($s >> 16) while $s >> 16; return ~$s & 0xffff }
