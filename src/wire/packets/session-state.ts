import { ByteCursor } from '../cursor.ts';
import { HEADER_BYTES, MAX_FRAME_BYTES, PacketWriter } from '../writer.ts';

/**
 * One change of session state that the server reports behind an OK.
 * @see https://dev.mysql.com/doc/refman/en/session-state-tracking.html
 */
export type SessionStateEntry =
  /** A system variable has this value now. */
  | { readonly t: 'system-variable'; readonly name: string; readonly value: string }
  /** The default schema is this one now; empty when there is none. */
  | { readonly t: 'schema'; readonly schema: string }
  /** Whether anything of the session changed that could not be carried to another server. */
  | { readonly t: 'state-change'; readonly changed: boolean }
  /** GTIDs of the transaction just committed (or executed, by `session_track_gtids`). */
  | { readonly t: 'gtids'; readonly gtids: string }
  /** Statements that give another session the same transaction; empty when there is none. */
  | { readonly t: 'transaction-characteristics'; readonly statements: string }
  /** Eight letters, one a trait, `_` where it is absent: `T_r____S`. */
  | { readonly t: 'transaction-state'; readonly state: string }
  /** A kind unknown to this version, kept so that it can be passed on. */
  | { readonly t: 'other'; readonly kind: number; readonly data: Buffer };

/** The kinds on the wire (enum_session_state_type). */
const KIND = {
  SYSTEM_VARIABLE: 0,
  SCHEMA: 1,
  STATE_CHANGE: 2,
  GTIDS: 3,
  TRANSACTION_CHARACTERISTICS: 4,
  TRANSACTION_STATE: 5,
} as const;

/** The only defined encoding of GTIDs: a set as text. */
const GTIDS_AS_TEXT = 0;
/** State change is one digit without a length of its own, unlike the other texts. */
const CHANGED = 0x31; // '1'
const UNCHANGED = 0x30; // '0'

/**
 * Reads the `sessionState` of an OK packet, in the server's order.
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html
 */
export function decodeSessionState(sessionState: Buffer): SessionStateEntry[] {
  const cursor = new ByteCursor(sessionState);
  const entries: SessionStateEntry[] = [];
  while (cursor.remaining > 0) {
    const kind = cursor.u8();
    const data = cursor.lenencBytes(MAX_FRAME_BYTES);
    if (kind === KIND.SYSTEM_VARIABLE) {
      readVariables(data, entries);
    } else {
      entries.push(readEntry(kind, data));
    }
  }
  return entries;
}

/** The opposite: the `sessionState` of an OK packet for a client. */
export function encodeSessionState(entries: readonly SessionStateEntry[]): Buffer {
  const writer = new PacketWriter();
  for (const entry of entries) {
    const { kind, data } = encodeEntry(entry);
    writer.u8(kind).lenencBytes(data);
  }
  return writer.finish(0).subarray(HEADER_BYTES);
}

/** MySQL has one variable an entry, MariaDB several. */
function readVariables(data: Buffer, entries: SessionStateEntry[]): void {
  const cursor = new ByteCursor(data);
  while (cursor.remaining > 0) {
    const name = text(cursor);
    entries.push({ t: 'system-variable', name, value: text(cursor) });
  }
}

function readEntry(kind: number, data: Buffer): SessionStateEntry {
  const cursor = new ByteCursor(data);
  switch (kind) {
    case KIND.SCHEMA:
      return { t: 'schema', schema: text(cursor) };
    case KIND.STATE_CHANGE:
      return { t: 'state-change', changed: cursor.u8() === CHANGED };
    case KIND.GTIDS:
      if (cursor.u8() !== GTIDS_AS_TEXT) return { t: 'other', kind, data };
      return { t: 'gtids', gtids: text(cursor) };
    case KIND.TRANSACTION_CHARACTERISTICS:
      return { t: 'transaction-characteristics', statements: text(cursor) };
    case KIND.TRANSACTION_STATE:
      return { t: 'transaction-state', state: text(cursor) };
    default:
      return { t: 'other', kind, data };
  }
}

function text(cursor: ByteCursor): string {
  return cursor.lenencBytes(MAX_FRAME_BYTES).toString('utf8');
}

function encodeEntry(entry: SessionStateEntry): { kind: number; data: Buffer } {
  switch (entry.t) {
    case 'system-variable':
      return { kind: KIND.SYSTEM_VARIABLE, data: strings(entry.name, entry.value) };
    case 'schema':
      return { kind: KIND.SCHEMA, data: strings(entry.schema) };
    case 'state-change':
      return {
        kind: KIND.STATE_CHANGE,
        data: Buffer.from([entry.changed ? CHANGED : UNCHANGED]),
      };
    case 'gtids':
      return {
        kind: KIND.GTIDS,
        data: Buffer.concat([Buffer.from([GTIDS_AS_TEXT]), strings(entry.gtids)]),
      };
    case 'transaction-characteristics':
      return { kind: KIND.TRANSACTION_CHARACTERISTICS, data: strings(entry.statements) };
    case 'transaction-state':
      return { kind: KIND.TRANSACTION_STATE, data: strings(entry.state) };
    case 'other':
      return { kind: entry.kind, data: entry.data };
  }
}

function strings(...values: string[]): Buffer {
  const writer = new PacketWriter();
  for (const value of values) writer.lenencString(value);
  return writer.finish(0).subarray(HEADER_BYTES);
}
