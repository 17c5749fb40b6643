# Prints the process ids of haproxy's current workers, and "failed" where a reload failed, from "show proc" of the master CLI (haproxy
# management.txt, 13.1 "CLI master proxy"), which lists the current workers under "# workers".
use strict; use warnings; use IO::Socket::UNIX;
my $s = IO::Socket::UNIX->new(Peer => "/run/haproxy-master.sock") or exit 1;
print $s "show proc\n"; $s->flush; $s->shutdown(1);
my ($in, $failed) = (0, 0);
while (<$s>) {
  $in = /^# workers/ if /^# /;
  print "$1 " if $in && /^(\d+)\s+worker/;
  $failed = $1 if /failed: (\d+)/;
}
print "failed " if $failed;
