# Stages files beside the live ones, and has them accepted by the programs that will read them.
# needs: report.sh
# given: THIS_RUN STAGED_IN_RUN

# The folder for what this run stages, for root only.
make_staged() {
  umask 077
  mkdir -p "$THIS_RUN/$STAGED_IN_RUN"
  umask 022
}

# stage STAGED MODE PATH BASE64: the staged copy has the mode of the live file, because a check script that others could write would be refused.
stage() {
  printf %s "$4" | base64 -d >"$1" && chmod "$2" "$1" || fail staging "$3 could not be staged (disk full?)"
}

# check_file ID PATH CANDIDATE SILENT COMMAND WORD...: COMMAND must accept CANDIDATE, the new PATH. Where SILENT is yes, it must also print
# nothing. A check is no change, and ID must not look like one. COMMAND may be a function: its name begins with that of the program and "_".
check_file() {
  id=$1 path=$2 candidate=$3 silent=$4 program=${5%%_*}
  shift 4
  step "$id" "check the new $path"
  out=$("$@" 2>&1)
  rc=$?
  [ "$silent" = yes ] && [ $rc -eq 0 ] && [ -n "$out" ] && rc=complaints
  [ -n "$out" ] && printf '%s\n' "$out" | sed -e "s|$candidate|$path|g" -e "s|$THIS_RUN/$STAGED_IN_RUN/[0-9a-f]\{64\}-||g" | tail -n 20
  [ "$rc" = 0 ] || fail "$id" "$path was refused by $program"
  done_ "$id"
}
