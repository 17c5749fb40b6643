#!/usr/bin/perl
# The fast profile's check asks HAProxy itself, because a hung process is still a process. It must not look at the backends: where
# they are down, they are down for another server too. perl-base is part of every Debian and Ubuntu; curl, socat and python are not.
#
# A server short of CPU must not fail for that reason (evidence H7): with a plain limit in ms, 2 cores under a load of 12 gave 20 false alarms a
# minute, all of them runs that keepalived stopped. So the limit is a number of waits, which take longer on a busy server for this script as
# for HAProxy, and a run whose time is over repeats the verdict of the run before. A haproxy with a thread in state R (proc(5): running,
# or waiting to run) is not hung, and the check waits for it. One that loops is killed by HAProxy's own watchdog, and the hooks notice that. A
# reload re-executes the master, which does not answer until it has read its configuration. While systemd says "reloading" the old workers
# go on serving, and a question that the reload has lost is asked again. On a busy server the reload is often over before systemd answers: the
# master has bound its socket anew then (evidence H10).
#
# The master gets a first command, and only one that answers gets the question to the worker. If HAProxy 2.2 finds, after a sleep, a
# question whose sender is gone, it keeps that connection for ever, and after ten of these its master does not answer any more (evidence H8).
#
# Evidence and decisions that comments name are in docs/ of hactl's repository.
use strict;
use warnings;
use Socket qw(:DEFAULT SOCK_NONBLOCK);
# $run is the shell that keepalived has started, and $keepalived who has.
my ($asks, $end, $spacing, $waits, $wait, $run, $keepalived) = @ARGV;
my $failed = "/run/hactl/.check_failed";
my $answered = 0;

# Whether the marks are this run's to change. Those of a later run are not: this program may outlive its shell, which answers for it once the time
# is over.
sub is_current { return $asks > 1 && getppid() == $run }

# This program has started in time, so what the shell has noted of late ones no longer counts.
unlink "/run/hactl/.check_late" if is_current();

# Whether systemd has already told keepalived that haproxy is down. The check waits for a quick restart, so that no failed check delays the
# return: a haproxy that was up when this run began and is down at its end is left to the next run.
sub down { open(my $file, "<", "/run/hactl/haproxy_down") or return 0; return $asks > 1 && (<$file> // "") =~ /^1/ }

# Every run that passes, late or not, removes the mark of a failure. Otherwise a run that ends without any answer would repeat a failure that
# keepalived has long forgotten. It goes with the first answer: the shell, which gets keepalived's SIGTERM too, goes by it.
sub forget { unlink $failed if is_current() }
sub passed { forget(); exit 0 }

# The time is over without a verdict: the last verdict is repeated. "once" has no last verdict.
sub undecided { passed() if $answered; exit($asks > 1 && !down() && !-e $failed ? 0 : 1) }
$SIG{TERM} = \&undecided;

# The master closes its connections when it executes itself, also between an answer and the next question. That is no end of this run.
$SIG{PIPE} = "IGNORE";

sub now { open(my $uptime, "<", "/proc/uptime") or return 0; return (split " ", <$uptime>)[0] }

# The uptime at which a process started, undef for one that has ended.
sub started { open(my $stat, "<", "/proc/$_[0]/stat") or return undef; return (split " ", (<$stat> // "") =~ s/.*\)//r)[19] / 100 }

# When keepalived started this run, as far as the two clocks agree (in some containers they do not).
my $began = now();
my $start = started($run) // $began;
$began = $start if $start <= $began && $began - $start < 5;
sub pause { undecided() if now() > $began + $end; select(undef, undef, undef, $_[0]) if $_[0] > 0 }

# A keepalived that has just started holds no address and takes none before its first verdict: one answer is enough for that.
sub is_first { return $asks > 1 && abs($began - (started($keepalived) // 0)) < 1 }

# A service has a cgroup of its own, and so has a container.
sub cgroup { open(my $file, "<", "/proc/$_[0]/cgroup") or return ""; return join "", <$file> }

# The master at the other end, and the workers that it has started last, which are those that it asks. A haproxy of a container, or a worker of
# before a reload with transfers to end, may run at every look: that says nothing of these.
sub asked {
    my ($master) = (unpack("i", getsockopt($_[0], SOL_SOCKET, SO_PEERCRED) // ""), 0);
    my ($own, $last, %started) = (cgroup($master), 0);
    for my $pid (split " ", `pidof haproxy`) {
        next if $own ne "" && cgroup($pid) ne $own;
        $started{$pid} = started($pid) // next;
        $last = $started{$pid} if $pid != $master && $started{$pid} > $last;
    }
    return grep { $_ == $master || $started{$_} > $last - 1 } keys %started;
}

# Whether HAProxy may still answer: it waits for a CPU (a thread that loops looks the same, and HAProxy kills that itself), or a reload has just
# started it again and the question went to the process before.
sub unsettled {
    for my $path (map { glob "/proc/$_/task/*/stat" } asked($_[0])) {
        open(my $stat, "<", $path) or next;
        my ($state, $started) = (split " ", (<$stat> // "") =~ s/.*\)//r)[0, 19];
        return 1 if ($state // "") eq "R" || abs(now() - ($started // 0) / 100) < 1;
    }
    return 0;
}

# Which socket the master has bound: each time that it executes itself it binds another one in the same place.
sub bound { return (stat "/run/haproxy-master.sock")[1] // 0 }

# Whether systemd says that haproxy reloads. keepalived may cut this run off before systemd answers: then there is no verdict.
sub reloading {
    my $state = `systemctl is-active haproxy.service`;
    undecided() if $state eq "";
    return $state eq "reloading\n";
}

sub answers {
    for (my $left = $waits; $left > 0; $left--) {
        my ($socket, $said, $asked) = (undef, "", 0);
        if (socket($socket, PF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)
            and connect($socket, pack_sockaddr_un("/run/haproxy-master.sock"))
            and syswrite($socket, "prompt\n")) {
            vec(my $wanted = "", fileno($socket), 1) = 1;
            while ($left > 0) {
                my $looked = now();
                # An answer that is there counts, however late this run looks for it.
                if (select(my $ready = $wanted, undef, undef, $wait) < 1) {
                    pause(0);
                    # A wait that took twice its time was short of CPU, and so may HAProxy be: it does not count.
                    next if now() - $looked > $wait * 2 or --$left > 0;
                    # An answer that arrived during the last wait counts.
                    if (unsettled($socket)) { $left = $waits; last }
                    $left = select($ready = $wanted, undef, undef, 0);
                    next;
                }
                sysread($socket, $said, 8192, length $said) or last;
                return 1 if $said =~ /^Pid: \d/m;
                pause(0);
                $asked = syswrite($socket, "\@1 show info\n") if !$asked && $said =~ />/;
            }
        }
        # The connection was refused or cut, as while the master re-executes itself: try again.
        pause($wait);
    }
    return 0;
}

for my $i (0 .. $asks - 1) {
    pause($began + $i * $spacing - now());
    pause($wait) while down();
    my $socket = bound();
    if (answers()) { $answered = 1; forget(); passed() if is_first(); next }
    redo if down();
    last if reloading();
    # A reload began and ended since the question.
    redo if bound() != $socket;
    open(my $mark, ">", $failed) if is_current();
    exit 1;
}
passed();
