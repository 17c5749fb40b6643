import type { Cluster } from '../../domain/cluster-types.ts'

/** A line that a server logged, without the auth_pass of any instance: keepalived may quote its configuration. */
export function withoutPasswords({ instances }: Pick<Cluster, 'instances'>, line: string): string {
  return instances.reduce((shown, { authentication }) => authentication?.pass.hiddenIn(shown) ?? shown, line)
}
