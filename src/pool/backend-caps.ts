import { CAP, union, without } from '../wire/capability.ts';

/** What every connection to a server asks for, whatever the client can do. */
const ALWAYS = union(
  CAP.LONG_PASSWORD,
  CAP.PROTOCOL_41,
  CAP.TRANSACTIONS,
  CAP.SECURE_CONNECTION,
  CAP.PLUGIN_AUTH,
  CAP.PLUGIN_AUTH_LENENC_DATA,
  // The session trackers: what the server says of the session's state beats what the text says.
  CAP.SESSION_TRACK,
);

/**
 * What the client's own flags decide: they shape commands and results, which pass through as they
 * are, so both connections must agree.
 */
const SHAPING = union(
  CAP.FOUND_ROWS,
  CAP.LONG_FLAG,
  CAP.NO_SCHEMA,
  CAP.ODBC,
  CAP.LOCAL_FILES,
  CAP.IGNORE_SPACE,
  CAP.INTERACTIVE,
  CAP.MULTI_STATEMENTS,
  CAP.MULTI_RESULTS,
  CAP.PS_MULTI_RESULTS,
  CAP.CAN_HANDLE_EXPIRED_PASSWORDS,
  CAP.DEPRECATE_EOF,
  CAP.QUERY_ATTRIBUTES,
);

/** Flags without which bytes could not be forwarded unchanged. */
const MUST_AGREE = union(CAP.DEPRECATE_EOF, CAP.QUERY_ATTRIBUTES);

/** Flags to ask a server for, on behalf of a client with `clientCaps`. */
export function wantedCaps(
  clientCaps: number,
  options: { schema: boolean; attributes: boolean },
): number {
  return union(
    ALWAYS,
    clientCaps & SHAPING,
    options.schema ? CAP.CONNECT_WITH_DB : 0,
    options.attributes ? CAP.CONNECT_ATTRS : 0,
  );
}

/** The flags of `wanted` that this server lacks and that forwarding cannot do without. */
export function missingCaps(wanted: number, serverCaps: number): number {
  return without(wanted & MUST_AGREE, serverCaps);
}

/** What clients are offered, by what the cluster's servers can do. */
export function offeredCaps(options: {
  flavor: 'mysql' | 'mariadb' | null;
  versionNumber: number;
  tls: boolean;
  zlib: boolean;
  zstd: boolean;
}): number {
  const mysql = options.flavor !== 'mariadb';
  const known = options.versionNumber > 0;
  return union(
    without(union(ALWAYS, SHAPING), CAP.QUERY_ATTRIBUTES, CAP.DEPRECATE_EOF),
    CAP.CONNECT_WITH_DB,
    CAP.CONNECT_ATTRS,
    CAP.IGNORE_SIGPIPE,
    CAP.RESERVED,
    known && options.versionNumber >= (mysql ? 50_705 : 100_200) ? CAP.DEPRECATE_EOF : 0,
    known && mysql && options.versionNumber >= 80_023 ? CAP.QUERY_ATTRIBUTES : 0,
    options.tls ? CAP.SSL : 0,
    options.zlib ? CAP.COMPRESS : 0,
    options.zstd ? CAP.ZSTD_COMPRESSION : 0,
  );
}

/** `9.7.4` → 90704, `10.11.19-MariaDB` → 101119; 0 when it is no version. */
export function versionNumber(version: string): number {
  const parts = version.replace(/^5\.5\.5-/, '').split('.', 3);
  const [major, minor, patch] = parts.map((part) => Number.parseInt(part, 10));
  if (major === undefined || Number.isNaN(major)) return 0;
  return major * 10_000 + (minor ?? 0) * 100 + (Number.isNaN(patch) ? 0 : (patch ?? 0));
}
