import { CAP, union } from '../../src/wire/capability.ts';
import { decodeAuthMoreData, encodeAuthMoreData } from '../../src/wire/packets/auth-more-data.ts';
import {
  decodeAuthSwitchRequest,
  encodeAuthSwitchRequest,
} from '../../src/wire/packets/auth-switch-request.ts';
import { decodeChangeUser, encodeChangeUser } from '../../src/wire/packets/change-user.ts';
import { decodeAttributes, encodeAttributes } from '../../src/wire/packets/connect-attributes.ts';
import { decodeEof, encodeEof } from '../../src/wire/packets/eof.ts';
import { decodeErr, encodeErr } from '../../src/wire/packets/err.ts';
import {
  decodeHandshakeResponse,
  encodeHandshakeResponse,
} from '../../src/wire/packets/handshake-response.ts';
import { decodeHandshakeV10, encodeHandshakeV10 } from '../../src/wire/packets/handshake-v10.ts';
import {
  decodeLocalInfileRequest,
  encodeLocalInfileRequest,
} from '../../src/wire/packets/local-infile-request.ts';
import { decodeOk, encodeOk } from '../../src/wire/packets/ok.ts';
import { queryTextOffset } from '../../src/wire/packets/query.ts';
import { decodeSessionState, encodeSessionState } from '../../src/wire/packets/session-state.ts';
import { decodeSslRequest, encodeSslRequest } from '../../src/wire/packets/ssl-request.ts';
import {
  decodeStmtPrepareOk,
  encodeStmtPrepareOk,
} from '../../src/wire/packets/stmt-prepare-ok.ts';
import { HEADER_BYTES } from '../../src/wire/writer.ts';
import { ascii, hex } from './hex.ts';

/** A packet with every optional part, its value, and how it is read. */
export interface WireSample {
  readonly name: string;
  readonly payload: Buffer;
  /** What `decode` must give for `payload`. */
  readonly value: unknown;
  readonly decode: (payload: Buffer) => unknown;
  /** Shortened to these lengths it is still well-formed. */
  readonly validCuts: ReadonlySet<number>;
}

/** Twenty bytes without a zero. */
export const NONCE = Buffer.from('abcdefghijklmnopqrst');

/** Every capability that changes the form of a login packet. */
export const ALL_LOGIN_CAPS = union(
  CAP.LONG_PASSWORD,
  CAP.PROTOCOL_41,
  CAP.SECURE_CONNECTION,
  CAP.CONNECT_WITH_DB,
  CAP.PLUGIN_AUTH,
  CAP.PLUGIN_AUTH_LENENC_DATA,
  CAP.CONNECT_ATTRS,
  CAP.ZSTD_COMPRESSION,
);

const TRACKED_CAPS = union(CAP.PROTOCOL_41, CAP.SESSION_TRACK, CAP.DEPRECATE_EOF);
const ATTRIBUTES = encodeAttributes(
  new Map([
    ['program_name', 'mysql'],
    ['_pid', '42'],
  ]),
);

const range = (from: number, to: number): ReadonlySet<number> =>
  new Set(Array.from({ length: Math.max(0, to - from) }, (_, index) => from + index));

function sample<Value>(
  name: string,
  value: Value,
  encode: (value: Value) => Buffer,
  decode: (payload: Buffer) => unknown,
  validCuts: (payload: Buffer) => ReadonlySet<number> = () => new Set(),
): WireSample {
  const payload = encode(value).subarray(HEADER_BYTES);
  return { name, payload, value, decode, validCuts: validCuts(payload) };
}

/** Puts the header back that `sample` takes off, for encoders of a packet's part. */
const bare = (bytes: Buffer): Buffer => Buffer.concat([Buffer.alloc(HEADER_BYTES), bytes]);

const loginHeader = {
  caps: ALL_LOGIN_CAPS,
  extendedCaps: 0,
  maxPacketBytes: 0x4000_0000,
  collationId: 45,
};

const handshakeResponse = {
  ...loginHeader,
  user: 'jörg',
  authResponse: Buffer.from('0123456789abcdef0123456789abcdef'),
  database: 'shop',
  pluginName: 'caching_sha2_password',
  attributes: ATTRIBUTES,
  zstdLevel: 7,
};

/** Login packets: what an unauthenticated peer may send. */
export const LOGIN_SAMPLES: readonly WireSample[] = [
  sample(
    'handshake v10 of MySQL',
    {
      serverVersion: '9.7.4',
      versionPrefix: false,
      threadId: 0xfedc_ba98,
      nonce: NONCE,
      caps: union(ALL_LOGIN_CAPS, CAP.REMEMBER_OPTIONS),
      extendedCaps: 0,
      collationId: 255,
      status: 2,
      pluginName: 'caching_sha2_password',
    },
    (value) => encodeHandshakeV10(value),
    decodeHandshakeV10,
  ),
  sample(
    'handshake v10 of MariaDB',
    {
      serverVersion: '10.11.19-MariaDB-0+deb12u1',
      versionPrefix: true,
      threadId: 31,
      nonce: NONCE,
      caps: union(CAP.PROTOCOL_41, CAP.SECURE_CONNECTION, CAP.PLUGIN_AUTH),
      extendedCaps: 0x1d,
      collationId: 45,
      status: 2,
      pluginName: 'mysql_native_password',
    },
    (value) => encodeHandshakeV10(value),
    decodeHandshakeV10,
  ),
  sample(
    'ssl request',
    { ...loginHeader, caps: union(ALL_LOGIN_CAPS, CAP.SSL) },
    (value) => encodeSslRequest(value, 1),
    decodeSslRequest,
  ),
  sample(
    'handshake response',
    handshakeResponse,
    (value) => encodeHandshakeResponse(value, 1),
    decodeHandshakeResponse,
    // Plugin name, attributes and level may each be missing at the end.
    (payload) => {
      const withoutLevel = payload.length - 1;
      const withoutAttributes = withoutLevel - ATTRIBUTES.length - 1;
      const withoutPlugin = withoutAttributes - handshakeResponse.pluginName.length - 1;
      return new Set([withoutLevel, withoutAttributes, withoutPlugin]);
    },
  ),
  sample(
    'auth switch request',
    { pluginName: 'mysql_native_password', nonce: NONCE },
    (value) => encodeAuthSwitchRequest(value, 2),
    decodeAuthSwitchRequest,
    (payload) => range(payload.length - NONCE.length - 1, payload.length),
  ),
  sample(
    'auth more data',
    Buffer.from('-----BEGIN PUBLIC KEY-----'),
    (value) => encodeAuthMoreData(value, 3),
    decodeAuthMoreData,
    (payload) => range(1, payload.length),
  ),
  sample(
    'change user',
    {
      user: 'anna',
      authResponse: Buffer.from('0123456789abcdef0123'),
      database: 'shop',
      collationId: 255,
      pluginName: 'mysql_native_password',
      attributes: ATTRIBUTES,
    },
    (value) => encodeChangeUser(value, { caps: ALL_LOGIN_CAPS, collationId: 45 }),
    (payload) => decodeChangeUser(payload, { caps: ALL_LOGIN_CAPS, collationId: 45 }),
    (payload) => {
      const withoutAttributes = payload.length - ATTRIBUTES.length - 1;
      const withoutPlugin = withoutAttributes - 'mysql_native_password'.length - 1;
      return new Set([withoutAttributes, withoutPlugin, withoutPlugin - 2]);
    },
  ),
  sample(
    'connection attributes',
    new Map([
      ['_os', 'Linux'],
      ['name', 'x'.repeat(300)],
    ]),
    (value) => bare(encodeAttributes(value)),
    decodeAttributes,
    () => new Set([0, 10]),
  ),
];

const SESSION_STATE = encodeSessionState([
  { t: 'system-variable', name: 'sql_mode', value: 'ANSI' },
  { t: 'gtids', gtids: '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5' },
]);

/** Three attributes: a long number, NULL, a text; then a statement. */
const QUERY_PAYLOAD = hex(
  `03 03 01 02 01  0800 01${ascii('a')}  fd00 01${ascii('b')}  fe00 01${ascii('c')}
   0102030405060708  03${ascii('xyz')}  ${ascii('SELECT 1')}`,
);

/** Packets of the command phase. */
export const COMMAND_SAMPLES: readonly WireSample[] = [
  sample(
    'ok',
    {
      affectedRows: 70_000,
      lastInsertId: 2n ** 63n,
      status: 0x4002,
      warnings: 3,
      info: 'Rows matched: 1',
      sessionState: SESSION_STATE,
    },
    (value) => encodeOk(value, 1, { caps: TRACKED_CAPS }),
    (payload) => decodeOk(payload, TRACKED_CAPS),
    (payload) => {
      const withoutState = payload.length - SESSION_STATE.length - 1;
      return new Set([withoutState, withoutState - 'Rows matched: 1'.length - 1]);
    },
  ),
  sample(
    'session state',
    [
      { t: 'system-variable', name: 'autocommit', value: 'OFF' },
      { t: 'schema', schema: 'test' },
      { t: 'state-change', changed: true },
      { t: 'gtids', gtids: '0-1-270' },
      { t: 'transaction-characteristics', statements: 'START TRANSACTION READ ONLY;' },
      { t: 'transaction-state', state: 'T_r____S' },
      { t: 'other', kind: 200, data: Buffer.from('new') },
    ] as const,
    (value) => bare(encodeSessionState(value)),
    decodeSessionState,
    // Between two entries.
    () => new Set([0, 17, 24, 27, 38, 69, 80]),
  ),
  sample(
    'err',
    { code: 1064, sqlState: '42000', message: 'You have an error in your SQL syntax' },
    (value) => encodeErr(value, 1),
    decodeErr,
    (payload) => new Set([3, ...range(9, payload.length)]),
  ),
  sample('eof', { warnings: 1, status: 0x22 }, (value) => encodeEof(value, 5), decodeEof),
  sample(
    'local infile request',
    '/tmp/rows.csv',
    (value) => encodeLocalInfileRequest(value, 1),
    decodeLocalInfileRequest,
    (payload) => range(1, payload.length),
  ),
  sample(
    'stmt prepare ok',
    { statementId: 7, columnCount: 2, parameterCount: 3, warnings: 0, metadataFollows: false },
    (value) => encodeStmtPrepareOk(value, 1, CAP.OPTIONAL_RESULTSET_METADATA),
    (payload) => decodeStmtPrepareOk(payload, CAP.OPTIONAL_RESULTSET_METADATA),
  ),
  sample(
    'query attributes',
    QUERY_PAYLOAD.length - 'SELECT 1'.length,
    () => bare(QUERY_PAYLOAD),
    (payload) => queryTextOffset(payload, 0, payload.length, CAP.QUERY_ATTRIBUTES),
    (payload) => range(payload.length - 'SELECT 1'.length, payload.length),
  ),
];

export const ALL_SAMPLES: readonly WireSample[] = [...LOGIN_SAMPLES, ...COMMAND_SAMPLES];
