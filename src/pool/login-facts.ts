import { LagwiseError } from '../lib/errors.ts';
import type { PacketChannel } from '../net/packet-channel.ts';
import type { Flavor, ServerView } from '../topology/snapshot.ts';
import { CAP, has } from '../wire/capability.ts';
import { ByteCursor } from '../wire/cursor.ts';
import { decodeErr, ERR } from '../wire/packets/err.ts';
import { decodeOk, OK } from '../wire/packets/ok.ts';
import { encodeQuery } from '../wire/packets/query.ts';
import { decodeSessionState } from '../wire/packets/session-state.ts';
import { TRACKER_STATEMENTS } from './trackers.ts';

/** What a server says of a connection right after its login. */
export interface LoginFacts {
  /** sql_mode, empty where it is not known. */
  readonly sqlMode: string;
  /** The variables that the login chose: character set and collation. */
  readonly variables: ReadonlyMap<string, string>;
  /** max_prepared_stmt_count of the server, null where it is not known. */
  readonly maxPrepared: number | null;
}

const UNKNOWN: LoginFacts = { sqlMode: '', variables: new Map(), maxPrepared: null };
const ASK_MAX_PREPARED = 'SELECT @@GLOBAL.max_prepared_stmt_count';
/** ER_MUST_CHANGE_PASSWORD: in that sandbox only the client's ALTER USER is allowed. */
const MUST_CHANGE_PASSWORD = 1820;
const MAX_VALUE_BYTES = 64;

/**
 * Turns the session trackers on and asks what else the pool has to know, in one round trip. Old
 * servers without trackers are left as they are.
 * @throws LagwiseError when the server refuses
 */
export async function askState(
  channel: PacketChannel,
  on: { server: ServerView; caps: number; flavor: Flavor },
): Promise<LoginFacts> {
  const { server, caps, flavor } = on;
  if (!has(caps, CAP.SESSION_TRACK)) return UNKNOWN;
  channel.send(
    Buffer.concat([
      encodeQuery(TRACKER_STATEMENTS[flavor], caps),
      encodeQuery(ASK_MAX_PREPARED, caps),
    ]),
  );
  const { payload } = await channel.read();
  const maxPrepared = await readNumber(channel, caps);
  if (payload[0] === ERR) {
    const refused = decodeErr(payload);
    if (refused.code === MUST_CHANGE_PASSWORD) return UNKNOWN;
    const { id, version } = server;
    const message = `Server ${id} (${version}) refused session tracking: ${refused.message}`;
    throw new LagwiseError('backend-protocol', message);
  }
  const { sessionState } = decodeOk(payload, caps);
  const reported = new Map<string, string>();
  for (const entry of sessionState === null ? [] : decodeSessionState(sessionState)) {
    if (entry.t === 'system-variable') reported.set(entry.name, entry.value);
  }
  const sqlMode = reported.get('sql_mode') ?? '';
  const chosen = [...reported].filter(([name]) => CHOSEN_BY_LOGIN.has(name));
  return { sqlMode, variables: new Map(chosen), maxPrepared };
}

const CHOSEN_BY_LOGIN: ReadonlySet<string> = new Set([
  'character_set_client',
  'character_set_results',
  'character_set_connection',
  'collation_connection',
]);

/** In place of a value's length. */
const NULL = 0xfb;

const numberIn = (row: Buffer): number =>
  Number(new ByteCursor(row).lenencBytes(MAX_VALUE_BYTES).toString('latin1'));

/** The only value of a result set; null where it is none. Takes the whole reply. */
async function readNumber(channel: PacketChannel, caps: number): Promise<number | null> {
  const { payload: count } = await channel.read();
  if (count[0] === ERR || count[0] === OK) return null;
  await channel.read();
  if (!has(caps, CAP.DEPRECATE_EOF)) await channel.read();
  const { payload: row } = await channel.read();
  const value = row[0] === NULL ? NaN : numberIn(row);
  await channel.read();
  return Number.isSafeInteger(value) && value >= 0 ? value : null;
}
