# How a script runs in the shell that was opened for it (src/engine/ssh/become.ts): hactl_begin, the script as a function, hactl_run.

# What every script starts from, whatever the settings of the login user are.
hactl_begin() {
  LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  export LC_ALL PATH
  umask 022
  cd /
}

# hactl_run FUNCTION: ends the shell with the function's status. A watcher reads what follows on stdin. A line means "stop", and ends the
# process group. The end of stdin does not, so that a package installation survives a lost connection (it ends by itself, or by timeout(1)).
# The watcher starts from a subshell of its own, so that "wait" in a script does not wait for it. The call must be the last line: the shell
# must have read all of its own text before the watcher starts to read.
hactl_run() {
  exec 3<&0
  ( { read -r _ <&3 && kill -TERM 0; } >/dev/null 2>&1 & )
  "$1" </dev/null 3<&-
  exit $?
}
