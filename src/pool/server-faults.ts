import { LagwiseError } from '../lib/errors.ts';
import { ServerRefusedError } from './server-refused-error.ts';

/**
 * Errors that a server is guilty of, whatever the statement: it is out of memory, disk, threads or
 * connections, or cannot read its own files. Numbers below 1000 are of its own files (`EE_…`). Not
 * ER_OUT_OF_SORTMEMORY (1038), which follows from a statement and its session's `sort_buffer_size`.
 * https://dev.mysql.com/doc/mysql-errors/9.7/en/server-error-reference.html
 */
export const SERVER_FAULTS: ReadonlySet<number> = new Set([
  2, // EE_READ
  3, // EE_WRITE
  5, // EE_OUTOFMEMORY
  20, // EE_DISK_FULL
  1016, // ER_CANT_OPEN_FILE
  1017, // ER_FILE_NOT_FOUND
  1021, // ER_DISK_FULL
  1024, // ER_ERROR_ON_READ
  1026, // ER_ERROR_ON_WRITE
  1030, // ER_GET_ERRNO: the storage engine failed
  1033, // ER_NOT_FORM_FILE
  1034, // ER_NOT_KEYFILE: a damaged index, of MyISAM and Aria
  1035, // ER_OLD_KEYFILE
  1037, // ER_OUTOFMEMORY
  1040, // ER_CON_COUNT_ERROR: too many connections
  1041, // ER_OUT_OF_RESOURCES
  1053, // ER_SERVER_SHUTDOWN
  1135, // ER_CANT_CREATE_THREAD
  1194, // ER_CRASHED_ON_USAGE
  1195, // ER_CRASHED_ON_REPAIR
  1712, // ER_INDEX_CORRUPT: a damaged index of InnoDB
  1812, // ER_TABLESPACE_MISSING
  1814, // ER_TABLESPACE_DISCARDED
  1815, // ER_INTERNAL_ERROR
  1817, // ER_INNODB_INDEX_CORRUPT
  1877, // ER_TABLE_CORRUPT
  1932, // ER_NO_SUCH_TABLE_IN_ENGINE of MariaDB: its files are gone
]);

/** Whether a server is guilty of a connection that failed, as against whoever wanted to log in. */
export function isFault(error: unknown): boolean {
  if (error instanceof ServerRefusedError) return SERVER_FAULTS.has(error.packet.code);
  if (!(error instanceof LagwiseError)) return false;
  return FAULTY.has(error.source);
}

const FAULTY: ReadonlySet<string> = new Set([
  'backend-connect',
  'backend-network',
  'backend-timeout',
  'backend-protocol',
]);
