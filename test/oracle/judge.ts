import type { Flavor } from '../../src/topology/snapshot.ts';
import { OracleConnection, type Outcome } from './connection.ts';
import { probe } from './state-probe.ts';
import type { Statement } from './statement.ts';

/**
 * What a statement is by the servers' word.
 *
 * - `write`: a read-only server refuses it, or the scratch primary has a GTID more.
 * - `state`, `primary`, `server`: see `Expectation`; for `state` the scratch primary may have told, too.
 * - `read`: succeeds on a read-only server and leaves no trace.
 * - `neither`: it fails for other reasons.
 */
export type Verdict = 'write' | 'read' | 'state' | 'primary' | 'server' | 'neither';

/** A statement with its verdict and what led to it. */
export interface Judged {
  readonly statement: Statement;
  readonly verdict: Verdict;
  readonly because: string;
}

/** Read-only: the option, the transaction, the mode, the storage engine's. */
const REFUSALS: ReadonlySet<number> = new Set([1290, 1792, 1836, 3100]);
/** Two cores: the servers need the rest. */
const READ_ONLY_CONNECTIONS = 4;
/** Each of them alone with its transaction, so that they do not see each other. */
const PROBE_CONNECTIONS = 2;

/** Where the servers listen. */
export interface Court {
  readonly flavor: Flavor;
  /** Where nobody may write. */
  readonly readOnlyPort: number;
  /** Where everything may be written; nobody else writes there. */
  readonly scratchPort: number;
}

/** Has the servers judge every statement; the order is kept. */
export async function judgeAll(court: Court, statements: readonly Statement[]): Promise<Judged[]> {
  const refused = await inParallel(
    statements,
    court.readOnlyPort,
    READ_ONLY_CONNECTIONS,
    askReadOnly,
  );
  const left = statements.map((statement, index) => ({ statement, onReadOnly: refused[index] }));
  const scratch = new ScratchPrimary(court);
  const judged: Judged[] = [];
  try {
    for (const { statement, onReadOnly } of left) {
      judged.push(await judge(scratch, statement, onReadOnly ?? null));
    }
  } finally {
    scratch.close();
  }
  return inParallel(judged, court.readOnlyPort, PROBE_CONNECTIONS, (connection, each) =>
    doubt(court.flavor, connection, each),
  );
}

/** Null for what is not to be run. */
async function askReadOnly(
  connection: OracleConnection,
  statement: Statement,
): Promise<Outcome | null> {
  if (statement.run === false) return null;
  await connection.renew(statement.mode ?? 'plain');
  for (const sql of statement.setup ?? []) await connection.run(sql);
  return connection.run(statement.sql);
}

async function judge(
  scratch: ScratchPrimary,
  statement: Statement,
  onReadOnly: Outcome | null,
): Promise<Judged> {
  const { expect } = statement;
  if (onReadOnly === null) {
    return { statement, verdict: expect ?? 'neither', because: 'not to be run' };
  }
  const { errno, message } = onReadOnly;
  if (errno !== null && REFUSALS.has(errno)) {
    return { statement, verdict: 'write', because: `refused with ${errno}` };
  }
  const { outcome, logged } = await scratch.run(statement);
  if (logged) return { statement, verdict: 'write', because: 'the primary has a GTID more' };
  if (outcome.errno !== null) {
    return { statement, verdict: 'neither', because: `${outcome.errno} ${outcome.message}` };
  }
  if (errno !== null) {
    return {
      statement,
      verdict: 'neither',
      because: `on the read-only server ${errno} ${message}`,
    };
  }
  return expect === undefined
    ? { statement, verdict: 'read', because: 'it left no trace' }
    : { statement, verdict: expect, because: 'the corpus says so' };
}

/** Looks, after a statement that seems to be a read, at what its session holds then. */
async function doubt(
  flavor: Flavor,
  connection: OracleConnection,
  judged: Judged,
): Promise<Judged> {
  const { statement } = judged;
  if (judged.verdict !== 'read') return judged;
  await connection.renew(statement.mode ?? 'plain');
  const held = await probe(flavor, connection, statement);
  return held === null ? judged : { statement, verdict: 'state', because: held };
}

/** The server whose GTIDs tell. */
class ScratchPrimary {
  readonly #connection: OracleConnection;
  readonly #gtidsQuery: string;
  #gtids = '';

  constructor({ flavor, scratchPort }: Court) {
    this.#connection = new OracleConnection(scratchPort);
    // Not the place in the log: behind a rotation MariaDB notes a checkpoint there when it gets round
    // to it, and whatever runs by then would look like a write.
    const gtids = flavor === 'mysql' ? 'gtid_executed' : 'gtid_binlog_pos';
    this.#gtidsQuery = `SELECT @@GLOBAL.${gtids} AS gtids`;
  }

  async run(statement: Statement): Promise<{ outcome: Outcome; logged: boolean }> {
    const connection = this.#connection;
    await connection.renew(statement.mode ?? 'plain');
    for (const sql of statement.setup ?? []) await connection.run(sql);
    const isKnown = statement.setup === undefined && this.#gtids !== '';
    const before = isKnown ? this.#gtids : await this.#ask(connection);
    const outcome = await connection.run(statement.sql);
    // An open transaction ends here, and by being rolled back: what it wrote is no trace, so
    // statements that write must not come with one.
    await connection.renew('plain');
    this.#gtids = await this.#ask(connection);
    return { outcome, logged: this.#gtids !== before };
  }

  close(): void {
    this.#connection.close();
  }

  async #ask(connection: OracleConnection): Promise<string> {
    return JSON.stringify(await connection.rows(this.#gtidsQuery));
  }
}

/** `work` on every item, by several connections; results in the order of the items. */
async function inParallel<Item, Result>(
  items: readonly Item[],
  port: number,
  connections: number,
  work: (connection: OracleConnection, item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const queue = items.entries();
  const worker = async () => {
    const connection = new OracleConnection(port);
    try {
      // One iterator for all workers: each takes the next item that nobody has.
      for (const [index, item] of queue) results[index] = await work(connection, item);
    } finally {
      connection.close();
    }
  };
  await Promise.all(Array.from({ length: connections }, worker));
  return results;
}
