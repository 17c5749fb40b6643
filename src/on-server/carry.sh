# Packages from the operator for a server whose apt reaches no mirror: their folder becomes apt's only repository.
# given: DOWNLOADS CARRIED_CONF

make_room() { rm -rf "$DOWNLOADS" && mkdir -p "$DOWNLOADS/partial" "$DOWNLOADS/lists/partial"; }

# append PATH BASE64: appends a part of a file.
append() { printf %s "$2" | base64 -d >>"$1"; }

# index_packages SUMS CONF: writes the index of a flat repository (apt-ftparchive(1), packages) without dpkg-dev, which servers do not have. apt
# trusts the repository, because checksums show that the files are those of the operator's folder. SUMS: input of sha256sum. CONF: text for
# apt.conf(5).
index_packages() {
  told=$(printf '%s\n' "$1" | sha256sum -c 2>&1) || {
    printf '%s\n' "$told" | grep -v ': OK$'
    exit 1
  }
  cd "$DOWNLOADS" || exit 1
  for deb in *.deb; do
    dpkg-deb -f "$deb" || exit 1
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -c1-64)"
  done >Packages
  echo "deb [trusted=yes] file:$DOWNLOADS ./" >sources.list
  printf '%s\n' "$2" >"$CARRIED_CONF"
}
