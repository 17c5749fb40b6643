# Symbolic links in place of files: the target is noted beside the copy of the content, because a rename replaces the link.
# The target itself is never changed.

# link PATH COPY: notes the target of a link at PATH.
link() { [ ! -L "$1" ] || { readlink -- "$1" >"$2.link" && sync "$2.link"; }; }

# linked COPY PATH: makes PATH the link that was noted beside COPY, if there was one.
linked() { [ ! -e "$1.link" ] || ln -sfT -- "$(cat "$1.link")" "$2"; }
