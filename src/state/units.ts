/** The services that hactl looks after. Types only. */

/** The two services hactl looks after, by systemd unit name without ".service". */
export type Unit = 'haproxy' | 'keepalived'
