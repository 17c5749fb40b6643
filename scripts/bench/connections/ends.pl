#!/usr/bin/perl
# ends.pl DEVICE: prints "MS MAC RST|FIN PORT" for every TCP packet with RST or FIN that comes in there: when, from which card, to which port of ours.
# A filter in the kernel passes only these. It prints "ready" first, and ends with its stdin.
use strict;
use warnings;
use Socket;
use Time::HiRes 'time';

my ($device) = @ARGV;
my ($AF_PACKET, $SO_ATTACH_FILTER, $ETH_P_ALL, $OUTGOING) = (17, 26, 3, 4);
# code, jt, jf, k; offsets from the Ethernet header. IPv4 with its header length, IPv6 without extension headers.
my @filter = (
  [0x28, 0, 0, 12], [0x15, 0, 5, 0x0800],
  [0x30, 0, 0, 23], [0x15, 0, 9, 6],
  [0xb1, 0, 0, 14], [0x50, 0, 0, 27], [0x05, 0, 0, 4],
  [0x15, 0, 5, 0x86dd],
  [0x30, 0, 0, 20], [0x15, 0, 3, 6],
  [0x30, 0, 0, 67],
  [0x45, 0, 1, 0x05],
  [0x06, 0, 0, 96],
  [0x06, 0, 0, 0],
);
socket my $fh, $AF_PACKET, SOCK_RAW, unpack('S', pack 'n', $ETH_P_ALL) or die "cannot open a packet socket: $!\n";
my $program = join '', map { pack 'S C C L', @$_ } @filter;
setsockopt $fh, SOL_SOCKET, $SO_ATTACH_FILTER, pack('S x6 P', scalar @filter, $program) or die "cannot attach the filter: $!\n";
# SO_RCVBUFFORCE: what waits here while the machine is busy is not dropped.
setsockopt $fh, SOL_SOCKET, 33, 4 << 20;
open my $index, '<', "/sys/class/net/$device/ifindex" or die "no device $device: $!\n";
bind $fh, pack 'S n i S C C a8', $AF_PACKET, $ETH_P_ALL, <$index>, 0, 0, 0, '' or die "cannot listen on $device: $!\n";

$| = 1;
print "ready\n";
while (1) {
  my $wanted = '';
  vec($wanted, fileno $_, 1) = 1 for $fh, *STDIN;
  next if select($wanted, undef, undef, undef) < 1;
  last if vec($wanted, fileno *STDIN, 1) && !sysread STDIN, my $said, 4096;
  next if !vec $wanted, fileno $fh, 1;
  my $from = recv $fh, my $frame, 96, 0;
  next if !defined $from || length $frame < 54 || (unpack 'S n i S C', $from)[4] == $OUTGOING;
  my $tcp = unpack('n', substr $frame, 12, 2) == 0x0800 ? 14 + 4 * (ord(substr $frame, 14, 1) & 15) : 54;
  next if length $frame < $tcp + 14;
  my $flags = ord substr $frame, $tcp + 13, 1;
  printf "%d %s %s %d\n", time * 1000, join(':', map { sprintf '%02x', $_ } unpack 'C6', substr $frame, 6, 6), $flags & 4 ? 'RST' : 'FIN', unpack 'n', substr $frame, $tcp + 2, 2;
}
