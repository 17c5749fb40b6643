# Counts open connections.

# count_connections SOURCE FILTER: prints how many connections of the address SOURCE pass FILTER, both as ss(8) takes them. Ends with another
# status than 0 where ss cannot tell.
count_connections() {
  found=$(ss -Htn state established src "$1" "$2") || return
  printf %s "$found" | grep -c '' || true
}
