# PATH TRIES: prints a dump of keepalived's as soon as it is whole. The exit status is that of dump_of.
# needs: keepalived-dump.pl
my ($status, $text) = dump_of(@ARGV);
print $text;
exit $status;
