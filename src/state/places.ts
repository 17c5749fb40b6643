/** Where hactl keeps what it knows of a server, on that server; src/engine/server-state says what is in there. */
export const STATE_DIR = '/var/lib/hactl'

/** Which servers make the cluster: a file like those that an inventory describes, remembered by all of them, so that one that left is missed. */
export const MEMBERS = `${STATE_DIR}/members`
