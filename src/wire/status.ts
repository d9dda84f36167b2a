/**
 * Server status flags (uint16) of OK and EOF packets.
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html (SERVER_STATUS_flags_enum)
 */
export const STATUS = {
  IN_TRANS: 0x0001,
  AUTOCOMMIT: 0x0002,
  /** Another result follows this one. */
  MORE_RESULTS_EXISTS: 0x0008,
  QUERY_NO_GOOD_INDEX_USED: 0x0010,
  QUERY_NO_INDEX_USED: 0x0020,
  /** The statement opened a cursor: rows come by COM_STMT_FETCH. */
  CURSOR_EXISTS: 0x0040,
  LAST_ROW_SENT: 0x0080,
  DB_DROPPED: 0x0100,
  NO_BACKSLASH_ESCAPES: 0x0200,
  METADATA_CHANGED: 0x0400,
  QUERY_WAS_SLOW: 0x0800,
  PS_OUT_PARAMS: 0x1000,
  IN_TRANS_READONLY: 0x2000,
  /** The OK packet carries session state (only where SESSION_TRACK is in force). */
  SESSION_STATE_CHANGED: 0x4000,
  /** MariaDB only: `"` quotes identifiers (`ANSI_QUOTES` in `sql_mode`). */
  ANSI_QUOTES: 0x8000,
} as const;
