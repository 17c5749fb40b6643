# Several probes at the same time.

# numbered NUMBER COMMAND WORD...: starts COMMAND beside the others. Every line of its answer begins with NUMBER.
numbered() {
  number=$1
  shift
  "$@" 2>&1 | sed "s/^/$number /" &
}
