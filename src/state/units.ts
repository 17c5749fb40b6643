/** By systemd unit name without ".service"; their packages have the same names. */
export const UNITS = ['haproxy', 'keepalived'] as const

/** One of the services that hactl manages. */
export type Unit = (typeof UNITS)[number]
