import { parsePosition, positionContains } from '../gtid/position.ts';
import type { LabServerStatus } from '../lab/lab.ts';
import { LagwiseError } from '../lib/errors.ts';
import type { Flavor } from '../topology/snapshot.ts';

/** What choosing looks at. */
export type Candidate = Pick<LabServerStatus, 'id' | 'role' | 'state' | 'position'>;

/**
 * The running replica that has executed the most. Of those that are level the first one; what it
 * has received but not executed, or what only another has, the promotion itself waits for.
 */
export function chooseCandidate(flavor: Flavor, servers: readonly Candidate[]): string {
  const replicas = servers.flatMap(({ id, role, state, position }) =>
    role === 'replica' && state === 'running' && position !== null
      ? [{ id, position: parsePosition(flavor, position) }]
      : [],
  );
  const [first, ...others] = replicas;
  if (first === undefined) {
    throw new LagwiseError('lab', 'No replica runs that could be promoted: start one first');
  }
  return others.reduce(
    (best, each) => (positionContains(best.position, each.position) ? best : each),
    first,
  ).id;
}
