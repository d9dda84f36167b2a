import type { Config } from '../config/schema.ts';
import type { ServerId } from '../lib/ids.ts';

/**
 * Which replicas the same reads go to, by configuration: those that are not reserved and have the
 * same of the tags that anybody is known to ask for, or that are reserved for the same. Other tags
 * are labels, which make no difference.
 */
export function replicaGroups({
  servers,
  rules,
}: Pick<Config, 'servers' | 'rules'>): ReadonlyMap<ServerId, string> {
  const asked = new Set([
    ...servers.flatMap(({ reserved, tags }) => (reserved ? tags : [])),
    ...rules.flatMap(({ replicaTags }) => replicaTags ?? []),
  ]);
  return new Map(
    servers.map(({ id, reserved, tags }) => {
      const named = tags.filter((tag) => asked.has(tag)).sort();
      return [id, [reserved ? 'reserved' : 'open', ...named].join(' ')];
    }),
  );
}
