# Whether haproxy would load a certificate.

# haproxy_loads PATH: haproxy reads the file as it will at a start. The answer does not depend on whether haproxy.cfg names the file yet.
haproxy_loads() {
  printf 'frontend check\n mode http\n timeout client 1s\n bind 127.0.0.1:1 ssl crt %s\n' "$1" | haproxy -c -f /dev/stdin
}
