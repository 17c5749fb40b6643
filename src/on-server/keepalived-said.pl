# JSON DATA PARENT: prints what a look shows of keepalived's dumps, as sections (sections.sh): "instances" is the JSON dump, "held" is the part
# of the data dump about track files, "refused" has the path of each dump that another user may have made. One program reads both dumps, because
# to start perl takes longer than to read them.
# needs: keepalived-dump.pl
my ($json, $data, $parent) = @ARGV;
sub section { my ($name, @lines) = @_; print "\@\@begin $name\n", @lines, "\n\@\@end $name\n" }

my ($json_status, $instances) = dump_of($json, 50);
section('instances', $instances);
# keepalived was asked for it before the JSON dump, so that it is there by now. It contains passwords too: it does not stay, and only its track
# files are printed, up to the next heading.
my ($data_status, $all) = dump_of($data, 1);
unlink $data, $parent;
section('held', grep { /^-----.* Track files >-/ ... /^------</ } split /^/, $all);
section('refused', map { "$_\n" } $json_status == $REFUSED ? $json : (), $data_status == $REFUSED ? $data : ());
