# INTERFACE OWN-ADDRESS MARK LEAST-S MOST-S MULTICAST(0|1) MAY-REFUSE(0|1) PEER...: sends protocol 112 to every peer ten times a second, and
# prints what arrived from which sender: on the wire, past this server's filter, and from other VRRP routers. Ends after LEAST-S when every
# peer was heard, else after MOST-S. Its adverts have the router number 0, which no router may have (RFC 5798 section 5.2.3): all drop them.
# "wire ADDRESS", "passed ADDRESS", "foreign ADDRESS VRID VERSION PRIORITY", "mac ADDRESS MAC", "out ADDRESS ok|REASON", then "end".
# needs: link.pl
my ($if, $own, $mark, $least, $most, $multicast, $may_refuse, @peers) = @ARGV;
my $GROUP = '224.0.0.18';
my $index = unpack 'x16 l', ask(0x8933, $if);
my $own_mac = unpack 'x18 a6', ask(0x8927, $if);
my $arp = link_socket(0x0806, $index);
my $wire = link_socket(0x0800, $index);
# Receives protocol 112 only: ldb [9]; jeq #112.
listen_only($wire, [0x30, 0, 0, 9], [0x15, 0, 1, 112], [0x06, 0, 0, 0xffff], [0x06, 0, 0, 0]);
socket(my $vrrp, AF_INET, SOCK_RAW, 112) or die "raw socket: $!";
setsockopt($vrrp, SOL_SOCKET, 25, pack 'Z16', $if) or die "raw socket: $!";
setsockopt($vrrp, 0, 35, pack 'a4 a4 l', inet_aton($GROUP), inet_aton($own), $index) or warn "multicast: $!";
setsockopt($vrrp, 0, 2, pack 'l', 255); setsockopt($vrrp, 0, 33, pack 'l', 255); setsockopt($vrrp, 0, 34, pack 'l', 0);
my $advert = pack 'C C C C n n a*', 0x31, 0, 0, 0, 0, 0, "hactl $mark";
sub whole {
  my ($target) = @_;
  my $head = pack 'C C n n n C C n a4 a4', 0x45, 0xc0, 20 + length $advert, 0, 0, 255, 112, 0, inet_aton($own), inet_aton($target);
  substr($head, 10, 2) = pack 'n', sum($head);
  return $head . $advert;
}
my (%mac, %wire, %passed, %foreign); my %peer = map { $_ => 1 } @peers;
my $start = now(); my $next = 0; my $after = 0;
while (1) {
  my $t = now();
  last if $t >= $start + $most;
  my $heard = grep { $passed{$_} } @peers;
  last if $t >= $start + $least && $heard == @peers && $after >= 5;
  if ($t >= $next) {
    $next = $t + 0.1; $after++ if $heard == @peers;
    for my $p (@peers) { send $arp, arp_request($own_mac, $own, $p), 0, to(0x0806, $index, $BROADCAST) unless $mac{$p} }
    if ($multicast) { send $wire, whole($GROUP), 0, to(0x0800, $index, "\x01\x00\x5e\x00\x00\x12") }
    else { for my $p (grep { $mac{$_} } @peers) { send $wire, whole($p), 0, to(0x0800, $index, $mac{$p}) } }
  }
  my $ready = ''; vec($ready, fileno($_), 1) = 1 for $arp, $wire, $vrrp;
  select($ready, undef, undef, 0.05) > 0 or next;
  for my $s ($arp, $wire, $vrrp) {
    next unless vec $ready, fileno($s), 1;
    recv($s, my $packet, 2048, 0) // next;
    if ($s == $arp) {
      next if length $packet < 28;
      my ($sender_mac, $sender) = unpack 'x8 a6 a4', $packet;
      my $address = inet_ntoa($sender);
      $mac{$address} = $sender_mac if $peer{$address} && $sender_mac ne $own_mac;
      next;
    }
    next if length $packet < 28;
    my $source = inet_ntoa(substr $packet, 12, 4);
    my $body = substr $packet, 4 * (ord($packet) & 15);
    next if length $body < 8 || $source eq $own;
    my ($kind, $vrid, $priority) = unpack 'C C C', $body;
    if (index($body, "hactl $mark") == 8) { $s == $vrrp ? $passed{$source} = 1 : ($wire{$source} = 1) }
    elsif ($vrid != 0 && ($kind & 15) == 1 && keys %foreign < 64) { $foreign{"$source $vrid " . ($kind >> 4) . " $priority"} = 1 }
  }
}
# This comes last, and is sent as keepalived's adverts are: a rule against them is reported at once. It leaves an entry in connection tracking.
for my $p (!$may_refuse ? () : $multicast ? $GROUP : @peers) {
  my $sent = send $vrrp, $advert, 0, pack_sockaddr_in(0, inet_aton($p));
  print "out $p ", defined $sent ? 'ok' : "$!", "\n";
}
print "wire $_\n" for sort keys %wire;
print "passed $_\n" for sort keys %passed;
print "mac $_ ", mac($mac{$_}), "\n" for sort keys %mac;
print "foreign $_\n" for sort keys %foreign;
print "end\n";
