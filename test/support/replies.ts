import { CAP } from '../../src/wire/capability.ts';
import { encodeEof } from '../../src/wire/packets/eof.ts';
import { encodeErr } from '../../src/wire/packets/err.ts';
import { encodeOk } from '../../src/wire/packets/ok.ts';
import { encodeSessionState } from '../../src/wire/packets/session-state.ts';
import { REPLY, type ReplyKind } from '../../src/wire/reply-kinds.ts';
import { STATUS } from '../../src/wire/status.ts';
import { frame, PacketWriter } from '../../src/wire/writer.ts';

/** Capabilities with and without DEPRECATE_EOF, trackers on as the proxy has them. */
export const NEW_CAPS = CAP.DEPRECATE_EOF | CAP.SESSION_TRACK | CAP.PROTOCOL_41;
export const OLD_CAPS = CAP.SESSION_TRACK | CAP.PROTOCOL_41;

/** A server's answer to one command, and what a follower must find in it. */
export interface ReplySample {
  readonly name: string;
  readonly kind: ReplyKind;
  readonly caps: number;
  readonly bytes: Buffer;
  readonly errno?: number;
  readonly status?: number;
  /** OK packets that carry session state. */
  readonly states?: number;
  /** The reply asks for a file first, whose answer these bytes are. */
  readonly afterFile?: Buffer;
  readonly statementId?: number;
}

const AUTOCOMMIT: number = STATUS.AUTOCOMMIT;
const MORE = STATUS.AUTOCOMMIT | STATUS.MORE_RESULTS_EXISTS;
const ERROR = encodeErr({ code: 1146, sqlState: '42S02', message: "Table 'a.b' doesn't exist" }, 1);
const STATE = encodeSessionState([{ t: 'system-variable', name: 'time_zone', value: '+00:00' }]);

const definition = (seq: number) =>
  new PacketWriter()
    .lenencString('def')
    .lenencString('app')
    .lenencString('t')
    .zeros(20)
    .finish(seq);
const count = (columns: number) => new PacketWriter().lenenc(columns).finish(1);
const row = (seq: number, text: string) => new PacketWriter().lenencString(text).finish(seq);
/** A row whose first byte is 0xFB (NULL) or whatever else could be taken for an end. */
const rawRow = (seq: number, bytes: readonly number[]) => frame(Buffer.from(bytes), seq);

/** Rows between column definitions and the end, in both styles of EOF. */
export function resultSet(caps: number, rows: readonly Buffer[], status = AUTOCOMMIT): Buffer {
  const old = (caps & CAP.DEPRECATE_EOF) === 0;
  const end = old
    ? encodeEof({ warnings: 2, status }, 9)
    : encodeOk({ status, warnings: 2 }, 9, { caps, afterRows: true });
  const between = old ? [encodeEof({ warnings: 0, status }, 4)] : [];
  return Buffer.concat([count(2), definition(2), definition(3), ...between, ...rows, end]);
}

const ROWS = [row(5, 'one'), rawRow(6, [0xfb, 0xfb]), row(7, 'x'.repeat(300)), rawRow(8, [0, 1])];
const LONG_ROW = frame(Buffer.concat([Buffer.from([0xfe]), Buffer.alloc(0xffffff + 10, 7)]), 5);
const FULL_ROW = frame(Buffer.alloc(0xffffff, 3), 5);

function prepareOk(caps: number, parameters: number, columns: number): Buffer {
  const old = (caps & CAP.DEPRECATE_EOF) === 0;
  const part = (n: number) => {
    if (n === 0) return [];
    const definitions = Array.from({ length: n }, (_, index) => definition(index));
    return old ? [...definitions, encodeEof({ warnings: 0, status: AUTOCOMMIT }, 9)] : definitions;
  };
  const head = new PacketWriter().u8(0).u32(77).u16(columns).u16(parameters).u8(0).u16(0).finish(1);
  return Buffer.concat([head, ...part(parameters), ...part(columns)]);
}

function both(make: (caps: number) => Omit<ReplySample, 'caps'>): ReplySample[] {
  return [NEW_CAPS, OLD_CAPS].map((caps) => {
    const sample = make(caps);
    const style = caps === NEW_CAPS ? 'DEPRECATE_EOF' : 'EOF';
    return { ...sample, caps, name: `${sample.name} (${style})` };
  });
}

const ok = (caps: number, status = AUTOCOMMIT) =>
  encodeOk({ status, affectedRows: 3 }, 1, { caps });

/** One of each shape of reply that a server can give. */
export const REPLY_SAMPLES: readonly ReplySample[] = [
  ...both((caps) => ({
    name: 'OK',
    kind: REPLY.RESULT,
    bytes: ok(caps),
    status: AUTOCOMMIT,
  })),
  ...both((caps) => ({
    name: 'OK with large counts and info',
    kind: REPLY.RESULT,
    bytes: encodeOk(
      {
        status: AUTOCOMMIT,
        affectedRows: 70_000,
        lastInsertId: 2n ** 60n,
        info: 'Rows matched: 1',
      },
      1,
      { caps },
    ),
    status: AUTOCOMMIT,
  })),
  ...both((caps) => ({
    name: 'OK with session state',
    kind: REPLY.RESULT,
    bytes: encodeOk({ status: AUTOCOMMIT, sessionState: STATE }, 1, { caps }),
    states: 1,
  })),
  ...both(() => ({ name: 'error', kind: REPLY.RESULT, bytes: ERROR, errno: 1146 })),
  ...both(() => ({
    name: 'error to a simple command',
    kind: REPLY.SIMPLE,
    bytes: ERROR,
    errno: 1146,
  })),
  ...both((caps) => ({
    name: 'simple OK with session state',
    kind: REPLY.SIMPLE,
    bytes: encodeOk({ status: AUTOCOMMIT, sessionState: STATE }, 1, { caps }),
    states: 1,
  })),
  ...both(() => ({
    name: 'EOF to a simple command',
    kind: REPLY.SIMPLE,
    bytes: encodeEof({ warnings: 0, status: AUTOCOMMIT }, 1),
    status: AUTOCOMMIT,
  })),
  ...both((caps) => ({
    name: 'result set',
    kind: REPLY.RESULT,
    bytes: resultSet(caps, ROWS),
    status: AUTOCOMMIT,
  })),
  ...both((caps) => ({
    name: 'empty result set',
    kind: REPLY.RESULT,
    bytes: resultSet(caps, []),
    status: AUTOCOMMIT,
  })),
  ...both((caps) => ({
    name: 'error behind rows',
    kind: REPLY.RESULT,
    bytes: Buffer.concat([withoutEnd(caps), ERROR]),
    errno: 1146,
  })),
  ...both((caps) => ({
    name: 'several results',
    kind: REPLY.RESULT,
    bytes: Buffer.concat([resultSet(caps, ROWS, MORE), ok(caps, MORE), resultSet(caps, ROWS)]),
    status: AUTOCOMMIT,
  })),
  {
    name: 'OUT parameters, whose last EOF hides the OK behind it (EOF)',
    kind: REPLY.RESULT,
    caps: OLD_CAPS,
    bytes: Buffer.concat([
      count(1),
      definition(2),
      encodeEof({ warnings: 0, status: MORE | STATUS.PS_OUT_PARAMS }, 3),
      row(4, '8'),
      encodeEof({ warnings: 0, status: AUTOCOMMIT }, 5),
      encodeOk({ status: AUTOCOMMIT }, 6, { caps: OLD_CAPS }),
    ]),
    status: AUTOCOMMIT,
  },
  ...both((caps) => ({
    name: 'file request',
    kind: REPLY.RESULT,
    bytes: frame(Buffer.from('\u00fb/tmp/data.csv', 'latin1'), 1),
    afterFile: ok(caps),
    status: AUTOCOMMIT,
  })),
  ...both((caps) => ({
    name: 'prepared, parameters and columns',
    kind: REPLY.PREPARE,
    bytes: prepareOk(caps, 3, 2),
    statementId: 77,
  })),
  ...both((caps) => ({
    name: 'prepared, neither parameters nor columns',
    kind: REPLY.PREPARE,
    bytes: prepareOk(caps, 0, 0),
    statementId: 77,
  })),
  ...both((caps) => ({
    name: 'prepared, columns only',
    kind: REPLY.PREPARE,
    bytes: prepareOk(caps, 0, 1),
    statementId: 77,
  })),
  ...both(() => ({ name: 'PREPARE refused', kind: REPLY.PREPARE, bytes: ERROR, errno: 1146 })),
  {
    name: 'cursor opened (EOF)',
    kind: REPLY.RESULT,
    caps: OLD_CAPS,
    bytes: Buffer.concat([
      count(1),
      definition(2),
      encodeEof({ warnings: 0, status: AUTOCOMMIT | STATUS.CURSOR_EXISTS }, 3),
    ]),
    status: AUTOCOMMIT | STATUS.CURSOR_EXISTS,
  },
  {
    name: 'cursor opened (DEPRECATE_EOF)',
    kind: REPLY.RESULT,
    caps: NEW_CAPS,
    bytes: Buffer.concat([
      count(1),
      definition(2),
      encodeOk({ status: AUTOCOMMIT | STATUS.CURSOR_EXISTS }, 3, {
        caps: NEW_CAPS,
        afterRows: true,
      }),
    ]),
    status: AUTOCOMMIT | STATUS.CURSOR_EXISTS,
  },
  ...both((caps) => ({
    name: 'rows of a cursor',
    kind: REPLY.ROWS,
    bytes: Buffer.concat([...ROWS, endOf(caps, AUTOCOMMIT | STATUS.LAST_ROW_SENT)]),
    status: AUTOCOMMIT | STATUS.LAST_ROW_SENT,
  })),
  ...both((caps) => ({
    name: 'field list',
    kind: REPLY.FIELDS,
    bytes: Buffer.concat([definition(1), definition(2), endOf(caps, AUTOCOMMIT)]),
    status: AUTOCOMMIT,
  })),
  ...both(() => ({
    name: 'statistics',
    kind: REPLY.TEXT,
    bytes: frame(Buffer.from('Uptime: 12  Threads: 1'), 1),
  })),
];

/** Rows of 16 MB and more: too long to be split at every byte. */
export const LONG_REPLY_SAMPLES: readonly ReplySample[] = both((caps) => ({
  name: 'rows over 16 MB, one that begins like an end, one of exactly a full frame',
  kind: REPLY.RESULT,
  bytes: resultSet(caps, [LONG_ROW, FULL_ROW, row(8, 'short')]),
  status: AUTOCOMMIT,
}));

function endOf(caps: number, status: number): Buffer {
  return (caps & CAP.DEPRECATE_EOF) === 0
    ? encodeEof({ warnings: 0, status }, 9)
    : encodeOk({ status }, 9, { caps, afterRows: true });
}

function withoutEnd(caps: number): Buffer {
  const whole = resultSet(caps, ROWS);
  const endBytes = (caps & CAP.DEPRECATE_EOF) === 0 ? 9 : 11;
  return whole.subarray(0, whole.length - endBytes);
}
