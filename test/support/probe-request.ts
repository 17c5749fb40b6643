/** What every look at a server asks for, without a cluster: the same question as the recorded answers in fixtures/probes. */
import { MANAGED_PATHS } from '../../src/domain/paths.ts'
import { TRACKER_FILES } from '../../src/domain/trackers.ts'
import { keepalivedLook } from '../../src/domain/keepalived/look.ts'
import { CHECK_SCRIPT, SERVICE_HOOKS } from '../../src/domain/paths.ts'
import type { ProbeRequest } from '../../src/engine/observe/script.ts'

export const PROBE_REQUEST: ProbeRequest = {
  packages: ['haproxy', 'keepalived'],
  paths: MANAGED_PATHS,
  units: ['haproxy', 'keepalived'],
  sysctls: ['net.ipv4.ip_nonlocal_bind'],
  look: keepalivedLook(Object.values(TRACKER_FILES)),
  checkScript: CHECK_SCRIPT,
  programs: [CHECK_SCRIPT, SERVICE_HOOKS],
  virtualAddresses: ['198.18.66.200'],
}
