# Symbolic links in place of files: where they lead is noted beside the copy of their content, because a rename over them takes them away.
# What they lead to is its owner's.
# given: STATE_DIR

# link PATH COPY: notes where a link at PATH leads.
link() { [ ! -L "$1" ] || readlink -- "$1" >"$2.link"; }

# linked COPY PATH: PATH becomes the link that was noted beside its COPY, if one was.
linked() { [ ! -e "$1.link" ] || ln -sfT -- "$(cat "$1.link")" "$2"; }

# original_of PATH: where a file that hactl replaced is kept for good.
original_of() { printf '%s/original/%s' "$STATE_DIR" "$(printf %s "$1" | tr / _)"; }

# The folder of those copies: for root only.
originals() { [ -d "$STATE_DIR/original" ] || mkdir -m 0700 "$STATE_DIR/original"; }
