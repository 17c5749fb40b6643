#!/usr/bin/perl
# The fast profile's check asks HAProxy itself, because a hung process is still a process. It must not look at the backends: where
# they are down, another server would not serve better. perl-base is part of every Debian and Ubuntu; curl, socat and python are not.
#
# A server short of CPU must not fail for that (evidence H7): with a plain limit in ms, 2 cores under a load of 12 gave 20 false alarms a minute,
# all of them runs that keepalived cut off. So the limit is counted in waits, which take longer on a busy server for this script as
# for HAProxy, and a run whose time is up repeats the verdict of the one before. A haproxy with a thread in state R (proc(5): running,
# or waiting to) is not hung and is waited for: one that loops is killed by HAProxy's own watchdog, which the hooks see. A reload
# re-executes the master, which answers nobody until it has read its configuration: while systemd says "reloading" the old workers
# serve on, and a question that the reload has swallowed is put again.
#
# The master is greeted first, and only one that answers gets the question to the worker: of a question that it finds after a sleep, put by
# someone who has gone, HAProxy 2.2 keeps the connection for good, and after ten of these its master answers nobody (evidence H8).
use strict;
use warnings;
use Socket qw(:DEFAULT SOCK_NONBLOCK);
my ($asks, $end, $spacing, $waits, $wait) = @ARGV;
my $failed = "/run/hactl/.check_failed";
my $answered = 0;

# What systemd has told keepalived already. A quick restart is waited for, so that no failed check delays the way back:
# who was well when this run began and is down at its end is left to the next.
sub down { open(my $file, "<", "/run/hactl/haproxy_down") or return 0; return $asks > 1 && (<$file> // "") =~ /^1/ }

# The time is up without a verdict: the last one holds, and one question alone has no last one.
sub undecided { exit($answered || ($asks > 1 && !down() && !-e $failed) ? 0 : 1) }
$SIG{TERM} = \&undecided;

sub now { open(my $uptime, "<", "/proc/uptime") or return 0; return (split " ", <$uptime>)[0] }

# When keepalived started this run, as far as the two clocks agree (in some containers they do not).
my $began = now();
if (open(my $stat, "<", "/proc/self/stat")) {
    my $started = (split " ", <$stat> =~ s/.*\)//r)[19] / 100;
    $began = $started if $started <= $began && $began - $started < 5;
}
sub pause { undecided() if now() > $began + $end; select(undef, undef, undef, $_[0]) if $_[0] > 0 }

# A keepalived that has just started holds no address and takes none before its first verdict: one answer will do for that.
sub is_first {
    open(my $stat, "<", "/proc/" . getppid() . "/stat") or return 0;
    return $asks > 1 && abs($began - (split " ", (<$stat> // "") =~ s/.*\)//r)[19] / 100) < 1;
}

# Is HAProxy about to answer? It wants a CPU that it does not get (a thread that loops looks the same, and is killed by HAProxy
# itself), or a reload has just made it anew and the question went to the one before.
sub unsettled {
    for my $path (map { glob "/proc/$_/task/*/stat" } split " ", `pidof haproxy`) {
        open(my $stat, "<", $path) or next;
        my ($state, $started) = (split " ", (<$stat> // "") =~ s/.*\)//r)[0, 19];
        return 1 if ($state // "") eq "R" || abs(now() - ($started // 0) / 100) < 1;
    }
    return 0;
}

sub answers {
    for (my $left = $waits; $left > 0; $left--) {
        my ($socket, $said, $asked) = (undef, "", 0);
        if (socket($socket, PF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)
            and connect($socket, pack_sockaddr_un("/run/haproxy-master.sock"))
            and syswrite($socket, "prompt\n")) {
            vec(my $wanted = "", fileno($socket), 1) = 1;
            while ($left > 0) {
                pause(0);
                my $looked = now();
                if (select(my $ready = $wanted, undef, undef, $wait) < 1) {
                    # A look that took twice its time was short of CPU, as HAProxy may be: it says nothing.
                    next if now() - $looked > $wait * 2 or --$left > 0;
                    # What came during that last look counts.
                    if (unsettled()) { $left = $waits; last }
                    $left = select($ready = $wanted, undef, undef, 0);
                    next;
                }
                sysread($socket, $said, 8192, length $said) or last;
                return 1 if $said =~ /^Pid: \d/m;
                $asked = syswrite($socket, "\@1 show info\n") if !$asked && $said =~ />/;
            }
        }
        # Refused or cut short, as while the master re-executes itself: once more.
        pause($wait);
    }
    return 0;
}

for my $i (0 .. $asks - 1) {
    pause($began + $i * $spacing - now());
    pause($wait) while down();
    if (answers()) { exit 0 if is_first(); $answered = 1; next }
    redo if down();
    open(my $mark, ">", $failed) if $asks > 1;
    exit 1 if `systemctl is-active haproxy.service` ne "reloading\n";
    last;
}
unlink $failed if $asks > 1;
