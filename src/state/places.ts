/** Where hactl keeps what it knows of a server, on that server; src/engine/server-state says what is in there. */
export const STATE_DIR = '/var/lib/hactl'

/** Programs that other files of hactl call. They are written before those files and removed after them, and their folder with the last of them. */
export const PROGRAM_DIR = '/usr/local/lib/hactl'

/** The list of the cluster's servers: a file like those that an inventory describes. Every server keeps it, so that one that left is noticed. */
export const MEMBERS = `${STATE_DIR}/members`
