import { toClientError } from '../../lib/error-policy.ts';
import { ServerRefusedError } from '../../pool/server-refused-error.ts';
import type { Flavor } from '../../topology/snapshot.ts';
import type { EndReason } from '../../telemetry/labels.ts';
import { COM } from '../../wire/command.ts';
import { HEADER_BYTES } from '../../wire/writer.ts';
import type { ErrPacket } from '../../wire/packets/err.ts';
import type { Command } from '../command/command.ts';

/** ER_UNKNOWN_COM_ERROR in the server's words. */
export const UNKNOWN_COMMAND: ErrPacket = {
  code: 1047,
  sqlState: '08S01',
  message: 'Unknown command',
};

/** What a client is told of a failure: a server's own words where a server spoke. */
export function errorPacket(error: unknown): ErrPacket {
  return error instanceof ServerRefusedError ? error.packet : toClientError(error);
}

const STATEMENT_ID_AT = HEADER_BYTES + 1;

/** What a server calls the function that refuses an unknown statement id. */
const REFUSERS: Readonly<Record<number, string>> = {
  [COM.STMT_FETCH]: 'mysqld_stmt_fetch',
  [COM.STMT_RESET]: 'mysqld_stmt_reset',
};

/** ER_UNKNOWN_STMT_HANDLER in the server's words. */
export function unknownStatement({ bytes, com }: Command, flavor: Flavor): ErrPacket {
  const id = statementId(bytes);
  const refuser =
    flavor === 'mysql' ? 'mysql_stmt_precheck' : (REFUSERS[com] ?? 'mysqld_stmt_execute');
  return {
    code: 1243,
    sqlState: 'HY000',
    message: `Unknown prepared statement handler (${id}) given to ${refuser}`,
  };
}

/** ER_STMT_HAS_NO_OPEN_CURSOR in the server's words. */
export const noCursor = ({ bytes }: Command, flavor: Flavor): ErrPacket => ({
  code: 1421,
  sqlState: 'HY000',
  message: `The statement (${statementId(bytes)}) has no open cursor${fullStop(flavor)}`,
});

const statementId = (bytes: Buffer): number =>
  bytes.length >= STATEMENT_ID_AT + 4 ? bytes.readUInt32LE(STATEMENT_ID_AT) : 0;

/** ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION in the server's words. */
export const readOnlyTransaction = (flavor: Flavor): ErrPacket => ({
  code: 1792,
  sqlState: '25006',
  message: `Cannot execute statement in a READ ONLY transaction${fullStop(flavor)}`,
});

/** MySQL's sentences have one, MariaDB's do not. */
const fullStop = (flavor: Flavor): string => (flavor === 'mysql' ? '.' : '');

/** Endings that somebody should look into; the others are the ordinary course of things. */
const ENDINGS_TO_WARN: ReadonlySet<EndReason> = new Set([
  'client-protocol',
  'backend-network',
  'backend-protocol',
  'topology-change',
  'limit',
  'internal',
]);

/** How loudly the end of a client connection is logged. */
export const endLevel = (reason: EndReason): 'warn' | 'info' =>
  ENDINGS_TO_WARN.has(reason) ? 'warn' : 'info';

/** Commands without an answer, not even an error. */
export const UNANSWERED: ReadonlySet<number> = new Set([
  COM.QUIT,
  COM.STMT_CLOSE,
  COM.STMT_SEND_LONG_DATA,
]);

/** LAST_INSERT_ID() was on a connection that its server has closed. */
export function goneInsertId(): ServerRefusedError {
  return new ServerRefusedError('(none)', {
    code: 1105,
    sqlState: 'HY000',
    message:
      'lagwise: the connection that knew LAST_INSERT_ID() was closed by its server while nothing ran on it: ask right behind the INSERT, or take the id from its reply',
  });
}

/** What a statement asks for that the one before it left on a connection which others have now. */
export function goneDiagnostics(): ServerRefusedError {
  return new ServerRefusedError('(none)', {
    code: 1105,
    sqlState: 'HY000',
    message:
      'lagwise: the connection that ran the statement before has gone to another client, and its warnings, row count or found rows with it: ask in the same transaction, raise pool.maxPerServer, or set pool.mode to "session"',
  });
}
