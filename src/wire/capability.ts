/**
 * Capability flags of the client/server protocol, as uint32. What is in force for a connection is
 * what both sides set.
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
 */
export const CAP = {
  /** `CLIENT_MYSQL` in MariaDB's words: a MariaDB server leaves it unset to show extended flags. */
  LONG_PASSWORD: 0x0000_0001,
  FOUND_ROWS: 0x0000_0002,
  LONG_FLAG: 0x0000_0004,
  CONNECT_WITH_DB: 0x0000_0008,
  NO_SCHEMA: 0x0000_0010,
  COMPRESS: 0x0000_0020,
  ODBC: 0x0000_0040,
  LOCAL_FILES: 0x0000_0080,
  IGNORE_SPACE: 0x0000_0100,
  PROTOCOL_41: 0x0000_0200,
  INTERACTIVE: 0x0000_0400,
  SSL: 0x0000_0800,
  IGNORE_SIGPIPE: 0x0000_1000,
  TRANSACTIONS: 0x0000_2000,
  RESERVED: 0x0000_4000,
  SECURE_CONNECTION: 0x0000_8000,
  MULTI_STATEMENTS: 0x0001_0000,
  MULTI_RESULTS: 0x0002_0000,
  PS_MULTI_RESULTS: 0x0004_0000,
  PLUGIN_AUTH: 0x0008_0000,
  CONNECT_ATTRS: 0x0010_0000,
  PLUGIN_AUTH_LENENC_DATA: 0x0020_0000,
  CAN_HANDLE_EXPIRED_PASSWORDS: 0x0040_0000,
  SESSION_TRACK: 0x0080_0000,
  DEPRECATE_EOF: 0x0100_0000,
  OPTIONAL_RESULTSET_METADATA: 0x0200_0000,
  ZSTD_COMPRESSION: 0x0400_0000,
  QUERY_ATTRIBUTES: 0x0800_0000,
  MULTI_FACTOR_AUTHENTICATION: 0x1000_0000,
  CAPABILITY_EXTENSION: 0x2000_0000,
  SSL_VERIFY_SERVER_CERT: 0x4000_0000,
  REMEMBER_OPTIONS: 0x8000_0000,
} as const;

/** Whether every bit of `flag` is set in `caps`. */
export function has(caps: number, flag: number): boolean {
  // `>>> 0` on both sides: bit operators are signed, and the highest flag would compare negative.
  return (caps & flag) >>> 0 === flag >>> 0;
}

/** All the flags given, as one uint32. */
export function union(...flags: number[]): number {
  let all = 0;
  for (const flag of flags) all |= flag;
  return all >>> 0;
}

/** `caps` less every bit of `flags`, as uint32. */
export function without(caps: number, ...flags: number[]): number {
  return (caps & ~union(...flags)) >>> 0;
}

/** The flags that both sides have, as uint32. */
export function common(a: number, b: number): number {
  return (a & b) >>> 0;
}
