# Reads keepalived's answers: dumps in /tmp, where every user can put something of the same name.
# given: ANSWER_PROGRAM

# answer_in PATH TRIES: see keepalived-answer.pl, which it is. It takes TRIES times 20 ms at the most.
answer_in() { perl -e "$ANSWER_PROGRAM" -- "$1" "$2"; }
