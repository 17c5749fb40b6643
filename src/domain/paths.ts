/** Paths on a server: the only absolute paths that domain code may use. */

import { MEMBERS, PROGRAM_DIR } from '../state/places.ts'

export const HAPROXY_CFG = '/etc/haproxy/haproxy.cfg'
export const KEEPALIVED_CONF = '/etc/keepalived/keepalived.conf'
export const CHECK_SCRIPT = '/usr/local/bin/haproxy-service-check.sh'
/** Asks HAProxy whether it works, for the check script of profile fast. */
export const CHECK_PROGRAM = `${PROGRAM_DIR}/haproxy-check.pl`
/** The script that both drop-ins call. */
export const SERVICE_HOOKS = `${PROGRAM_DIR}/service-hooks.sh`
export const HAPROXY_DROPIN = '/etc/systemd/system/haproxy.service.d/hactl.conf'
export const KEEPALIVED_DROPIN = '/etc/systemd/system/keepalived.service.d/hactl.conf'
export const HAND_OVER_UNIT = '/etc/systemd/system/hactl-hand-over@.service'
export const TMPFILES_CONF = '/etc/tmpfiles.d/hactl.conf'
/** Written by `hactl drain --persist` only, and removed by `hactl undrain`: an inventory does not describe it. */
export const DRAIN_TMPFILES_CONF = '/etc/tmpfiles.d/hactl-drain.conf'
/** The folder that keepalived watches, on tmpfs: it is gone after a boot and made again by tmpfiles.d. */
export const TRACK_DIR = '/run/hactl'
/** Keeps connections open over a move: the resident service, its rules for the packet filter, and what it must know of the cluster. */
export const OPEN_CONNECTIONS_PROGRAM = `${PROGRAM_DIR}/open-connections.pl`
export const OPEN_CONNECTIONS_RULES = `${PROGRAM_DIR}/open-connections.nft`
export const OPEN_CONNECTIONS_SETTINGS = `${PROGRAM_DIR}/open-connections.conf`
export const OPEN_CONNECTIONS_SERVICE = 'hactl-open-connections.service'
export const OPEN_CONNECTIONS_UNIT = `/etc/systemd/system/${OPEN_CONNECTIONS_SERVICE}`
/** Made when the service has loaded its files after a deploy. */
export const OPEN_CONNECTIONS_LOADED = `${TRACK_DIR}/open-connections.loaded`
/** Starts that service, or lets it load what has changed (open), and takes away what it has set up (close). */
export const OPEN_CONNECTIONS_SCRIPT = '/usr/local/sbin/hactl-open-connections'
export const SYSCTL_CONF = '/etc/sysctl.d/90-hactl.conf'
export const UNATTENDED_CONF = '/etc/apt/apt.conf.d/52hactl-unattended-upgrades'
/** It exists only where the inventory says `firewall: open`. */
export const FIREWALL_SCRIPT = '/usr/local/sbin/hactl-firewall'
export const FIREWALL_UNIT = '/etc/systemd/system/hactl-firewall.service'

/** Debian's and Ubuntu's haproxy.service opens it with -S. haproxy's worker answers through it unless it hangs. */
export const HAPROXY_MASTER_SOCKET = '/run/haproxy-master.sock'

/** First line of every file that hactl renders. It is fixed: the same inventory and facts give the same bytes. */
export const GENERATED_LINE = '# hactl made this file from an inventory; what is changed here is overwritten by the next deploy.'

/** Every file that hactl may own on a server, in any profile. */
export const MANAGED_PATHS: readonly string[] = [
  HAPROXY_CFG,
  KEEPALIVED_CONF,
  CHECK_SCRIPT,
  CHECK_PROGRAM,
  SERVICE_HOOKS,
  HAPROXY_DROPIN,
  KEEPALIVED_DROPIN,
  HAND_OVER_UNIT,
  TMPFILES_CONF,
  OPEN_CONNECTIONS_PROGRAM,
  OPEN_CONNECTIONS_RULES,
  OPEN_CONNECTIONS_SETTINGS,
  OPEN_CONNECTIONS_UNIT,
  OPEN_CONNECTIONS_SCRIPT,
  SYSCTL_CONF,
  UNATTENDED_CONF,
  MEMBERS,
  FIREWALL_SCRIPT,
  FIREWALL_UNIT,
]
