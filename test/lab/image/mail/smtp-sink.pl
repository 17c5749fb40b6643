#!/usr/bin/perl
# Accepts every mail and stores each as one file; perl-base is all it needs.
use strict;
use warnings;
use IO::Socket::INET;

my ($port, $dir) = @ARGV;
$| = 1;
$SIG{TERM} = $SIG{INT} = sub { exit 0 };
$SIG{CHLD} = 'IGNORE';

my $server = IO::Socket::INET->new(LocalPort => $port, Listen => 64, ReuseAddr => 1)
  or die "cannot listen on port $port: $!\n";
my $count = 0;

while (1) {
  my $client = $server->accept or next;
  $count++;
  my $pid = fork;
  if (!defined $pid) { close $client; next }
  if ($pid == 0) { close $server; serve($client, $count); exit 0 }
  close $client;
}

sub serve {
  my ($c, $n) = @_;
  my ($from, @to, $stored) = ('');
  my $say = sub { print {$c} "$_[0]\r\n" };
  $c->autoflush(1);
  # A client that forgets to hang up must not pile up processes.
  alarm 60;
  $say->('220 lab mail sink');
  while (defined(my $line = <$c>)) {
    $line =~ s/\r?\n\z//;
    if ($line =~ /^EHLO\b/i) { $say->('250-lab'); $say->('250 8BITMIME') }
    elsif ($line =~ /^HELO\b/i) { $say->('250 lab') }
    elsif ($line =~ /^MAIL FROM:\s*<?([^>\s]*)>?/i) { $from = $1; @to = (); $say->('250 ok') }
    elsif ($line =~ /^RCPT TO:\s*<?([^>\s]*)>?/i) { push @to, $1; $say->('250 ok') }
    elsif ($line =~ /^DATA\b/i) {
      if (!@to) { $say->('503 no recipient'); next }
      $say->('354 end with a dot');
      my ($body, $ended) = ('', 0);
      while (defined(my $l = <$c>)) {
        $l =~ s/\r?\n\z//;
        if ($l eq '.') { $ended = 1; last }
        $l =~ s/^\.//;
        $body .= "$l\n";
      }
      last if !$ended;
      $stored++;
      my $name = sprintf '%010d-%06d-%d.eml', time, $n, $stored;
      # Written aside and renamed, so that a reader never sees half a mail.
      if (open my $fh, '>', "$dir/.$name") {
        print {$fh} "X-Envelope-From: $from\n", "X-Envelope-To: " . join(', ', @to) . "\n";
        print {$fh} "X-Peer: " . $c->peerhost . "\n", $body;
        close $fh;
        rename "$dir/.$name", "$dir/$name";
        print "stored $name from <$from> to @to\n";
        $say->('250 stored');
      } else {
        $say->("451 cannot store: $!");
      }
      ($from, @to) = ('');
    }
    elsif ($line =~ /^RSET\b/i) { ($from, @to) = (''); $say->('250 ok') }
    elsif ($line =~ /^(?:NOOP|VRFY)\b/i) { $say->('250 ok') }
    elsif ($line =~ /^QUIT\b/i) { $say->('221 bye'); last }
    else { $say->('500 unknown command') }
  }
}
