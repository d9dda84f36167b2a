import { type BackendConnection, HOLD_REASONS } from './backend-connection.ts';

/** What connections are held for, in words and numbers: `3 transaction, 2 pinned`. */
export function describeHolders(connections: Iterable<BackendConnection>): string {
  const counts = new Map<string, number>();
  for (const { idle, keeper, heldFor } of connections) {
    const what = idle ? (keeper === null ? 'idle' : 'kept') : heldFor;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  return ['idle', 'kept', ...HOLD_REASONS]
    .filter((what) => counts.has(what))
    .map((what) => `${counts.get(what)} ${what}`)
    .join(', ');
}
