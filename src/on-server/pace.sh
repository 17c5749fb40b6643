# How often a server is looked at: looks must not take the CPU that haproxy needs.

# Sets now to the uptime in hundredths of a second: nobody sets that clock.
now() {
  read -r uptime _ </proc/uptime
  now=${uptime%.*}${uptime#*.}
}

# in_seconds HUNDREDTHS: sets seconds to "0.08" for 8.
in_seconds() {
  case $1 in
    ?) seconds=0.0$1 ;;
    ??) seconds=0.$1 ;;
    *) seconds=${1%??}.${1#"${1%??}"} ;;
  esac
}

# pause HUNDREDTHS TOOK: waits between two looks; four times as long as the last one took, where that is longer and not the clock's own step (evidence T18).
pause() {
  if [ "$2" -gt 1 ] && [ $(($2 * 4)) -gt "$1" ]; then in_seconds $(($2 * 4)); else in_seconds "$1"; fi
  sleep "$seconds"
}

# wait_while HUNDREDTHS PAUSE CONDITION: waits while CONDITION holds, for HUNDREDTHS at the most, with a look after each PAUSE in hundredths of a
# second. The clock decides and not the number of looks, because on a busy server each look takes longer.
wait_while() {
  now
  end=$((now + $1))
  began=$now
  while "$3" && now && [ "$now" -lt "$end" ]; do
    pause "$2" $((now - began))
    now
    began=$now
  done
}
