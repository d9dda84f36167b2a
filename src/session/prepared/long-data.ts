import { LagwiseError } from '../../lib/errors.ts';
import type { BackendConnection } from '../../pool/backend-connection.ts';
import { closeOn } from '../../pool/statement-cache.ts';
import { COM } from '../../wire/command.ts';
import type { Command } from '../command/command.ts';
import { packetFor } from './execute-packet.ts';
import type { Placement } from '../servers/placement.ts';
import type { Readiness } from '../state/readiness.ts';
import type { SessionBackends } from '../servers/session-backends.ts';

/** Where long data went, and whether that could take the bytes at once. */
export interface LongDataSent {
  readonly connection: BackendConnection;
  readonly flushed: boolean;
}

/**
 * Sends COM_STMT_SEND_LONG_DATA to where its statement would run now. The statement is bound to that
 * server, and what it has to see by the time it runs nobody knows yet: where anything is promised,
 * that is the primary.
 */
export async function sendLongData(parts: {
  readonly command: Command;
  readonly placement: Placement;
  readonly backends: SessionBackends;
  readonly readiness: Readiness;
}): Promise<LongDataSent> {
  const { command, placement, backends, readiness } = parts;
  const isPromised = backends.reads.levelOf(command) !== 'eventual';
  if (isPromised && command.target === 'replica') command.target = 'primary';
  let connection = placement.boundConnection() ?? (await backends.obtain(command));
  while (!(await readiness.make(connection))) connection = await backends.obtain(command);
  if (command.statement !== null) command.statement.longDataOn = connection;
  const flushed = connection.stream.write(packetFor(command, connection));
  return { connection, flushed };
}

/**
 * A command that runs a statement whose parameters were sent ahead runs where they are, or not at
 * all: without them the server would read the values of others in their place.
 * @throws LagwiseError `backend-network` where that connection is lost, or the command must run on
 *   another one: that of the transaction that was begun meanwhile
 */
export function requireLongData({ com, statement }: Command, connection: BackendConnection): void {
  if (com !== COM.STMT_EXECUTE || statement === null) return;
  const { longDataOn, longDataLost } = statement;
  const isThere = longDataOn === null || longDataOn === connection;
  if (isThere && !longDataLost) return;
  if (longDataOn !== null) closeOn(longDataOn, statement.shape);
  statement.longDataOn = null;
  statement.longDataLost = false;
  const why = longDataLost
    ? 'The server connection that had the long data of this statement is lost'
    : 'The long data of this statement was sent to another server than it must run on now';
  throw new LagwiseError(
    'backend-network',
    `${why}, the statement has not run: send the data again`,
  );
}
