# Reads one answer of HTTP/1.0 or 1.1 to its end (RFC 9112, section 6.3), or up to $most bytes: src/system.ts, which does the same on the controller,
# says why so many.
use strict; use warnings; use IO::Socket::IP;
my $most = 32 * 1024;
my $longest_line = 1024;
my ($bytes, $rest, $quiet, $is_silent, $code) = (0, "");
sub more {
  my $s = shift;
  die "enough\n" if $bytes >= $most;
  vec(my $asked = "", fileno $s, 1) = 1;
  $is_silent = 1 until select(my $readable = $asked, undef, undef, $quiet);
  my $n = sysread($s, $rest, 65536, length $rest);
  die "$!\n" if !defined $n;
  die "closed before its end\n" if $n == 0;
  ($bytes, $is_silent) = ($bytes + $n, 0);
}
# A line without its end; of one that is longer than LONGEST as many bytes as have come.
sub line {
  my ($s, $longest) = @_;
  my $end;
  while (($end = index($rest, "\n")) < 0) { return $rest if defined $longest && length $rest >= $longest; more($s) }
  return substr($rest, 0, $end + 1, "") =~ s/\s+$//r;
}
sub skip {
  my ($s, $left) = @_;
  while ($left > length $rest) { $left -= length $rest; $rest = ""; more($s) }
  substr($rest, 0, $left, "");
}
sub skip_chunks {
  my $s = shift;
  while (1) {
    my ($size) = line($s, $longest_line) =~ /^([0-9a-f]{1,8})(?=$|[\s;])/i or die "the answer has chunks without sizes\n";
    last if hex $size == 0;
    skip($s, 2 + hex $size);
  }
  1 while line($s) ne "";
}
sub read_whole {
  my ($s, $judge) = @_;
  my ($status, $length, $coding) = (100);
  # Interim ones come before the answer, as many as the service likes (RFC 9110, section 15.2).
  while ($status < 200 && $status != 101) {
    ($status) = line($s, $longest_line) =~ m{^HTTP/1\.[01] (\d{3})\b} or die "the answer is not HTTP\n";
    $judge->($code = $status) if $status >= 200 || $status == 101;
    ($length, $coding) = ();
    while ((my $field = line($s)) ne "") {
      $length //= $1 if $field =~ /^content-length:\s*(.*)$/i;
      $coding = join ",", $coding // (), $1 if $field =~ /^transfer-encoding:(.*)$/i;
    }
  }
  return if $status == 101 || $status == 204 || $status == 304;
  return skip_chunks($s) if defined $coding && $coding =~ /\bchunked$/i;
  if (defined $coding || !defined $length) {
    eval { while (1) { $rest = ""; more($s) } };
    return if $@ eq "closed before its end\n";
    die $@;
  }
  $length =~ /^\d{1,15}$/ or die "the answer has a Content-Length that is not a number\n";
  skip($s, $length);
}
# Gives the status to JUDGE. Returns why the answer is lost, "" where it is not. LIMIT: in s, by which the caller calls overdue.
sub http_answer {
  my ($s, $limit, $judge) = @_;
  $quiet = $limit / 2;
  return "" if eval { read_whole($s, $judge); 1 };
  chomp(my $why = $@);
  return defined $code ? "" : "no answer in its first $most bytes" if $why eq "enough";
  return $why if $why =~ /^the answer/;
  return "the answer was cut: $why" if defined $code;
  return $why eq "closed before its end" ? "closed without an answer" : $why;
}
# The same where LIMIT s are over. An answer of which bytes still come is slow and not cut.
sub overdue {
  my $limit = shift;
  return "no answer in $limit s" if !defined $code;
  return $is_silent ? "the answer was cut: only a part of it in $limit s" : "";
}
