import type { BackendConnection } from '../../pool/backend-connection.ts';
import { SERVER_FAULTS } from '../../pool/server-faults.ts';
import { COM } from '../../wire/command.ts';
import type { ReplyFacts } from '../../wire/reply-fields.ts';
import type { Command } from '../command/command.ts';

/** What the read tells of the replica that ran it. */
export function noteRead(
  { load }: BackendConnection,
  command: Command,
  errno: number,
  nowMs: number,
): void {
  const { sentAtMs, firstPartAtMs } = command;
  if (errno !== 0 && SERVER_FAULTS.has(errno)) load.faults += 1;
  else if (sentAtMs === -1 || command.isPartial) load.reads += 1;
  // To the first byte: a client that is slow to take the rest is no fault of the server.
  else load.noteRead((firstPartAtMs === -1 ? nowMs : firstPartAtMs) - sentAtMs, nowMs);
}

/** What ROW_COUNT() is behind the command; null where it is what it was. */
export function rowCountAfter({ com, cause }: Command, facts: ReplyFacts): number | null {
  if (facts.errno !== 0 || facts.rows >= 0) return -1;
  // GET DIAGNOSTICS tells it and leaves it.
  if (com === COM.STMT_PREPARE || cause === 'diagnostics') return null;
  return facts.affectedRows;
}
