# Restores, from the record of a run, what its switch replaced on this server. It is safe to run twice, and on a full disk: files that did not
# change need no room.
# needs: report.sh alone.sh links.sh state.sh companion.sh
# given: THIS_RUN RECORD_IN_RUN OWNED_IN_RUN STAGED_IN_RUN UNDONE_IN_RUN LOADED_DIR OWN_TOOLS PROGRAM_DIR

trap '' PIPE HUP
record="$THIS_RUN/$RECORD_IN_RUN"
failed=0

# From here on no part of this run changes anything.
begin_restore() {
  umask 077
  mkdir -p "$THIS_RUN"
  umask 022
  : >"$THIS_RUN/$UNDONE_IN_RUN"
  [ -e "$record" ] || exit 0
  rm -rf "${THIS_RUN:?}/$STAGED_IN_RUN"
}

# put_back MARK PATH COPY: restores a file. MARK is - where there was none.
put_back() {
  rm -f "$2.hactl-new"
  if [ "$1" = + ] && [ ! -e "$3.link" ] && cmp -s "$3" "$2"; then
    chown "$(stat -c %u:%g -- "$3")" "$2" && chmod "$(stat -c %a -- "$3")" "$2" || failed=1
  elif [ "$1" = + ]; then
    # The folder of programs was removed with the last program.
    [ -d "${2%/*}" ] || mkdir -p -- "${2%/*}"
    cp -p -- "$3" "$2.hactl-new" && linked "$3" "$2.hactl-new" && { [ -h "$2.hactl-new" ] || sync "$2.hactl-new"; } && mv -f "$2.hactl-new" "$2" || {
      failed=1
      echo "$2 could not be restored; its copy is $3"
    }
    case $2 in "$OWN_TOOLS"*) "$2" open >/dev/null 2>&1 </dev/null ;; esac
  else
    case $2 in "$OWN_TOOLS"*) [ ! -x "$2" ] || "$2" close >/dev/null 2>&1 </dev/null ;; esac
    rm -f "$2"
  fi
}

# Files, their ownership, and kernel parameters.
put_files_back() {
  step files 'restore the previous files'
  while read -r word mark path copy; do
    case "$word" in
      file)
        # Programs that other files call are removed after those files.
        case "$mark $path" in "- $PROGRAM_DIR/"*) ;; *) put_back "$mark" "$path" "$copy" ;; esac
        ;;
      sysctl)
        [ -z "$path" ] || sysctl -q -w "$mark=$path" || {
          failed=1
          echo "$mark could not be reset to $path"
        }
        ;;
    esac
  done <"$record"
  owned_then="$THIS_RUN/$OWNED_IN_RUN"
  if [ -e "$owned_then" ] && ! cmp -s "$owned_then" "$OWNED"; then
    cp -p "$owned_then" "$OWNED.new" && sync "$OWNED.new" && mv -f "$OWNED.new" "$OWNED" || {
      rm -f "$OWNED.new"
      failed=1
      echo "$OWNED could not be restored; its copy is $owned_then"
    }
  fi
  systemctl daemon-reload
  while read -r word mark path copy; do
    case "$word $mark $path" in "file - $PROGRAM_DIR/"*) put_back - "$path" "$copy" ;; esac
  done <"$record"
  rmdir "$PROGRAM_DIR" 2>/dev/null
  done_ files
}

# put_unit_back UNIT COMPANION ANSWERS: a unit that ran reloads its old file, one that did not run is stopped, one that was not enabled is disabled
# again. ANSWERS is a call, as text: whether the daemon works.
put_unit_back() {
  has_line "$record" "unit $1" || return 0
  step "service/$1" "restore $1"
  unit=$1 companion=$2 call_answers=$3
  # shellcheck disable=SC2046 # Words of one line of the record.
  set -- $(line_with "$record" "unit $1")
  was=$3 at_boot=$4 loaded=${5:-}
  rm -f "$LOADED_DIR/$unit"
  if [ "$was" != active ]; then
    systemctl stop "$unit"
    systemctl reset-failed "$unit" 2>/dev/null
    [ "$at_boot" != disabled ] || systemctl disable --quiet "$unit"
    settle_companion "$unit" "$companion"
    done_ "service/$unit"
    return
  fi
  if systemctl is-active --quiet "$unit"; then
    systemctl reload "$unit"
  else
    systemctl reset-failed "$unit" 2>/dev/null
    systemctl start "$unit"
  fi
  settle_companion "$unit" "$companion" || {
    failed=1
    echo "$companion does not start"
  }
  # Where hactl did not manage the unit before, its check may have just been removed: then it only has to run.
  if { [ -z "$loaded" ] || eval "$call_answers"; } && systemctl is-active --quiet "$unit"; then
    [ -n "$loaded" ] && printf '%s\n' "$loaded" >"$LOADED_DIR/$unit"
    [ "$at_boot" != disabled ] || systemctl disable --quiet "$unit"
    done_ "service/$unit"
  else
    failed=1
    printf '@@fail %s does not answer after its old configuration was restored\n' "service/$unit"
  fi
}

end_restore() {
  [ $failed = 0 ] || unless_stopping
  exit $failed
}
