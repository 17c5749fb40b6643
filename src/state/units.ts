/** By systemd unit name without ".service"; their packages are called the same. */
export const UNITS = ['haproxy', 'keepalived'] as const

/** One of the services that hactl looks after. */
export type Unit = (typeof UNITS)[number]
