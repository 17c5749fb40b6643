# The sections of an answer: the lines between "@@begin NAME" and "@@end NAME".

b() { printf '@@begin %s\n' "$1"; }
e() { printf '\n@@end %s\n' "$1"; }
