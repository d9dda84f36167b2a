import { digestSample } from '../../routing/digest-sample.ts';
import { LEFT } from '../../pool/backend-connection.ts';
import { ServerRefusedError } from '../../pool/server-refused-error.ts';
import type { Identity } from '../../pool/identity.ts';
import type { ClassifyContext } from '../../sql/classification.ts';
import type { Flavor } from '../../topology/snapshot.ts';
import { COM } from '../../wire/command.ts';
import { encodeQuery } from '../../wire/packets/query.ts';
import { REPLY } from '../../wire/reply-kinds.ts';
import { type ColumnShape, encodeTextResultset } from '../../wire/text-resultset.ts';
import { HEADER_BYTES } from '../../wire/writer.ts';
import type { Command } from './command.ts';
import type { CommandRunner } from './command-runner.ts';
import type { RegisteredSession, SessionPhase } from '../session-registry.ts';
import type { SessionState } from '../state/session-state.ts';
import type { StatementJudge } from '../statement/statement-judge.ts';

const SHOW = /^\s*show\s+(full\s+)?processlist\s*;?\s*$/i;
const MAX_SHOW_BYTES = 100;
/** Servers refuse it to accounts without the PROCESS privilege, whatever gave them that. */
const ASK_PRIVILEGE = 'SELECT 1 FROM information_schema.INNODB_CMP LIMIT 1';
const ACCESS_DENIED = 1227;
/** Characters of a statement that SHOW PROCESSLIST shows, as servers do. */
const SHORT_LENGTH = 100;
/** With FULL: of each statement, and of all. Past it they are as short as without. */
const FULL_LENGTH = 16 * 1024;
const MAX_TEXTS_LENGTH = 4 * 1024 * 1024;
/** Such a statement is shown without its literals. */
const MAY_HAVE_SECRETS = /password|identified/i;

const text = (characters: number, isNullable: boolean): ColumnShape => ({
  type: 0xfd,
  collation: 45,
  displayBytes: characters * 4,
  flags: isNullable ? 0 : 1,
  decimals: 0x1f,
});
const number = (type: number, width: number, decimals = 0): ColumnShape => ({
  type,
  collation: 63,
  displayBytes: width,
  flags: 0x81,
  decimals,
});
const COLUMNS = [
  { name: 'Id', shape: number(0x08, 22) },
  { name: 'User', shape: text(32, false) },
  { name: 'Host', shape: text(255, false) },
  { name: 'db', shape: text(64, true) },
  { name: 'Command', shape: text(16, false) },
  { name: 'Time', shape: number(0x03, 8) },
  { name: 'State', shape: text(30, true) },
  { name: 'Info', shape: text(SHORT_LENGTH, true) },
];
const PROGRESS = { name: 'Progress', shape: number(0x05, 7, 3) };
const FULL_INFO = { name: 'Info', shape: text(FULL_LENGTH, true) };

const PHASES: Readonly<Record<SessionPhase, string>> = {
  idle: 'Sleep',
  running: 'Query',
  replication: 'Binlog Dump',
  login: 'Change user',
  closed: 'Sleep',
};
const COMMANDS: Readonly<Record<number, string>> = {
  [COM.STMT_PREPARE]: 'Prepare',
  [COM.STMT_EXECUTE]: 'Execute',
  [COM.STMT_FETCH]: 'Fetch',
  [COM.INIT_DB]: 'Init DB',
  [COM.PING]: 'Ping',
};

/** Whether the statement is SHOW PROCESSLIST. */
export function isShowProcessList({ bytes, textAt }: Command): boolean {
  return bytes.length - textAt <= MAX_SHOW_BYTES && SHOW.test(bytes.toString('latin1', textAt));
}

/** Who asks for the list, and what the answer is made from. */
interface Asking {
  readonly identity: Identity;
  readonly flavor: Flavor;
  readonly command: Command;
  readonly state: SessionState;
  readonly runner: CommandRunner;
  readonly judge: StatementJudge;
}

/**
 * The answer to SHOW PROCESSLIST: the proxy's sessions, by the ids that KILL takes here. An account
 * sees its own, or all of them if a server says that it has the PROCESS privilege.
 * @throws what finding a connection throws; ServerRefusedError with a server's error
 */
export async function answerProcessList(
  sessions: Iterable<RegisteredSession>,
  asking: Asking,
): Promise<Buffer> {
  const { identity, command, runner, flavor, judge, state } = asking;
  const isFull = SHOW.exec(command.bytes.toString('latin1', command.textAt))?.[1] !== undefined;
  const seesAll = await hasProcessPrivilege(asking);
  runner.settle();
  const seen = Array.from(sessions).filter(({ user }) => seesAll || user === identity.user);
  const rows = processRows(seen, { isFull, nowMs: performance.now(), context: judge.context });
  const columns = isFull ? [...COLUMNS.slice(0, -1), FULL_INFO] : COLUMNS;
  const isMariadb = flavor === 'mariadb';
  return encodeTextResultset(
    {
      columns: isMariadb ? [...columns, PROGRESS] : columns,
      rows: isMariadb ? rows.map((row) => [...row, '0.000']) : rows,
    },
    { seq: command.replySeq, caps: identity.caps, status: state.status },
  );
}

async function hasProcessPrivilege({ runner, command }: Asking): Promise<boolean> {
  const { backends } = runner;
  const held = backends.primaryConnection ?? backends.replicaConnection;
  const connection = held ?? (await backends.obtain(command));
  const query = encodeQuery(ASK_PRIVILEGE, connection.caps);
  const [told] = await backends.swallow(connection, query, [REPLY.RESULT]);
  const error = told?.error ?? null;
  backends.leftovers.noteEnd(connection, error === null ? 0 : LEFT.DIAGNOSTICS, -1);
  backends.leftovers.found.noteOverwritten(connection);
  if (error === null) return true;
  if (error.code === ACCESS_DENIED) return false;
  throw new ServerRefusedError(connection.server.id, error);
}

/** One row a session, without the columns that only some flavors have. */
export function processRows(
  sessions: readonly RegisteredSession[],
  options: { isFull: boolean; nowMs: number; context: ClassifyContext },
): (string | null)[][] {
  const { isFull, nowMs, context } = options;
  let textsLeft = isFull ? MAX_TEXTS_LENGTH : 0;
  return sessions.map((session) => {
    const { id, user, clientAddr, schema, phase, idleMs } = session.info(nowMs);
    const { command } = session;
    const isRunning = phase === 'running';
    const forMs = isRunning ? nowMs - command.startedAtMs : idleMs;
    const info = isRunning
      ? textOf(command, textsLeft > 0 ? FULL_LENGTH : SHORT_LENGTH, context)
      : null;
    textsLeft -= info?.length ?? 0;
    const what = (isRunning ? COMMANDS[command.com] : undefined) ?? PHASES[phase];
    const seconds = String(Math.floor(forMs / 1000));
    const doing = isRunning ? 'executing' : '';
    return [String(id), user, clientAddr, schema, what, seconds, doing, info];
  });
}

/** The text that a command runs, as far as it may be shown. */
function textOf(command: Command, maxLength: number, context: ClassifyContext): string | null {
  const { bytes, statement, com, textAt } = command;
  if (com !== COM.QUERY && com !== COM.STMT_EXECUTE && com !== COM.STMT_PREPARE) return null;
  const packet = statement?.shape.packet ?? bytes;
  const from = com === COM.QUERY ? textAt : HEADER_BYTES + 1;
  const raw = packet.toString('utf8', from, Math.min(packet.length, from + maxLength * 4));
  const shown = MAY_HAVE_SECRETS.test(raw)
    ? digestSample(packet, from, packet.length, context)
    : raw;
  return shown.slice(0, maxLength);
}
