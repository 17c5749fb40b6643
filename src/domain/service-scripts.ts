/** The table of services: how haproxy and keepalived say for themselves that they run what is on disk: `systemctl reload` exits 0 even where they do not. */
import type { ServiceTable } from '../state.ts'
import type { Cluster } from './cluster-types.ts'
import { sayHaproxyRunsToKeepalived } from './desired.ts'
import { CHECK_SCRIPT, HAPROXY_MASTER_SOCKET } from './paths.ts'

// "show proc" of the master CLI (haproxy management.txt, 13.1 "CLI master proxy"): current workers stand under "# workers".
const WORKERS = `
workers() {
  timeout 3 perl -MIO::Socket::UNIX -e '
    my $s = IO::Socket::UNIX->new(Peer => "${HAPROXY_MASTER_SOCKET}") or exit 1;
    print $s "show proc\\n"; $s->flush; $s->shutdown(1);
    my ($in, $failed) = (0, 0);
    while (<$s>) {
      $in = /^# workers/ if /^# /;
      print "$1 " if $in && /^(\\d+)\\s+worker/;
      $failed = $1 if /failed: (\\d+)/;
    }
    print "failed " if $failed;
  ' 2>/dev/null || { main=$(systemctl show -p MainPID --value haproxy.service); cat "/proc/$main/task/$main/children" 2>/dev/null; }
}
answers() {
  n=0
  while [ $n -lt 100 ]; do
    timeout -k 1 3 ${CHECK_SCRIPT} once >/dev/null 2>&1 && return 0
    sleep 0.05; n=$((n+1))
  done
  echo "the check script ${CHECK_SCRIPT} says that haproxy does not answer"
  return 1
}`

/**
 * A worker that was not there before is the only proof of a reload: where a listener cannot be bound the master keeps the old worker
 * and counts a failure (evidence H2).
 */
const HAPROXY_LOADED = `
n=0
while [ $n -lt 400 ]; do
  for pid in $(workers); do
    if [ "$pid" = failed ]; then echo "haproxy kept its old configuration: the new one could not be loaded"; return 1; fi
    case " $before " in *" $pid "*) ;; *) answers; return ;; esac
  done
  sleep 0.05; n=$((n+1))
done
echo "no new worker appeared"
return 1`

/**
 * keepalived's own dump must show every expectation (extended regular expressions). The first look waits a moment: a child that has not
 * yet set its signal handlers would die of the question.
 */
const KEEPALIVED_SHOWS = `
n=0
missing=
sleep 0.2
while [ $n -lt 60 ]; do
  pid=; [ -r /run/keepalived.pid ] && read -r pid </run/keepalived.pid
  if [ -n "$pid" ] && [ -d "/proc/$pid" ]; then
    rm -f /tmp/keepalived.json; kill -36 "$pid"
    j=0; while [ $j -lt 10 ] && ! [ -s /tmp/keepalived.json ]; do sleep 0.02; j=$((j+1)); done
    missing=
    for x in "$@"; do grep -qE -- "$x" /tmp/keepalived.json 2>/dev/null || missing=$x; done
    [ -n "$missing" ] || return 0
  fi
  sleep 0.05; n=$((n+1))
done
if [ -n "$missing" ]; then echo "keepalived runs, but its own view lacks $missing"; else echo "keepalived does not run"; fi
return 1`

/** One server's services, as the engine has to know them. */
export function serviceTableFor(cluster: Cluster, server: string): ServiceTable {
  return {
    haproxy: {
      unit: 'haproxy',
      comparedId: undefined,
      beforeReload: `${WORKERS}\nbefore=$(workers | sed 's/failed//')`,
      loaded: HAPROXY_LOADED,
      started: `${WORKERS}\nanswers`,
      putBack: `${WORKERS}\nanswers`,
      expect: [],
    },
    keepalived: {
      unit: 'keepalived',
      comparedId: 'file/keepalived.conf',
      // Before it reads the file: a tracker that it has to make itself begins with "down", and the holder would give the address up.
      beforeReload: cluster.profile === 'fast' ? sayHaproxyRunsToKeepalived() : ':',
      loaded: KEEPALIVED_SHOWS,
      started: KEEPALIVED_SHOWS,
      putBack: ':',
      expect: cluster.instances.flatMap(instance => [
        `"iname":"${instance.name.replace(/[.]/g, '\\.')}"`,
        `"vrid":${instance.virtualRouterId},`,
        `"base_priority":${instance.priority[server] ?? 0},`,
        ...instance.virtualAddresses.map(vip => `"${vip.address.replaceAll('.', '\\.')}[ \\/]`),
      ]),
    },
  }
}
