# INTERFACE OWN-ADDRESS VIRTUAL-ADDRESS STRANGER PORT MARK LEAST-S MOST-S PEER...: sends to every peer twice a second a packet as one that a server
# sends on: from the address of a stranger to the virtual address, at the MAC address of the peer. Ends after LEAST-S when every peer was heard,
# else after MOST-S. No rule of the service takes it: its first byte is the router number 0, which no router may have. Nobody forwards a TTL of 1.
# "met ADDRESS" for a peer whose MAC address is known here, "carried ADDRESS" for one whose packet arrived here, then "end".
# needs: link.pl
my ($if, $own, $virtual, $stranger, $port, $mark, $least, $most, @peers) = @ARGV;
my $six = $own =~ /:/;
my $index = unpack 'x16 l', ask(0x8933, $if);
my $own_mac = unpack 'x18 a6', ask(0x8927, $if);
sub packed { return Socket::inet_pton($six ? AF_INET6 : AF_INET, $_[0]) // die "no address: $_[0]" }
my $type = $six ? 0x86dd : 0x0800;
my $wire = link_socket($type, $index);
# Receives UDP to this port only: ldb [6|9]; jeq #17; ldh [42|22]; jeq #PORT.
my @is_udp = ([0x30, 0, 0, $six ? 6 : 9], [0x15, 0, 3, 17]);
listen_only($wire, @is_udp, [0x28, 0, 0, $six ? 42 : 22], [0x15, 0, 1, $port], [0x06, 0, 0, 0xffff], [0x06, 0, 0, 0]);
my $arp = $six ? undef : link_socket(0x0806, $index);
sub datagram {
  my ($from, $to) = map { packed($_) } @_;
  my $body = "\0hactl $mark $own";
  $body .= "\n" if length($body) % 2;
  my $size = 8 + length $body;
  my $udp = pack 'n n n n a*', $port, $port, $size, 0, $body;
  # IPv6 takes none without a checksum.
  substr($udp, 6, 2) = pack 'n', sum($from . $to . pack('n n', 17, $size) . $udp) || 0xffff;
  return pack('N n C C a16 a16', 0x60000000, $size, 17, 1, $from, $to) . $udp if $six;
  my $head = pack 'C C n n n C C n a4 a4', 0x45, 0, 20 + $size, 0, 0, 1, 17, 0, $from, $to;
  substr($head, 10, 2) = pack 'n', sum($head);
  return $head . $udp;
}
# Its sender's MAC address is in it, or in its frame. For IPv6 that spares neighbour discovery.
sub hello {
  my ($p) = @_;
  if ($six) { send $wire, datagram($own, 'ff02::1'), 0, to($type, $index, "\x33\x33\0\0\0\x01") }
  else { send $arp, arp_request($own_mac, $own, $p), 0, to(0x0806, $index, $BROADCAST) }
}
my (%mac, %carried); my %peer = map { $_ => 1 } @peers;
my $start = now(); my $next = 0; my $after = 0;
while (1) {
  my $t = now();
  last if $t >= $start + $most;
  my $is_done = @peers == grep { $mac{$_} && $carried{$_} } @peers;
  last if $t >= $start + $least && $is_done && $after >= 2;
  if ($t >= $next) {
    $next = $t + 0.5; $after++ if $is_done;
    for my $p (@peers) {
      hello($p);
      send $wire, datagram($stranger, $virtual), 0, to($type, $index, $mac{$p}) if $mac{$p};
    }
  }
  my @sockets = grep { defined } $arp, $wire;
  my $ready = ''; vec($ready, fileno($_), 1) = 1 for @sockets;
  select($ready, undef, undef, 0.05) > 0 or next;
  for my $s (grep { vec $ready, fileno($_), 1 } @sockets) {
    my $from = recv($s, my $packet, 2048, 0) // next;
    if ($s != $wire) {
      next if length $packet < 28;
      my ($sender_mac, $sender) = unpack 'x8 a6 a4', $packet;
      my $address = inet_ntoa($sender);
      $mac{$address} = $sender_mac if $peer{$address} && $sender_mac ne $own_mac;
      next;
    }
    next if length $packet < ($six ? 48 : 28);
    my ($source, $body) = $six ? (substr($packet, 8, 16), substr $packet, 48) : (substr($packet, 12, 4), substr $packet, 28);
    my ($sender) = $body =~ /\A\0hactl \Q$mark\E (\S+)\n?\z/ or next;
    next if !$peer{$sender};
    if ($source eq packed($stranger)) { $carried{$sender} = 1 }
    elsif ($source eq packed($sender)) { $mac{$sender} = unpack 'x12 a6', $from }
  }
}
print "met $_\n" for sort keys %mac;
print "carried $_\n" for sort keys %carried;
print "end\n";
