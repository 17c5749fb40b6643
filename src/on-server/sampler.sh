# Prints several times a second which addresses this server holds and the state of its services, one line for each look:
# "hactl up=SECONDS holds=A,B unit:NAME=STATE file:PATH=NUMBER".
# needs: own-addresses.sh pace.sh
# given: VIPS UNITS TRACKERS LOOKS_PER_SYSTEMCTL PAUSE_HUNDREDTHS

# The given variables are lists of words.
set -f

# systemctl is the expensive part of a look. It is asked every LOOKS_PER_SYSTEMCTL looks, and at once when a main process is gone.
look_at_units() {
  states='' pids=''
  for unit in $UNITS; do
    state=unknown pid=0
    for word in $(systemctl show -p ActiveState -p MainPID "$unit.service" 2>/dev/null); do
      case $word in
        ActiveState=*) state=${word#*=} ;;
        MainPID=*) pid=${word#*=} ;;
      esac
    done
    states="$states unit:$unit=$state"
    pids="$pids $pid"
  done
}

is_any_gone() {
  for pid in $pids; do [ "$pid" -eq 0 ] || [ -d "/proc/$pid" ] || return 0; done
  return 1
}

look_at_trackers() {
  files=
  for path in $TRACKERS; do
    value=
    [ -r "$path" ] && read -r value <"$path"
    case $value in
      '') value=none ;;
      *[!0-9-]*) value=unreadable ;;
    esac
    files="$files file:$path=$value"
  done
}

# What look_at_addresses and now have seen.
here=
now=

# Sets found to those of VIPS that here has as whole addresses, and not as the peer of a link, separated by commas.
held() {
  found=
  for vip in $VIPS; do
    case $here in *" inet $vip/"* | *" inet $vip peer "* | *" inet6 $vip/"*) found=$found,$vip ;; esac
  done
  found=${found#,}
}

# sample SECONDS: ends after that time by this server's clock, or when nobody reads any more (SIGPIPE, or a failing echo where that is ignored).
sample() {
  n=0 pids=
  read -r up _ </proc/uptime
  end=$((${up%.*} + $1))
  while read -r up _ </proc/uptime && [ "${up%.*}" -lt $end ]; do
    now
    began=$now
    if [ $((n % LOOKS_PER_SYSTEMCTL)) -eq 0 ] || is_any_gone; then look_at_units; fi
    n=$((n + 1))
    read -r up _ </proc/uptime
    if look_at_addresses; then
      held
      look_at_trackers
      echo "hactl up=$up holds=$found$states$files" || exit 0
    fi
    now
    took=$((now - began))
    # A server that says nothing for 1 s counts as silent (src/domain/failover/timeline.ts). The pause is four times this (evidence T18): 0.48 s
    # leave as much to the look itself.
    [ "$took" -le 12 ] || took=12
    pause "$PAUSE_HUNDREDTHS" "$took"
  done
  exit 0
}
