#!/usr/bin/perl
# Keeps connections open while a virtual address moves. A server that has an address, or had it and still has connections open, says so to its
# peers four times a second. The rules (open-connections.nft) send packets of connections that the holder of the address does not know on to
# such a server, which answers the client itself. Each second a probe shows whether the network carries packets like these.
# Evidence and decisions that comments name are in docs/ of hactl's repository.
# usage: open-connections.pl run|reload|status|stopped|disarm
#   run     hactl-open-connections.service: loads the rules, announces, and prepares this server for the packets
#   reload  makes the service read its files and itself again; open connections are kept
#   status  one fact a line: "rules", "instance NAME held|kept|none", "unarmed NAME", "open NAME PORT CONNECTIONS", "proven NAME PEER yes|no"
#   stopped takes away what no open connection needs, once the service has ended: nobody looks after it any more
#   disarm  takes everything away that "run" has changed on this server
use strict;
use warnings;
use IO::Handle;
use Socket qw(:DEFAULT inet_ntop inet_pton AF_INET6 pack_sockaddr_in6 MSG_DONTWAIT);

my $FOLDER = '/usr/local/lib/hactl';
my $RUN = '/run/hactl';
my ($settings, $rules) = ("$FOLDER/open-connections.conf", "$FOLDER/open-connections.nft");
my ($loaded, $state, $before) = map { "$RUN/open-connections.$_" } qw(nft state sysctl);
my $noted = "$RUN/open-connections.pid";    # the process of the nft that owns the rules
my $PORT = 8945;    # of announcements and probes; also the priority of the routing rules, and their table
my ($HERE, $MAY_KNOW, $PROBE) = (0, 1, 2);

# Seconds.
my $TURN = 0.25;     # between two announcements of a server that may know connections: peers forget it after 1.5
my $BREATH = 0.05;   # between two turns, where something changes all the time
my $IDLE = 1;        # between two of any other, and between two probes
my $LAST = 1;        # from the last sight of an open connection until this server stops announcing
my $LINGER = 2.5;    # from then on, until no peer sends packets here any more
my $RELOAD = 60;     # for a reload: an nft that does not answer is waited for 10 s, when it is found and in each load of the first 5 s
my $HUNG = 3;        # from the first failed check, which takes up to 2, until a haproxy counts as hung

sub now { open(my $file, '<', '/proc/uptime') or return time; return (split ' ', <$file>)[0] }
sub cpu { my ($user, $system) = times; return $user + $system }
sub pause { select(undef, undef, undef, $_[0]) }
sub slurp { my ($path) = @_; open(my $file, '<', $path) or return ''; local $/; return <$file> // '' }
sub line { return (split /\n/, slurp($_[0]))[0] // '' }
# The file is whole or stays what it was: a full /run takes a part.
sub put {
    my ($path, $text) = @_;
    open(my $file, '>', "$path.new") or return 0;
    my $is_whole = print $file $text;
    $is_whole = close($file) && $is_whole;
    return 1 if $is_whole && rename "$path.new", $path;
    my $error = $! + 0;
    unlink "$path.new";
    $! = $error;
    return 0;
}
sub unpacked { return inet_ntop(length $_[0] == 16 ? AF_INET6 : AF_INET, $_[0]) }
sub packed { my ($address) = @_; return inet_pton($address =~ /:/ ? AF_INET6 : AF_INET, $address) }

# The cluster as this server sees it: instances of one family each, as VRRP itself.
my (@instances, $marks, @ports);
sub read_settings {
    my ($path) = @_;
    open(my $file, '<', $path) or die "$path: $!\n";
    while (<$file>) {
        my ($key, $value, @more) = split or next;
        if ($key eq 'instance') { push @instances, { name => $value, title => $more[0] // $value, index => scalar @instances, peers => [], virtual => [] } }
        elsif ($key eq 'marks') { $marks = $value eq 'yes' }
        elsif ($key eq 'ports') { @ports = map { [split /-/] } $value, @more }
        elsif ($key eq 'peer') { push @{$instances[-1]{peers}}, [$value, $more[0], $more[1] // $value] }
        elsif ($key eq 'virtual') { push @{$instances[-1]{virtual}}, $value }
        elsif ($key !~ /^#/ && @instances) { $instances[-1]{$key} = $value }
    }
    for my $i (@instances) {
        $i->{af} = $i->{family} == 6 ? AF_INET6 : AF_INET;
        $i->{table} = $i->{family} == 6 ? 'ip6' : 'ip';
        $i->{packed} = { map { packed($_) => 1 } @{$i->{virtual}} };
        $i->{servers} = { map { packed($_->[1]) => 1 } map { @{$_->{peers}} } @instances };
    }
}

# ---- The kernel's netlink: no other program is started for what happens while an address moves.

my ($ROUTE, $SOCKETS, $FILTER) = (0, 4, 12);
my ($NEW_ROUTE, $DELETE_ROUTE, $GET_ROUTE) = (24, 25, 26);
my ($EINTR, $EIO, $EAGAIN, $DUMP_INTR) = (4, 5, 11, 0x10);
my ($REQUEST, $ACK, $DUMP, $REPLACE, $EXCL, $CREATE) = (1, 4, 0x300, 0x100, 0x200, 0x400);

sub attribute { my ($type, $value) = @_; my $size = 4 + length $value; return pack('SS', $size, $type) . $value . "\0" x (-$size & 3) }

# Calls $do with each answer until it returns true. Returns the error number, 0 for none.
sub netlink {
    my ($protocol, $type, $flags, $body, $do) = @_;
    socket(my $socket, 16, SOCK_RAW, $protocol) or return $! + 0;
    # Of routes, only those of the table that is asked for: there may be a million others.
    setsockopt($socket, 270, 12, pack 'i', 1) if $protocol == $ROUTE && $type == $GET_ROUTE;
    send($socket, pack('LSSLL', 16 + length $body, $type, $REQUEST | $flags, 1, 0) . $body, 0) or return $! + 0;
    my ($got, $torn);
    while (1) {
        if (!defined recv($socket, $got, 65536, 0)) { next if $! == $EINTR; return $! + 0 }
        return $EIO if !length $got;
        while (length $got >= 16) {
            my ($size, $kind, $is) = unpack 'LSS', $got;
            return $EIO if $size < 16;
            # What it lists has changed meanwhile.
            $torn ||= $is & $DUMP_INTR;
            if ($kind == 3) { my $error = $size < 20 ? 0 : -unpack 'x16l', $got; return $error || ($torn ? $EINTR : 0) }
            return -unpack('x16l', $got) if $kind == 2;
            return 0 if $do && $do->(substr $got, 16, $size - 16);
            $got = length $got > $size ? substr $got, ($size + 3) & ~3 : '';
        }
    }
}

# [type, value] of each.
sub each_attribute {
    my ($text) = @_;
    my @found;
    while (length $text >= 4) {
        my ($size, $type) = unpack 'SS', $text;
        last if $size < 4;
        push @found, [$type & 0x3fff, substr $text, 4, $size - 4];
        $text = length $text > $size ? substr $text, ($size + 3) & ~3 : '';
    }
    return @found;
}
sub attributes { return { map { @$_ } each_attribute(@_) } }

# Asks the packet filter about this program's table of a family: nft would read the sets of all others, too, and they may be large.
sub ask_filter {
    my ($type, $flags, $table, $more, $do) = @_;
    my $of = pack('CCn', $table eq 'ip6' ? AF_INET6 : AF_INET, 0, 0) . attribute(1, "hactl\0");
    return netlink($FILTER, 0xa00 | $type, $flags, $of . $more, $do);
}
my ($GET_TABLE, $GET_CHAIN, $GET_ELEMENTS) = (1, 4, 13);
my $OWNER = 2;
# Of this program's table of a family: $OWNER where it has one, else 0; undef where there is no table.
sub owner_flags {
    my ($table) = @_;
    my $flags;
    ask_filter($GET_TABLE, 0, $table, '', sub { $flags = $OWNER & unpack 'N', attributes(substr $_[0], 4)->{2} // "\0" x 4; return 1 });
    return $flags;
}
sub has_chain { my ($table, $chain) = @_; return !ask_filter($GET_CHAIN, 0, $table, attribute(3, "$chain\0"), sub { 1 }) }
# The elements of a set: [key, seconds until it expires], the key packed.
sub elements_of {
    my ($table, $set) = @_;
    my @elements;
    ask_filter($GET_ELEMENTS, $DUMP, $table, attribute(2, "$set\0"), sub {
        for (each_attribute(attributes(substr $_[0], 4)->{3} // '')) {
            my $has = attributes($_->[1]);
            my $key = attributes($has->{1} // '')->{1};
            push @elements, [$key, unpack('x4N', $has->{5} // "\0" x 8) / 1000] if defined $key;
        }
        return 0;
    });
    return @elements;
}

sub index_of { return line("/sys/class/net/$_[0]/ifindex") || 0 }

# This server's addresses: {"INDEX ADDRESS" => 1}, packed. Where the kernel does not say them all: those of the last time.
my $last_addresses = {};
sub addresses {
    for (1 .. 3) {
        my (%all, $error);
        for my $af (keys %{{ map { $_->{af} => 1 } @instances }}) {
            $error ||= netlink($ROUTE, 22, $DUMP, pack('Cx7', $af), sub {
                my $has = attributes(substr $_[0], 8);
                my $address = $has->{2} // $has->{1} // return 0;
                $all{unpack('x4L', $_[0]) . " $address"} = 1;
                return 0;
            });
        }
        return $last_addresses = \%all if !$error;
    }
    return $last_addresses;
}

# An address that only lo has is not held: it is there so that this server can send from it.
sub held { my ($i, $addresses) = @_; my $index = index_of($i->{interface}); return scalar grep { $addresses->{"$index $_"} } keys %{$i->{packed}} }

# ---- Packets for an address that has gone: accepted from its own segment, and answered from it.

sub is_link_local { return length $_[0] == 16 && (unpack('n', $_[0]) & 0xffc0) == 0xfe80 }
# struct rtmsg with RTA_DST, RTA_OIF and RTA_TABLE: a local route (RTN_LOCAL). What is deleted may have been made by anybody.
my $LOCAL = 255;
sub route {
    my ($i, $address, $table, $type, $flags) = @_;
    my @header = ($i->{af}, 8 * length $address, 0, 0, $table > 255 ? 0 : $table, $type == $NEW_ROUTE ? 3 : 0, 254, 2, 0);
    my $own = $table == $PORT;
    # A link-local address is reached through its own interface only. What this program's table has for an address is deleted through whichever it is.
    my $link = $own && is_link_local($address) ? $i->{interface} : 'lo';
    my $through = $own && $type == $DELETE_ROUTE ? '' : attribute(4, pack 'L', index_of($link));
    my $body = pack('C8L', @header) . attribute(1, $address) . $through . attribute(15, pack 'L', $table);
    return netlink($ROUTE, $type, $flags | $ACK, $body);
}
# struct fib_rule_hdr with FRA_DST, FRA_IIFNAME, FRA_PRIORITY and FRA_TABLE: from its own segment only.
my ($NEW_RULE, $DELETE_RULE) = (32, 33);
sub rule {
    my ($i, $address, $type, $flags) = @_;
    my $body = pack('C8L', $i->{af}, 8 * length $address, 0, 0, 0, 0, 0, 1, 0) . attribute(1, $address) . attribute(3, "$i->{interface}\0");
    return netlink($ROUTE, $type, $flags | $ACK, $body . attribute(6, pack 'L', $PORT) . attribute(15, pack 'L', $PORT));
}
# struct ifaddrmsg with IFA_LOCAL and IFA_ADDRESS, scope host.
my ($NEW_ADDRESS, $DELETE_ADDRESS) = (20, 21);
sub on_lo {
    my ($i, $address, $type, $flags) = @_;
    return netlink($ROUTE, $type, $flags | $ACK, pack('C4L', $i->{af}, 32, 0, 254, index_of('lo')) . attribute(2, $address) . attribute(1, $address));
}

sub arm {
    my ($i) = @_;
    for my $address (keys %{$i->{packed}}) {
        my @errors = (route($i, $address, $PORT, $NEW_ROUTE, $CREATE | $REPLACE), rule($i, $address, $NEW_RULE, $CREATE | $EXCL));
        if ($i->{family} == 4) {
            # IPv4 sends only from addresses that the server has (evidence O3). Without its local route, programs of this server reach the holder.
            push @errors, on_lo($i, $address, $NEW_ADDRESS, $CREATE | $EXCL), route($i, $address, $LOCAL, $DELETE_ROUTE, 0);
        }
        my ($error) = grep { $_ && $_ != 17 && $_ != 3 } @errors;    # it is there already; it is not there
        next if ($error // 0) == ($i->{error} // 0);
        $i->{error} = $error;
        warn "$i->{title}: its addresses cannot be kept: ", $! = $error, "\n" if $error;
    }
    $i->{armed} = now();
}

sub disarm {
    my ($i) = @_;
    for my $address (keys %{$i->{packed}}) {
        rule($i, $address, $DELETE_RULE, 0);
        route($i, $address, $PORT, $DELETE_ROUTE, 0);
        on_lo($i, $address, $DELETE_ADDRESS, 0) if $i->{family} == 4;
    }
    delete $i->{armed};
}

# Whether all that "arm" does is there.
sub is_armed {
    my ($i, $addresses) = @_;
    my ($lo, %ruled, %routed) = index_of('lo');
    netlink($ROUTE, 34, $DUMP, pack('Cx11', $i->{af}), sub {
        my $own = own_rule($_[0]);
        $ruled{$_} = 1 for $own && $own->{interface} eq $i->{interface} ? keys %{$own->{packed}} : ();
        return 0;
    });
    netlink($ROUTE, $GET_ROUTE, $DUMP, pack('Cx11', $i->{af}) . attribute(15, pack 'L', $PORT), sub {
        my $has = attributes(substr $_[0], 12);
        $routed{$has->{1}} = 1 if defined $has->{1} && unpack('L', $has->{15} // "\0" x 4) == $PORT && unpack('x7C', $_[0]) == 2;
        return 0;
    });
    return !grep { !$ruled{$_} || !$routed{$_} || $i->{family} == 4 && !$addresses->{"$lo $_"} } keys %{$i->{packed}};
}

# The rule, interface and address of a message of a dump of rules, where it is one of this program's: it is told by priority and table.
sub own_rule {
    my ($message) = @_;
    my ($af, $bits) = unpack 'CC', $message;
    my $has = attributes(substr $message, 12);
    my ($address, $interface, $priority, $table) = @$has{1, 3, 6, 15};
    return undef if !defined $address || !defined $interface || $bits != 8 * length $address;
    return undef if unpack('L', $priority // "\0" x 4) != $PORT || unpack('L', $table // "\0" x 4) != $PORT;
    $interface =~ s/\0.*//s;
    return { af => $af, family => $af == AF_INET6 ? 6 : 4, interface => $interface, packed => { $address => 1 } };
}

# Takes away what an earlier configuration has armed, and @kept do not name: two servers would answer for an address that has moved.
sub disarm_all_but {
    my (@kept) = @_;
    my @found;
    for my $af (AF_INET, AF_INET6) {
        netlink($ROUTE, 34, $DUMP, pack('Cx11', $af), sub { my $own = own_rule($_[0]); push @found, $own if $own; return 0 });
    }
    for my $old (@found) {
        my ($address) = keys %{$old->{packed}};
        my @same = grep { $_->{packed}{$address} } @kept;
        if (!@same) { disarm($old) }
        elsif (!grep { $_->{interface} eq $old->{interface} } @same) { rule($old, $address, $DELETE_RULE, 0) }
    }
}

# An old holder must not answer for the address by ARP, nor ask from it. Ports that are bound to an address by name need marks that last.
sub least_sysctls {
    my %least;
    for my $folder (map { "net/ipv4/conf/$_->{interface}" } grep { $_->{family} == 4 } @instances) {
        $least{"$folder/arp_ignore"} = 1;
        $least{"$folder/arp_announce"} = 2;
    }
    $least{'net/ipv4/tcp_fwmark_accept'} = 1 if $marks;
    return %least;
}
sub sysctls {
    my %least = least_sysctls();
    my $saved = slurp($before);
    for my $key (sort keys %least) {
        my $value = line("/proc/sys/$key");
        next if $value eq '' || $value >= $least{$key};
        $saved .= "$key $value $least{$key}\n" and put($before, $saved) if $saved !~ m{^\Q$key\E }m;
        write_sysctl($key, $least{$key});
    }
}
sub write_sysctl { my ($key, $value) = @_; open(my $file, '>', "/proc/sys/$key") or return; print $file "$value\n"; close $file }
# All but those that %kept has.
sub put_sysctls_back {
    my (%kept) = @_;
    my $left = '';
    for (split /\n/, slurp($before)) {
        my ($key, $was, $set) = split;
        if ($kept{$key}) { $left .= "$_\n" }
        elsif (line("/proc/sys/$key") eq $set) { write_sysctl($key, $was) }
    }
    $left eq '' ? unlink $before : put($before, $left);
}

# ---- Connections.

# Established, being opened or being closed: nothing is lost with TIME-WAIT, nor with a FIN-WAIT-2 that no program has open any more: the kernel
# gives both the same timer.
my ($OPEN, $TIMEWAIT_TIMER) = (0x1b3e, 3);

# Calls $do with (family, identity, port, peer address) of each connection of an own address until it returns true, all packed but the port. Returns
# the error number of a list that is not whole, or 0.
sub each_connection {
    my ($own, $do) = @_;
    my $n = length $own;
    my $filter = pack('CCSCCSl', 7, 12 + $n, 16 + $n, $n == 16 ? AF_INET6 : AF_INET, 8 * $n, 0, -1) . $own;
    # A socket that listens on all addresses of both families has connections of IPv4, too.
    for my $af ($n == 16 ? AF_INET6 : (AF_INET, AF_INET6)) {
        my $stopped;
        my $error = netlink($SOCKETS, 20, $DUMP, pack('CCCCL', $af, 6, 0, 0, $OPEN) . "\0" x 48 . attribute(1, $filter), sub {
            return 0 if unpack('x2C', $_[0]) == $TIMEWAIT_TIMER;
            my $peer = substr $_[0], $n == 4 && $af == AF_INET6 ? 36 : 24, $n;
            return $stopped = $do->($af, substr($_[0], 4, 48), unpack('x4n', $_[0]), $peer);
        });
        return 0 if $stopped;
        return $error if $error;
    }
    return 0;
}
sub each_of { my ($i, $do) = @_; my $error = 0; for (keys %{$i->{packed}}) { $error = each_connection($_, $do) || $error } return $error }

# The connection that has both these ends, as "destroy" takes it: the kernel looks it up, where a list takes longer the more others there are. $link
# is the interface's index: haproxy may have bound it to that.
sub connection_between {
    my ($own, $client, $link) = @_;
    my $af = length $own->[0] == 16 ? AF_INET6 : AF_INET;
    my $ends = pack('nn a16 a16 L', $own->[1], $client->[1], $own->[0], $client->[0], $link);
    my $cookie;
    netlink($SOCKETS, 20, 0, pack('CCCCL', $af, 6, 0, 0, 0) . $ends . "\xff" x 8, sub {
        # Where there is none, the kernel finds what listens there.
        $cookie = substr $_[0], 44, 8 if $OPEN >> unpack('xC', $_[0]) & 1;
        return 1;
    });
    return defined $cookie ? ($af, $ends . $cookie) : ();
}

# With the cookie of its identity: a connection that has ended meanwhile must not be taken for the socket that
# listens there (evidence O6).
sub destroy { my ($af, $identity) = @_; return netlink($SOCKETS, 21, $ACK, pack('CCCCL', $af, 6, 0, 0, 0) . $identity) }

# The rules send packets to haproxy's ports on, and no others: what else is open (ssh) is over once the address has moved, also where this server
# has not heard of it.
sub is_kept { my ($port) = @_; return !@ports || grep { $port >= $_->[0] && $port <= ($_->[1] // $_->[0]) } @ports }

sub without_links { my ($addresses) = @_; return { map { (substr $_, index($_, ' ') + 1) => 1 } keys %$addresses } }

# A program on another server does not keep a window open: where that server takes the address, nothing that it sends comes here any more.
sub is_clients { my ($i, $port, $peer) = @_; return is_kept($port) && !$i->{servers}{$peer} }

# undef where that cannot be said. A program of this server whose connection went to the address reaches nobody any more, and is told so.
sub any_open {
    my ($i, $addresses) = @_;
    my $own = without_links($addresses);
    my ($open, @own);
    my $error = each_of($i, sub {
        my ($af, $identity, $port, $peer) = @_;
        if ($own->{$peer}) { push @own, [$af, $identity] } elsif (is_clients($i, $port, $peer)) { $open = 1 }
        return $open;
    });
    destroy(@$_) for @own;
    return $open // ($error ? undef : 0);
}

sub end_all { my ($i) = @_; my @all; each_of($i, sub { push @all, [@_[0, 1]]; return 0 }); destroy(@$_) for @all; return scalar @all }

# Clients that have started a new connection with the ports of one that is still open here: that one is over, and they must not be taken for it
# (evidence O4). One note in the rules ends one connection: the next with these ports may be the client's new one, at this server. A note that
# lasts longer than it did is a new one. What an earlier run of this program has done about its notes is not known: a holder leaves them.
my (%noted_until, $has_ended);
sub end_superseded {
    my $said = now();
    my $is_first = !$has_ended++;
    for my $table (tables()) {
        # Each part of a key takes words of 4 bytes.
        my $form = $table eq 'ip6' ? 'a16 n x2 a16 n' : 'a4 n x2 a4 n';
        for (elements_of($table, 'superseded')) {
            my ($key, $left) = @$_;
            my $until = now() + $left;
            my $is_same = $until < ($noted_until{$key} // 0) + 1;
            next if $is_same;
            $noted_until{$key} = $until;
            my ($client, $port, $address, $own_port) = unpack $form, $key;
            my ($i) = grep { $_->{packed}{$address} } @instances;
            next if $is_first && $i && $i->{held};
            my @found = connection_between([$address, $own_port], [$client, $port], $i ? index_of($i->{interface}) : 0);
            destroy(@found) if @found;
            if (now() - $said >= $TURN) { announce_open(); $said = now() }
        }
    }
    delete @noted_until{grep { $noted_until{$_} < now() } keys %noted_until};
}

# haproxy that fails its check for long, and is neither stopped nor reloaded, is hung: its clients are better off with a reset (evidence O5). While
# it stops softly it does not answer either; then the unit that hands over is being stopped.
my $failing;
sub check_failed { return -e "$RUN/.check_failed" && line("$RUN/haproxy_down") ne '1' && line("$RUN/haproxy_offset") !~ /^-25[34]$/ }
sub units_of_haproxy { return scalar `timeout 1.2 systemctl is-active haproxy.service hactl-hand-over\@haproxy.service 2>/dev/null` }
sub hung {
    if (!check_failed()) { undef $failing; return 0 }
    $failing //= now();
    return 0 if now() - $failing < $HUNG;
    # A server that is short of CPU fails the check, too. There systemd is as late: no answer says nothing.
    announce_open();
    my @states = split ' ', units_of_haproxy();
    return 0 if @states < 2;
    return 1 if !grep { /ing$/ } @states;
    undef $failing;
    return 0;
}

# ---- Announcements.

my %socket;
sub announce {
    my ($i, $kind) = @_;
    my $v6 = $i->{family} == 6;
    my $to = sub {
        my ($address, $port) = @_;
        return pack_sockaddr_in($port, packed($address)) if !$v6;
        return pack_sockaddr_in6($port, packed($address), $address =~ /^fe[89ab]/i ? index_of($i->{interface}) : 0);
    };
    my $send = sub {
        my ($from, @peers) = @_;
        if (!$socket{$from}) {
            socket(my $new, $i->{af}, SOCK_DGRAM, 17) or return;
            # The rules take it only with 255, which nothing has that was routed: as VRRP.
            $v6 ? setsockopt($new, 41, 16, pack 'i', 255) : setsockopt($new, 0, 2, pack 'i', 255);
            bind($new, $to->($from, 0)) or return;
            $socket{$from} = $new;
        }
        my $text = pack('CCC', $i->{vrid}, $kind, $i->{index});
        # One of them may be filtered.
        my @failed = grep { !defined send($socket{$from}, $text, MSG_DONTWAIT, $to->($_, $PORT)) } @peers;
        # The address may have gone with its interface, and come back.
        delete $socket{$from} if @failed;
    };
    # The rules make a probe to every peer of it.
    $kind == $PROBE ? $send->(($v6 ? '::1' : '127.0.0.1') x 2) : $send->($i->{address}, map { $_->[1] } @{$i->{peers}});
}

sub may_know { my ($i) = @_; return defined $i->{seen} && ($i->{open} || now() - $i->{seen} <= $LAST) }
# What all are told once a second: who this server is, and a probe, without which it sends nothing on after 5 s.
my $told = 0;
sub announce_here {
    return if now() - $told < $IDLE;
    $told = now();
    for my $i (@instances) { announce($i, $HERE); announce($i, $PROBE) }
}
# Before what may take long, and meanwhile.
sub announce_open { announce_here(); announce($_, $MAY_KNOW) for grep { may_know($_) } @instances }

# ---- The rules. nft gives a table with "flags owner" to the process that makes it: nobody else's "flush ruleset" takes it away, and it goes with
# its owner. So an nft stays, also while this program is started again (evidence O7). "persist" lets the table outlive even that. Where neither can be
# had, the table is an ordinary one, and is put back when somebody has flushed it.

my ($flags, $nft, $answers, $pid) = ('');
my $unsaid = '';    # what nft has not taken yet
my $is_over = 0;    # systemd stops the service: nft is not waited for any more

# Runs an nft that ends by itself, and returns what it says against its command. Peers are told meanwhile what they are told anyway.
sub run_nft {
    my (@command) = @_;
    pipe(my $from, my $to) or return "pipe: $!\n";
    defined(my $id = fork()) or return "fork: $!\n";
    if ($id == 0) { open(STDOUT, '>&', $to) && open(STDERR, '>&', $to) && exec 'nft', @command or exit 1 }
    close $to;
    my ($said, $until) = ('', now() + 10);
    while (1) {
        if ($is_over || now() >= $until) { end_nft($id); return "nft does not answer\n" }
        if (!says($from, $TURN)) { announce_open(); next }
        sysread($from, $said, 8192, length $said) or last;
    }
    waitpid($id, 0);
    return $? == 0 ? '' : $said || "nft has failed\n";
}

# undef where nft does not answer.
sub nft_takes {
    my ($wanted) = @_;
    my $error = run_nft('-c', "table ip hactl_try { flags $wanted; }");
    return $error =~ /^nft does not answer/ ? undef : $error eq '';
}
# The flags that nft takes. One that is late may take them: those of the last time then.
sub flags_for_tables {
    for my $wanted ('owner,persist', 'owner') {
        my $takes = nft_takes($wanted);
        return $wanted if $takes;
        return slurp($state) =~ /^(?:loaded|flags) (owner\S*)/m ? $1 : '' if !defined $takes;
    }
    return '';
}
sub is_loaded { for (tables()) { has_chain($_, 'arrive') or return 0 } return 1 }
# A family that has no instance any more.
sub delete_other_tables {
    my %wanted = map { $_ => 1 } tables();
    for my $table (grep { !$wanted{$_} && defined owner_flags($_) } qw(ip ip6)) {
        # Only its owner can delete it. A table that has outlived its owner is taken over.
        my $error = tell_rules(($flags ? "add table $table hactl { flags $flags; }; " : '') . "delete table $table hactl");
        print STDERR $error;
    }
}
# One whose owner is about to end, as a child of a service that has ended, can be deleted a moment later.
sub delete_table {
    my ($table) = @_;
    for (1 .. 20) {
        return if !defined owner_flags($table) || system("nft delete table $table hactl 2>/dev/null") == 0;
        pause(0.05);
    }
}
sub tables { my %seen = map { $_->{table} => 1 } @instances; return sort keys %seen }

# A name that tells it from others' nft, and with which flags it owns the tables.
my $NFT = 'hactl-nft';

# It holds the other ends of its pipes itself: it outlives this program, and the next run finds it (evidence O14).
sub start_nft {
    $unsaid = '';
    pipe(my $from, $nft) && pipe($answers, my $to) or die "pipe: $!\n";
    defined($pid = fork()) or die "fork: $!\n";
    if ($pid == 0) {
        local $^F = 255;
        open(my $in, '>&', $nft) && open(my $out, '<&', $answers) && open(STDIN, '<&', $from) && open(STDERR, '>&', $to) && open(STDOUT, '>', '/dev/null') or exit 1;
        exec { 'nft' } "$NFT $flags", '-i' or exit 1;
    }
    put($noted, "$pid\n");
}
# The flags of an nft that a run of this program has started in this network. Only root's: anybody may give a process any name.
sub flags_of {
    my ($id) = @_;
    my ($has) = slurp("/proc/$id/cmdline") =~ /^\Q$NFT\E ([a-z,]+)\0-i\0$/ or return undef;
    return ((stat "/proc/$id")[4] // -1) == 0 && (readlink("/proc/$id/ns/net") // '') eq readlink '/proc/self/ns/net' ? $has : undef;
}
sub all_nft { opendir(my $processes, '/proc') or return; return grep { defined flags_of($_) } grep { /^\d+$/ } readdir $processes }
# The one that is noted: there may be processes by the 10,000.
sub noted_nft { return grep { defined flags_of($_) } line($noted) =~ /^(\d+)$/ }
# Whether it answers, and can change the tables that are there. One that does not is ended.
sub takes_nft {
    ($flags, $pid) = @_;
    $unsaid = '';
    my $own = join '; ', map { "add table $_ hactl { flags $flags; }" } grep { has_chain($_, 'arrive') } tables();
    return 1 if tell_nft($own) eq '' || $is_over;
    end_nft($pid);
    undef $pid;
    return 0;
}
# $kept: what HACTL_NFT said, where this program was started anew by a program that handed its nft on: one of before hactl-nft had a name does so.
sub adopt_nft {
    my ($kept) = @_;
    my ($has, $of, $to, $from) = split / /, $kept // '';
    return 1 if defined $from && open($nft, '>&=', $to) && open($answers, '<&=', $from) && takes_nft($has, $of);
    for my $list (\&noted_nft, \&all_nft) {
        my @found = $list->();
        while (defined(my $id = shift @found)) {
            open($nft, '>', "/proc/$id/fd/0") && open($answers, '<', "/proc/$id/fd/2") && takes_nft(flags_of($id) // next, $id) or next;
            end_nft(@found);
            put($noted, "$id\n");
            return 1;
        }
    }
    return 0;
}
# Before this program is started anew: as adopt_nft takes it. A program that knows no hactl-nft can use it as a child of its own only.
sub hand_on_nft {
    return if !$flags || !$pid;
    if (waitpid($pid, 1) == 0) {
        local $^F = 255;    # they outlive an exec of this program
        our ($to, $from);
        open($to, '>&', $nft) && open($from, '<&', $answers) and $ENV{HACTL_NFT} = join ' ', $flags, $pid, fileno $to, fileno $from;
    } elsif (index(slurp($0), $NFT) < 0) { end_nft($pid) }
}
# One that this run has not started is no child of its own.
sub nft_runs { return $pid && waitpid($pid, 1) != $pid && kill(0, $pid) }
sub end_nft {
    my (@ids) = @_;
    kill 'KILL', @ids;
    for (1 .. 100) { @ids = grep { waitpid($_, 1) != $_ && kill 0, $_ } @ids or last; pause(0.01) }
}

# The question for a chain that is not there marks the end of the answer.
my $asked = int(100 * now());
sub tell_nft {
    my ($command) = @_;
    my $end = 'end_of_answer_' . ++$asked;
    while (says($answers, 0)) { sysread($answers, my $older, 8192) or last }
    my $until = now() + 10;
    say_rest() or return "nft: $!\n";
    $unsaid .= "$command\nlist chain ip hactl $end\n";
    say_rest() or return "nft: $!\n";
    return answer_from($answers, $end, $until);
}
# An nft that hangs does not read: this program goes on, with what does not fit into the pipe.
sub say_rest {
    while ($unsaid ne '') {
        $nft->blocking(0);
        my $said = syswrite($nft, $unsaid) // return $! == $EAGAIN;
        substr($unsaid, 0, $said, '');
    }
    return 1;
}

sub says { my ($from, $seconds) = @_; vec(my $ready = '', fileno($from), 1) = 1; return select($ready, undef, undef, $seconds) > 0 }
sub answer_from {
    my ($from, $end, $until) = @_;
    my $said = '';
    while ($said !~ /$end/ && now() < $until && !$is_over) {
        # nft may take longer than peers remember.
        if (!says($from, $TURN)) { announce_open(); say_rest(); next }
        sysread($from, $said, 8192, length $said) or return "nft has ended: $said\n";
    }
    return answer_in($said, $end);
}

# What nft says to one question, without the answers to earlier ones, which may arrive late.
sub answer_in {
    my ($said, $end) = @_;
    $said =~ s/^[^\n]*\n?list chain ip hactl $end\b.*\z//ms or return "nft does not answer\n";
    $said =~ s/\A.*list chain ip hactl end_of_answer_\d+\n//s;
    # The line of ^ that nft prints under what it did not find may arrive with the next answer.
    return $said =~ s/\A\s*\^+\s*\n//r;
}

# Returns what nft says against it.
sub tell_rules {
    my ($command) = @_;
    return tell_nft($command) if $flags;
    put("$RUN/open-connections.change", "$command\n") or return "$RUN/open-connections.change: $!\n";
    return run_nft('-f', "$RUN/open-connections.change");
}

# What puts this server's MAC addresses into the rules: a line for each instance.
sub own_macs {
    return map {
        my $mac = line("/sys/class/net/$_->{interface}/address");
        my $set = "$_->{table} hactl own_mac.$_->{name}";
        my $is_there = $mac =~ /^[\da-f]{2}(?::[\da-f]{2}){5}$/ && $mac ne '00:00:00:00:00:00';
        "flush set $set" . ($is_there ? "; add element $set { $mac }" : '') . "\n";
    } @instances;
}

my ($macs, $problem, $refused, $hangs, $had_rules) = ('', 'not loaded yet', 0, 0, 0);
# nft says first where it read what it refuses.
sub reason_in { my ($error) = @_; return $error =~ /^(.*\bError:.*)/m || $error =~ /(\S.*)/ ? $1 : '' }
sub load {
    announce_open();
    my $text = slurp($rules);
    my $lost = !is_loaded();
    $text =~ s/^(table \S+ hactl \{)$/$1\n  flags $flags;/mg if $flags;
    my $own = join '', own_macs();
    $text .= $own;
    # A server that has lost the rules does not know which peers have announced: for as long as that holds, each of them may know connections.
    # A holder that has had none since the machine started is the only one that knows its connections, and they have no mark.
    if ($lost) {
        for my $i (grep { $had_rules || !$_->{held} } @instances) {
            my @sets = ("window.$i->{name}", map { ("may_know.$i->{name}.$_->[0]", "proven.$i->{name}.$_->[0]") } @{$i->{peers}});
            $text .= "add element $i->{table} hactl $_ { $i->{table} timeout 1500ms }\n" for @sets;
        }
    }
    my $unwritten = put($loaded, $text) ? '' : "$loaded: $!\n";
    start_nft() if $flags && !nft_runs();
    delete_other_tables();
    my $error = $unwritten || tell_rules("include \"$loaded\"");
    $error = "nft has loaded no rules\n" if $error eq '' && !is_loaded();
    $problem = reason_in($error);
    $had_rules = 1 if $problem eq '';
    # The next load starts another, and the main loop does not wait for it the first time.
    $hangs = $flags && !$is_over && $error =~ /^nft does not answer/ ? $hangs + 1 : 0;
    if ($hangs) { end_nft($pid); undef $pid }
    # What was sent without rules led nowhere: the next turn says it again.
    $told = 0 if $lost;
    $macs = $problem eq '' ? $own : '';
    print STDERR $error if $error ne '' && !$refused++;
}

# The second line tells a start of this program from the one before: a reload waits for it. A full /run takes none, and the one before is not true.
my $start = now();
sub say_state {
    my $is = ($problem eq '' ? 'loaded ' . ($flags || 'ordinary') : "refused $problem") . "\nstarted $start\n";
    put($state, join '', $is, $flags ? "flags $flags\n" : '', $had_rules ? "had rules\n" : '') or unlink $state;
    notify('STATUS=' . ($problem eq '' ? 'rules are loaded' . ($flags ? ", flags $flags" : '') : "rules are refused: $problem"));
}
# An older version of this program says only what it has loaded.
sub had_rules_before { return slurp($state) =~ /^(?:had rules$|loaded )/m ? 1 : 0 }

# A table that persists may still have the owner of an earlier run, for a moment. keepalived waits meanwhile, so an nft that hangs is not waited for twice.
sub load_first {
    my $until = now() + 5;
    for (1 .. 20) { load(); last if $problem eq '' || $is_over || now() > $until; pause(0.1) }
    say_state() if !$is_over;
}
# By themselves: other rules may be refused, and earlier ones then need them all the same. Those may lack an instance.
sub load_macs {
    my @own = own_macs();
    return if join('', @own) eq $macs;
    $macs = join '', @own;
    tell_rules($_) for map { s/\n//r } @own;
}
sub load_again { load(); say_state() }
# Rules that were loaded before others were refused go on working.
sub works { return $problem eq '' || is_loaded() }

sub notify {
    my ($what) = @_;
    my $to = $ENV{NOTIFY_SOCKET} or return;
    $to =~ s/^@/\0/;
    my $socket;
    socket($socket, PF_UNIX, SOCK_DGRAM, 0) && send($socket, $what, 0, pack_sockaddr_un($to));
}

# ---- One turn: what each instance is, and what is said about it.

# Sets of an instance: held; open: it has connections, or may get some; seen: when that was so last, undef for long ago; away: when it had
# connections and not the address.
sub look {
    my ($i, $addresses, $is_hung) = @_;
    my $now = now();
    $i->{held} = held($i, $addresses);
    if ($i->{held}) { @$i{qw(open seen look)} = (1, $now, $now); return }
    # At the start nothing is known: connections of an earlier run of this program may be open.
    my $is_first = !exists $i->{seen};
    return if !$is_first && !defined $i->{seen};
    $i->{away} = $now;
    return if !$is_first && !$is_hung && $now < $i->{look};
    my $used = cpu();
    my $ended = $is_hung ? end_all($i) : 0;
    print STDERR "$i->{title}: haproxy is hung: $ended connections ended\n" if $ended;
    my $is_open = $is_hung ? 0 : any_open($i, $addresses);
    # Nothing new is known: the next turn looks again.
    return if $is_first && !defined $is_open;
    $i->{open} = $is_open // $i->{open};
    $i->{seen} = $i->{open} ? $now : $i->{seen};
    disarm($i) if $is_first && !$i->{open};
    # Where a look is long, because there are others by the 100,000, the next one waits (evidence O10).
    $i->{look} = $now + 100 * (cpu() - $used);
}

my $ended = 0;    # when superseded connections were looked for last
sub turn {
    my $addresses = addresses();
    my $is_hung = hung();
    my $is_time = now() - $ended >= $IDLE;
    my ($busy, $end_superseded) = (0, 0);
    announce_here();
    for my $i (@instances) {
        my $had = $i->{held};
        look($i, $addresses, $is_hung);
        my $now = now();
        # What peers have said of superseded connections holds for 10 s, and most of all for a server that has just got the address back.
        $end_superseded = 1 if $now - ($i->{away} // -12) < 12 && ($is_time || $i->{held} && !$had);
        next if !defined $i->{seen};
        my $ago = $i->{open} ? 0 : $now - $i->{seen};
        if ($ago > $LAST + $LINGER) { disarm($i); $i->{seen} = undef; next }
        $busy = 1;
        # Others take such rules away: systemd-networkd does where it is not told otherwise.
        arm($i) if $now - ($i->{armed} // 0) > 2;
        announce($i, $MAY_KNOW) if may_know($i);
    }
    if ($end_superseded) { $ended = now(); end_superseded() }
    return $busy;
}

sub run {
    $ENV{PATH} = '/usr/sbin:/usr/bin:/sbin:/bin';
    my $again = 0;
    $SIG{HUP} = sub { $again = 1 };
    $SIG{TERM} = $SIG{INT} = sub { $is_over = 1 };
    $SIG{PIPE} = 'IGNORE';
    my ($links, $changes);
    socket($links, 16, SOCK_RAW, $ROUTE) && bind($links, pack 'SSLL', 16, 0, 0, 1 | 0x10 | 0x100) or die "netlink: $!\n";
    my @events = ($links);
    $had_rules = had_rules_before();
    disarm_all_but(@instances);
    put_sysctls_back(least_sysctls());
    # What is known is announced while nft is asked, and while it reads the rules.
    my $addresses = addresses();
    look($_, $addresses, 0) for @instances;
    announce_open();
    if (!adopt_nft(delete $ENV{HACTL_NFT})) {
        $flags = flags_for_tables();
        # An ordinary table cannot be given an owner.
        for (qw(ip ip6)) { run_nft('delete', 'table', $_, 'hactl') if $flags && (owner_flags($_) // $OWNER) == 0 }
    }
    if (!$flags) {
        socket($changes, 16, SOCK_RAW, $FILTER) && bind($changes, pack 'SSLL', 16, 0, 0, 1 << 6) or die "netlink: $!\n";
        push @events, $changes;
    }
    load_first();
    notify('READY=1');
    my $retry = now() + 30;
    while (!$is_over) {
        my $busy = 0;
        if ($problem ne '' && (now() >= $retry || $hangs == 1)) { load_again(); $retry = now() + 30 }
        if (works()) { sysctls(); $busy = turn() }
        my $turned = now();
        my $until = $turned + ($busy ? $TURN : $IDLE);
        my $changed = 0;
        while (!$again && !$is_over && !$changed && (my $left = $until - now()) > 0) {
            my $ready = '';
            my @nft = $flags && $pid ? $answers : ();
            vec($ready, fileno $_, 1) = 1 for @events, @nft;
            next if select($ready, undef, undef, $left) < 1;
            # Its late answers are not read by anybody else; at its end the rules are gone, except where they persist.
            for (grep { vec $ready, fileno $_, 1 } @nft) { sysread($_, my $late, 8192) or waitpid($pid, 0), undef $pid, $changed = 1 }
            for my $socket (grep { vec $ready, fileno $_, 1 } @events) {
                1 while defined recv($socket, my $got, 65536, MSG_DONTWAIT);
                $changed = 1 if $socket == $links || !is_loaded();
            }
        }
        # An interface that comes and goes says so hundreds of times a second.
        my $early = $turned + $BREATH - now();
        pause($early) if $changed && $early > 0;
        if ($again) {
            announce_open();
            # Another reload before the new program listens must not end it.
            $SIG{HUP} = 'IGNORE';
            hand_on_nft();
            exec $0, 'run' or die "$0: $!\n";
        }
        if ($problem eq '' && ($flags ? !nft_runs() : $changed && !is_loaded())) { print STDERR "the rules were gone: they are loaded again\n"; load_again() }
        load_macs() if works();
    }
}

sub reload {
    my $was = start_in($state);
    kill('HUP', $ENV{MAINPID} || die "reload is for systemctl reload hactl-open-connections\n") or die "no such process: $!\n";
    my $is = state_after($was, $RELOAD, $state);
    die 'the rules are not loaded: ', $is || "$state could not be written", "\n" if $is !~ /^loaded/;
}
sub start_in { my ($path) = @_; return slurp($path) =~ /^started (\S+)/m ? $1 : '' }
# The state once the service has started anew: its start is another than $was.
sub state_after {
    my ($was, $seconds, $path) = @_;
    my $until = now() + $seconds;
    while (start_in($path) eq $was) {
        return 'the service does not answer' if now() >= $until;
        pause(0.05);
    }
    return line($path);
}

sub stopped {
    my $addresses = addresses();
    disarm($_) for grep { held($_, $addresses) || !(any_open($_, $addresses) // 1) } @_;
}

# Rules that were loaded before others were refused are still there.
sub rules_are {
    my ($is) = @_;
    my ($why) = $is =~ /^refused (.*)/;
    return (!is_loaded() ? 'missing' : defined $why ? 'refused' : $is =~ /^loaded (\S+)/ ? $1 : 'ordinary') . (defined $why ? " $why" : '');
}
sub status {
    $| = 1;
    print 'rules ', rules_are(line($state)), "\n";
    my $addresses = addresses();
    my $own = without_links($addresses);
    my %open;
    for my $i (@instances) {
        $i->{held} = held($i, $addresses);
        # Connections of an address that is held are not counted: there may be 100,000 of them, and hactl asks for this in every look at a server.
        each_of($i, sub { $open{$i->{title}}{$_[2]}++ if is_clients($i, @_[2, 3]) && !$own->{$_[3]}; return 0 }) if !$i->{held};
    }
    # The service may be about to do it: it does so every 2 s.
    my @unarmed = grep { $_->{held} || $open{$_->{title}} } @instances;
    for (0 .. 4) {
        if ($_) { pause(0.1); $addresses = addresses() }
        @unarmed = grep { !is_armed($_, $addresses) } @unarmed or last;
    }
    my %unarmed = map { $_->{title} => 1 } @unarmed;
    for my $i (@instances) {
        my $open = $open{$i->{title}} // {};
        print "instance $i->{title} ", $i->{held} ? 'held' : %$open ? 'kept' : 'none', "\n";
        print "unarmed $i->{title}\n" if $unarmed{$i->{title}};
        print "open $i->{title} $_ $open->{$_}\n" for sort { $a <=> $b } keys %$open;
        for (@{$i->{peers}}) {
            my $is_proven = () = elements_of($i->{table}, "proven.$i->{name}.$_->[0]");
            print "proven $i->{title} $_->[2] ", $is_proven ? 'yes' : 'no', "\n";
        }
    }
}

sub main {
    my ($what) = @_;
    if (($what // '') !~ /^(?:run|reload|status|stopped|disarm)$/) { print STDERR "usage: open-connections.pl run|reload|status|stopped|disarm\n"; exit 2 }
    read_settings($settings) if $what ne 'reload';
    if ($what eq 'run') { mkdir $RUN; run() }
    elsif ($what eq 'reload') { reload() }
    elsif ($what eq 'status') { status() }
    elsif ($what eq 'stopped') { stopped(@instances) }
    else {
        disarm($_) for @instances;
        disarm_all_but();
        put_sysctls_back();
        end_nft(all_nft());
        delete_table($_) for qw(ip ip6);
        unlink $loaded, $state, $noted, "$RUN/open-connections.change";
    }
}

main(@ARGV) if !caller;    # a test reads its functions
1;
