# Symbolic links in place of files: where they lead is noted beside the copy of their content, because a rename over them takes them away.
# What they lead to is its owner's.

# link PATH COPY: notes where a link at PATH leads.
link() { [ ! -L "$1" ] || readlink -- "$1" >"$2.link"; }

# linked COPY PATH: PATH becomes the link that was noted beside its COPY, if one was.
linked() { [ ! -e "$1.link" ] || ln -sfT -- "$(cat "$1.link")" "$2"; }
