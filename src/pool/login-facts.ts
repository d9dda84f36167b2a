import { LagwiseError } from '../lib/errors.ts';
import type { PacketChannel } from '../net/packet-channel.ts';
import type { Flavor, ServerView } from '../topology/snapshot.ts';
import { CAP, has } from '../wire/capability.ts';
import { ByteCursor, LENENC_NULL } from '../wire/cursor.ts';
import { decodeErr, ERR } from '../wire/packets/err.ts';
import { decodeOk, OK } from '../wire/packets/ok.ts';
import { encodeQuery } from '../wire/packets/query.ts';
import { decodeSessionState } from '../wire/packets/session-state.ts';
import { chosenAtLogin } from './charsets.ts';
import { TRACKER_STATEMENTS } from './trackers.ts';

/** What a server says of a connection right after its login. */
export interface LoginFacts {
  /** sql_mode, empty where it is not known. */
  readonly sqlMode: string;
  /** The carried variables that the login chose: character sets, IGNORE_SPACE. */
  readonly variables: ReadonlyMap<string, string>;
  /** max_prepared_stmt_count of the server, null where it is not known. */
  readonly maxPrepared: number | null;
}

const UNKNOWN: LoginFacts = { sqlMode: '', variables: new Map(), maxPrepared: null };
const ASK =
  'SELECT @@character_set_client, @@character_set_results, @@collation_connection, @@GLOBAL.max_prepared_stmt_count';
const ANSWERS = 4;
/** Leaves no warnings of the proxy's own statements for the client to find. */
const CLEAR = 'DO 0';
/** ER_MUST_CHANGE_PASSWORD: in that sandbox only the client's ALTER USER is allowed. */
const MUST_CHANGE_PASSWORD = 1820;
const MAX_VALUE_BYTES = 256;

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
  const questions = [TRACKER_STATEMENTS[flavor], ASK, CLEAR];
  channel.send(Buffer.concat(questions.map((text) => encodeQuery(text, caps))));
  const { payload } = await channel.read();
  const told = await readRow(channel, caps);
  await channel.read();
  if (payload[0] === ERR) {
    const refused = decodeErr(payload);
    if (refused.code === MUST_CHANGE_PASSWORD) return UNKNOWN;
    const { id, version } = server;
    const message = `Server ${id} (${version}) refused session tracking: ${refused.message}`;
    throw new LagwiseError('backend-protocol', message);
  }
  const [client, results, collation, most] = told;
  const maxPrepared = typeof most === 'string' ? Number(most) : null;
  const isKnown = typeof client === 'string' && typeof collation === 'string';
  const variables = isKnown
    ? chosenAtLogin({ client, results: results ?? null, collation })
    : new Map<string, string>();
  const sqlMode = sqlModeIn(decodeOk(payload, caps).sessionState);
  // The flag is in the mode since the login, and a reset takes it away.
  if (has(caps, CAP.IGNORE_SPACE) && sqlMode !== '') variables.set('sql_mode', sqlMode);
  return {
    sqlMode,
    variables,
    maxPrepared: maxPrepared !== null && Number.isSafeInteger(maxPrepared) ? maxPrepared : null,
  };
}

function sqlModeIn(sessionState: Buffer | null): string {
  if (sessionState === null) return '';
  for (const entry of decodeSessionState(sessionState)) {
    if (entry.t === 'system-variable' && entry.name === 'sql_mode') return entry.value;
  }
  return '';
}

/** The row of a text result set; empty where the reply is none. Takes the whole reply. */
async function readRow(channel: PacketChannel, caps: number): Promise<(string | null)[]> {
  const { payload: count } = await channel.read();
  if (count[0] === ERR || count[0] === OK) return [];
  const eofs = has(caps, CAP.DEPRECATE_EOF) ? 0 : 1;
  for (let definition = 0; definition < ANSWERS + eofs; definition += 1) await channel.read();
  const { payload: row } = await channel.read();
  const cursor = new ByteCursor(row);
  const values: (string | null)[] = [];
  while (cursor.remaining > 0 && values.length < ANSWERS) {
    if (row[cursor.pos] === LENENC_NULL) {
      cursor.skip(1);
      values.push(null);
    } else {
      values.push(cursor.lenencBytes(MAX_VALUE_BYTES).toString('utf8'));
    }
  }
  await channel.read();
  return values;
}
