# Prints the content of each file in base64, in a section of its own (sections.sh). base64(1) takes only one file: it would be a process for each.
use strict; use warnings;
local $/;
for my $path (@ARGV) {
  my $content = '';
  if (open my $file, '<:raw', $path) { $content = <$file> // '' }
  # perl-base has no MIME::Base64, and uuencode has the same six bits in a character, in lines that begin with their length.
  (my $text = pack 'u', $content) =~ s/^.|\n//gm;
  $text =~ tr{` -_}{AA-Za-z0-9+/};
  my $padding = -length($content) % 3;
  substr($text, -$padding, $padding, '=' x $padding) if $padding;
  print "\@\@begin content $path\n$text\n\@\@end content $path\n";
}
