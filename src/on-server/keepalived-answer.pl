# PATH TRIES: prints a dump that keepalived writes into /tmp, as soon as it is whole; looks TRIES times, 20 ms apart. Exit status 1: there is
# none, or only a part of one. 2: another user may have made what is there, so that it is not read.
# Every user can put a file, a link or a pipe of that name there before keepalived answers. keepalived makes its own and renames it over that
# (evidence K16).
use strict; use warnings; use Fcntl;
my ($path, $tries) = @ARGV;
my $most = 4 * 1024 * 1024;
my $whole = $path =~ /\.json$/ ? qr/\A(?:\[.*\]|\{.*\})\s*\z/s : qr/./s;
my $status = 1;
for (1 .. $tries) {
  # O_NONBLOCK: a pipe is opened without waiting for its other end. What was opened is judged, not what has the name meanwhile.
  if (sysopen my $file, $path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) {
    my ($mode, $links, $owner) = (stat $file)[2, 3, 4];
    if (-f _ && $owner == $> && $links == 1 && !($mode & 022) && -s _ <= $most) {
      $status = 1;
      local $/;
      my $text = <$file>;
      if ($text =~ $whole) { print $text; exit 0 }
    } else {
      $status = 2;
    }
  } else {
    $status = lstat $path ? 2 : 1;
  }
  select undef, undef, undef, 0.02;
}
exit $status;
