/** Paths on a server: the only absolute paths that domain code may use. */

import { MEMBERS } from '../state/places.ts'

export const HAPROXY_CFG = '/etc/haproxy/haproxy.cfg'
export const KEEPALIVED_CONF = '/etc/keepalived/keepalived.conf'
export const CHECK_SCRIPT = '/usr/local/bin/haproxy-service-check.sh'
/** Programs that other files of hactl call. They are written before those files and removed after them. */
export const PROGRAM_DIR = '/usr/local/lib/hactl'
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
export const SYSCTL_CONF = '/etc/sysctl.d/90-hactl.conf'
export const UNATTENDED_CONF = '/etc/apt/apt.conf.d/52hactl-unattended-upgrades'
/** It exists only where the inventory says `firewall: open`. */
export const FIREWALL_SCRIPT = '/usr/local/sbin/hactl-firewall'
export const FIREWALL_UNIT = '/etc/systemd/system/hactl-firewall.service'

/** The folder that keepalived watches, on tmpfs: it is gone after a boot and made again by tmpfiles.d. */
export const TRACK_DIR = '/run/hactl'

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
  SYSCTL_CONF,
  UNATTENDED_CONF,
  MEMBERS,
  FIREWALL_SCRIPT,
  FIREWALL_UNIT,
]
