#!/usr/bin/perl
# access-port.pl TRUNK ACCESS VLAN: a switch's access port. Frames that come out of the tap TRUNK with this VLAN's tag go into the tap ACCESS without
# it, and back. For machines whose own kernel has no VLANs. It makes both taps; they are gone when it ends.
use strict;
use warnings;
use Fcntl;

my ($trunk, $access, $vlan) = @ARGV;
my ($TUNSETIFF, $TAP_WITHOUT_INFO) = (0x400454ca, 0x1002);

sub tap {
  my ($name) = @_;
  sysopen my $fh, '/dev/net/tun', O_RDWR or die "cannot open /dev/net/tun: $!\n";
  ioctl $fh, $TUNSETIFF, pack 'Z16 s x22', $name, $TAP_WITHOUT_INFO or die "cannot make the tap $name: $!\n";
  return $fh;
}

my ($tagged, $plain) = (tap($trunk), tap($access));
$| = 1;
print "ready\n";
my $tag = pack 'n n', 0x8100, $vlan;
while (1) {
  my $wanted = '';
  vec($wanted, fileno $_, 1) = 1 for $tagged, $plain;
  next if select($wanted, undef, undef, undef) < 1;
  if (vec $wanted, fileno $tagged, 1) {
    next if !sysread $tagged, my $frame, 65536;
    # The upper four bits of a tag are its priority.
    next if length $frame < 18 || unpack('n', substr $frame, 12, 2) != 0x8100 || (unpack('n', substr $frame, 14, 2) & 0xfff) != $vlan;
    substr $frame, 12, 4, '';
    syswrite $plain, $frame;
  }
  if (vec $wanted, fileno $plain, 1) {
    next if !sysread $plain, my $frame, 65536;
    next if length $frame < 14;
    substr $frame, 12, 0, $tag;
    syswrite $tagged, $frame;
  }
}
