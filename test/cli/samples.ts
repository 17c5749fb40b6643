/** Reports and plans as the app layer gives them. */
import type { DeployReport } from '../../src/app/deploy.ts'
import type { StatusReport } from '../../src/app/status.ts'
import type { VerifyReport } from '../../src/app/failover-report.ts'
import type { Action, Plan } from '../../src/state/plan.ts'

export const KEEPALIVED_MASKS = ['^(\\s*auth_pass\\s+)(\\S+)']

export function writeFile(over: Partial<Extract<Action, { kind: 'write-file' }>> = {}): Action {
  return {
    kind: 'write-file',
    id: 'file/keepalived.conf',
    path: '/etc/keepalived/keepalived.conf',
    reason: 'content differs',
    before: 'vrrp_instance VRRP1 {\n  priority 100\n  auth_pass old-one\n}\n',
    beforeSha256: 'abc',
    after: 'vrrp_instance VRRP1 {\n  priority 101\n  auth_pass new-one\n}\n',
    mode: '0640',
    owner: 'root',
    group: 'root',
    masks: KEEPALIVED_MASKS,
    validation: undefined,
    ...over,
  }
}

export const INSTALL: Action = {
  kind: 'install-package',
  id: 'package/haproxy',
  name: 'haproxy',
  version: '2.6.12-1+deb12u1',
  reason: 'not installed',
}

export function planOf(over: Partial<Plan> = {}): Plan {
  return {
    version: 1,
    cluster: 'edge',
    servers: [
      {
        server: 'srv-1',
        actions: [INSTALL, writeFile()],
        unchanged: [{ id: 'file/haproxy.cfg', reason: 'haproxy.cfg is already as wanted' }],
      },
      { server: 'srv-2', actions: [writeFile()], unchanged: [] },
    ],
    changeClass: 'together',
    waves: [['srv-1', 'srv-2']],
    outageMs: 0,
    warnings: [],
    ...over,
  }
}

export const NOTHING_TO_DO = planOf({
  servers: [{ server: 'srv-1', actions: [], unchanged: [{ id: 'file/haproxy.cfg', reason: 'haproxy.cfg is already as wanted' }] }],
  changeClass: 'none',
  waves: [],
})

export const DEPLOYED: DeployReport = {
  plan: planOf(),
  servers: [
    { name: 'srv-1', changed: ['package/haproxy', 'file/keepalived.conf'], unchanged: 1 },
    { name: 'srv-2', changed: ['file/keepalived.conf'], unchanged: 0 },
  ],
  holder: { '192.0.2.200': 'srv-1' },
  durationMs: 12_300,
}

export const HEALTHY: StatusReport = {
  servers: [
    {
      name: 'srv-1',
      reachable: true,
      state: 'MASTER',
      holds: ['192.0.2.200'],
      haproxy: 'healthy',
      keepalived: 'active',
      drift: [],
      drained: false,
      drainsAtBoot: false,
      healthy: true,
      effectivePriority: 254,
      problems: [],
      openConnections: { mode: 'keep', open: [] },
      notes: [],
    },
    {
      name: 'srv-2',
      reachable: true,
      state: 'BACKUP',
      holds: [],
      haproxy: 'healthy',
      keepalived: 'active',
      drift: [],
      drained: false,
      drainsAtBoot: false,
      healthy: true,
      problems: [],
      openConnections: { mode: 'keep', open: [] },
      notes: [],
    },
  ],
  vips: [{ address: '192.0.2.200', holders: ['srv-1'] }],
  unseen: [],
  exit: 0,
  problems: [],
}

export const SPLIT: StatusReport = {
  servers: HEALTHY.servers.map(server => ({
    ...server,
    state: 'MASTER',
    holds: ['192.0.2.200'],
    problems: server.name === 'srv-2' ? ['hears no adverts'] : [],
  })),
  vips: [{ address: '192.0.2.200', holders: ['srv-1', 'srv-2'] }],
  unseen: [],
  exit: 7,
  problems: ['srv-1 and srv-2 hold 192.0.2.200'],
}

export const PASSED: VerifyReport['drills'][number] = {
  drill: 'haproxy-stop',
  vip: '192.0.2.200',
  verdict: 'passed',
  from: 'srv-1',
  predicted: 'srv-2',
  to: 'srv-2',
  outageMs: 0,
  failedProbes: 0,
  probes: 640,
  holdersMax: 2,
  failback: 'srv-1',
  failbackOutageMs: 0,
  restored: true,
  reasons: [],
  notes: [],
}

export const NOBODY_TOOK_OVER: VerifyReport['drills'][number] = {
  ...PASSED,
  verdict: 'failed',
  to: undefined,
  outageMs: undefined,
  failedProbes: 600,
  reasons: ['nobody took over 192.0.2.200 within 20 s'],
}
