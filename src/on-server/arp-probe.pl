# INTERFACE ADDRESS...: prints who answers for these addresses. An ARP probe has no sender address (RFC 5227 section 2.1.1), so that it changes
# no neighbour's table. One line for each answer, in the form of ip-neighbour(8).
# needs: link.pl
my ($if, @wanted) = @ARGV;
my $index = unpack 'x16 l', ask(0x8933, $if);
my $own_mac = unpack 'x18 a6', ask(0x8927, $if);
my $arp = link_socket(0x0806, $index);
my (%seen, $next, $sent); my $end = now() + 0.25; $next = 0; $sent = 0;
while ((my $t = now()) < $end) {
  last if @wanted == grep { $seen{$_} } @wanted;
  if ($t >= $next && $sent < 3) {
    for my $a (@wanted) { send $arp, arp_request($own_mac, '0.0.0.0', $a), 0, to(0x0806, $index, $BROADCAST) unless $seen{$a} }
    $next = $t + 0.07; $sent++;
  }
  my $ready = ''; vec($ready, fileno($arp), 1) = 1;
  select($ready, undef, undef, 0.05) or next;
  recv($arp, my $packet, 128, 0) // next;
  next if length $packet < 28;
  my ($op, $sender_mac, $sender) = unpack 'x6 n a6 a4', $packet;
  my $address = inet_ntoa($sender);
  next if $sender_mac eq $own_mac || $seen{$address} || !grep { $_ eq $address } @wanted;
  $seen{$address} = 1;
  print "$address dev $if lladdr ", mac($sender_mac), " REACHABLE\n";
}
