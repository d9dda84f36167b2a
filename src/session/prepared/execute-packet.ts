import { LagwiseError } from '../../lib/errors.ts';
import type { BackendConnection } from '../../pool/backend-connection.ts';
import { CAP, has } from '../../wire/capability.ts';
import { COM } from '../../wire/command.ts';
import { ByteCursor } from '../../wire/cursor.ts';
import { MalformedPacketError } from '../../wire/malformed.ts';
import { frameLength } from '../../wire/reply-fields.ts';
import { HEADER_BYTES, MAX_FRAME_BYTES } from '../../wire/writer.ts';
import type { Command } from '../command/command.ts';
import { ServerRefusedError } from '../../pool/server-refused-error.ts';
import type { OnServer } from '../../pool/statement-cache.ts';
import type { PreparedStatement } from './prepared-statements.ts';

/** The command's packet as this connection must have it: with the server's own statement id. */
export function packetFor(command: Command, connection: BackendConnection): Buffer {
  const { bytes, statement, com } = command;
  if (statement === null || com === COM.STMT_PREPARE) return bytes;
  const known = statement.on(connection);
  if (known === undefined) {
    // Nothing is prepared there any more; whoever sends it finds the connection lost.
    if (connection.isClosed) return bytes;
    throw new LagwiseError('internal', 'A statement is not prepared');
  }
  bytes.writeUInt32LE(known.id, ID_AT);
  if (com !== COM.STMT_EXECUTE) return bytes;
  if (opensCursor(bytes)) known.ranCursor = true;
  if (!command.isLong) return fitExecute(bytes, statement, known, connection.caps);
  try {
    return fitExecute(bytes, statement, known, connection.caps);
  } catch (error) {
    if (!(error instanceof MalformedPacketError)) throw error;
    // The types reach beyond the head that is at hand. This server learns them, nobody else can.
    statement.types = null;
    known.types = null;
    return bytes;
  }
}

/**
 * A copy of a COM_STMT_EXECUTE with the parameter types in it, for a server that was told nothing of
 * the statement yet; `setStatementId` makes it whole.
 */
export function portableExecute(
  packet: Buffer,
  statement: PreparedStatement,
  caps: number,
): Buffer {
  return Buffer.from(fitExecute(packet, statement, { types: null }, caps));
}

/** The server that the packet goes to calls the statement so. */
export function setStatementId(packet: Buffer, id: number): void {
  packet.writeUInt32LE(id, ID_AT);
}

const ID_AT = HEADER_BYTES + 1;
const FLAGS_AT = ID_AT + 4;
const AFTER_ITERATIONS_AT = FLAGS_AT + 5;
/** READ_ONLY, FOR_UPDATE, SCROLLABLE. */
const CURSOR_FLAGS = 0x07;

/** Whether a COM_STMT_EXECUTE asks for a cursor. */
export const opensCursor = (bytes: Buffer): boolean =>
  ((bytes[FLAGS_AT] ?? 0) & CURSOR_FLAGS) !== 0;

/** ER_WRONG_ARGUMENTS in the server's words, for an EXECUTE whose types were never told. */
const WRONG_ARGUMENTS = {
  code: 1210,
  sqlState: 'HY000',
  message: 'Incorrect arguments to mysqld_stmt_execute',
} as const;

/** PARAMETER_COUNT_AVAILABLE: the count stands in the packet though there may be no parameters. */
const FLAG_COUNT_AVAILABLE = 0x08;

/**
 * Makes a COM_STMT_EXECUTE, or the head of a long one, fit the connection it goes to: puts in the
 * parameter types where that server was not told them (they travel only with the first EXECUTE).
 * A new buffer is returned only then.
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html
 */
function fitExecute(
  packet: Buffer,
  statement: PreparedStatement,
  server: Pick<OnServer, 'types'>,
  caps: number,
): Buffer {
  const flagAt = typesFlagAt(packet, statement.parameterCount, caps);
  if (flagAt === -1) return packet;
  const named = has(caps, CAP.QUERY_ATTRIBUTES);
  if (packet[flagAt] === 1) {
    const types = packet.subarray(flagAt, typesEnd(packet, flagAt + 1, { statement, named }));
    if (statement.types?.equals(types) !== true) {
      // One buffer for all sessions that send the same, where that is at hand.
      statement.types = server.types?.equals(types) === true ? server.types : Buffer.from(types);
    }
    server.types = statement.types;
    return packet;
  }
  if (server.types === statement.types) return packet;
  // Another session's types would be taken for this one's.
  if (statement.types === null) throw new ServerRefusedError('(none)', WRONG_ARGUMENTS);
  if (server.types?.equals(statement.types) === true) {
    statement.types = server.types;
    return packet;
  }
  const length = frameLength(packet, 0) + statement.types.length - 1;
  if (length >= MAX_FRAME_BYTES) {
    throw new LagwiseError(
      'limit',
      'This EXECUTE is too long to be given the parameter types that its server lacks: send them again',
    );
  }
  server.types = statement.types;
  const fitted = Buffer.concat([
    packet.subarray(0, flagAt),
    statement.types,
    packet.subarray(flagAt + 1),
  ]);
  fitted.writeUIntLE(length, 0, 3);
  return fitted;
}

/** Index of the new-params-bound flag, -1 where the packet has none. */
function typesFlagAt(packet: Buffer, parameterCount: number, caps: number): number {
  let count = parameterCount;
  let at = AFTER_ITERATIONS_AT;
  if (packet.length < at) throw new MalformedPacketError('COM_STMT_EXECUTE is too short');
  if (has(caps, CAP.QUERY_ATTRIBUTES)) {
    const counted = ((packet[FLAGS_AT] as number) & FLAG_COUNT_AVAILABLE) !== 0;
    if (count === 0 && !counted) return -1;
    if (counted) {
      const cursor = new ByteCursor(packet, at);
      count = cursor.lenenc();
      at = cursor.pos;
    }
  }
  if (count === 0) return -1;
  at += (count + 7) >>> 3;
  if (at >= packet.length) throw new MalformedPacketError('COM_STMT_EXECUTE is too short');
  return at;
}

/** Index behind the types that begin at `at`: two bytes each, with a name where named. */
function typesEnd(
  packet: Buffer,
  at: number,
  of: { statement: PreparedStatement; named: boolean },
): number {
  let count = of.statement.parameterCount;
  const cursor = new ByteCursor(packet, at);
  if (of.named && ((packet[FLAGS_AT] as number) & FLAG_COUNT_AVAILABLE) !== 0) {
    count = new ByteCursor(packet, AFTER_ITERATIONS_AT).lenenc();
    for (let index = 0; index < count; index += 1) {
      cursor.skip(2);
      cursor.skip(cursor.lenenc());
    }
    return cursor.pos;
  }
  cursor.skip(count * 2);
  return cursor.pos;
}
