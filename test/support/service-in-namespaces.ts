/** The service that keeps open connections, as root in namespaces of its own. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'vitest'
import type { Cluster } from '../../src/domain/cluster-types.ts'
import { openConnectionsFiles } from '../../src/domain/open-connections/resources.ts'
import { OPEN_CONNECTIONS_RULES } from '../../src/domain/paths.ts'
import { factsOfServer } from '../domain/example.ts'
import { verdictInNamespaces } from './namespaces.ts'

/**
 * Installs the service's files from the folder $1. `start` ends once the rules are loaded; `main` is the program's process. eth0 and eth1 are
 * the two ends of one cable.
 */
const PREPARE = `set -e
mount -t tmpfs none /run; mount -t tmpfs none /usr/local/lib
mkdir /run/hactl /usr/local/lib/hactl; cp "$1"/* /usr/local/lib/hactl
program=/usr/local/lib/hactl/open-connections.pl; chmod 755 $program
ip link set lo up; ip link add eth0 type veth peer name eth1; ip link set eth0 up; ip link set eth1 up
loaded() { for i in $(seq 300); do ! grep -q ^loaded /run/hactl/open-connections.state 2>/dev/null || return 0; sleep 0.1; done; echo not loaded; }
start() { rm -f /run/hactl/open-connections.state; $program run >/dev/null 2>&1 & main=$!; loaded; }
`

/**
 * What a script prints on srv-1 of a cluster, which has the service's files, and others that are in `folder`. $2 of the script are sed's edits
 * before a check of the rules.
 */
export function saidBesideService(
  context: TestContext,
  { cluster, folder, script }: { readonly cluster: Cluster; readonly folder: string; readonly script: string },
): { readonly code: number | null; readonly output: string } {
  const files = openConnectionsFiles(cluster, 'srv-1', factsOfServer(cluster, 'srv-1'))
  for (const { path, content } of files) writeFileSync(join(folder, path.slice(path.lastIndexOf('/') + 1)), content)
  const edits = files.find(({ path }) => path === OPEN_CONNECTIONS_RULES)?.validation?.edits?.join(';') ?? ''
  return verdictInNamespaces(context, `${PREPARE}${script}`, folder, edits)
}
