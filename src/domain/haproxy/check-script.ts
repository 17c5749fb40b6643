/** /usr/local/bin/haproxy-service-check.sh: what keepalived asks about haproxy. */
import type { Cluster } from '../cluster-types.ts'
import { GENERATED_LINE, HAPROXY_MASTER_SOCKET } from '../paths.ts'
import { TRACKER_FILES } from '../trackers.ts'

/** Questions per run, ms between two, and how long each may take: the last answer comes before the next second begins. */
export const CHECK_ASKS = 4
export const CHECK_SPACING_MS = 240
export const CHECK_LIMIT_MS = 200

const CLASSIC = `#!/bin/sh
${GENERATED_LINE}
# Healthy (0) as long as a process named haproxy exists, failed (1) otherwise.
SERVICE=haproxy
STATUS="$(pidof "$SERVICE" | wc -w)"

if [ "$STATUS" -eq 0 ]
then
    exit 1
else
    exit 0
fi
`

/**
 * The fast profile's check asks HAProxy itself, because a hung process is still a process. It must not look at the backends: where
 * they are down, another server would not serve better. perl-base is part of every Debian and Ubuntu; curl, socat and python are not.
 * A reload re-executes the master, which cannot answer meanwhile: while systemd says "reloading" the old workers serve on.
 */
const FAST = `#!/bin/sh
${GENERATED_LINE}
# Asks HAProxy whether it works: exit 0 when it answers, 1 when it does not.
# usage: haproxy-service-check.sh [once]    (keepalived's way is ${CHECK_ASKS} questions within a second)
asks=${CHECK_ASKS}
[ "\${1-}" = once ] && asks=1

# systemd's hooks know of a stop or crash first.
down=0
[ -r ${TRACKER_FILES.haproxy_down} ] && read -r down < ${TRACKER_FILES.haproxy_down}
[ "$down" = 1 ] && [ "$asks" -gt 1 ] && exit 1

if [ ! -S ${HAPROXY_MASTER_SOCKET} ]
then
    echo "${HAPROXY_MASTER_SOCKET} is not there: looking for a haproxy process only" >&2
    pidof haproxy > /dev/null
    exit
fi

exec perl -e '
use strict;
use Socket qw(:DEFAULT SOCK_NONBLOCK);
my ($asks, $spacing, $limit) = @ARGV;

# One question within $left seconds: true and what is left of them when HAProxy answered.
sub ask {
    my ($left) = @_;
    socket(my $socket, PF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0) or return (0, $left);
    connect($socket, pack_sockaddr_un("${HAPROXY_MASTER_SOCKET}")) or return (0, $left);
    syswrite($socket, "\\@1 show info\\n") or return (0, $left);
    vec(my $wanted = "", fileno($socket), 1) = 1;
    my $answer = "";
    while ($left > 0) {
        (my $ready, $left) = select(my $set = $wanted, undef, undef, $left);
        last unless $ready > 0 and sysread($socket, $answer, 8192, length $answer);
        return (1, $left) if $answer =~ /^Pid: \\d/m;
    }
    return (0, $left);
}

for my $i (1 .. $asks) {
    my ($ok, $left) = (0, $limit);
    until ($ok or $left <= 0) {
        ($ok, $left) = ask($left);
        next if $ok;
        select(undef, undef, undef, 0.02);
        $left -= 0.02;
    }
    # A reload: the master reads its configuration anew and answers nobody, the old workers serve on.
    exit(\`systemctl is-active haproxy.service\` ne "reloading\\n") unless $ok;
    select(undef, undef, undef, $spacing - ($limit - $left)) if $i < $asks;
}
' "$asks" ${CHECK_SPACING_MS / 1000} ${CHECK_LIMIT_MS / 1000}
`

/** The script that keepalived runs, as a pure function of the profile. */
export function renderCheckScript(cluster: Cluster): string {
  return cluster.profile === 'classic' ? CLASSIC : FAST
}
