import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { COM } from '../../src/wire/command.ts';
import { frame } from '../../src/wire/writer.ts';
import { NEIGHBOUR_TABLES, Neighbours, sees } from '../support/crowd-neighbours.ts';
import { FLAVORS } from '../support/flavors.ts';
import { direct, rowsOf, useCluster, valueOf } from '../support/proxy.ts';
import {
  type ClientOptions,
  encodeExecute,
  idBody,
  type Reply,
  ScriptedClient,
} from '../support/scripted-client.ts';

const MAX_PER_SERVER = 3;
const bytes = (...values: number[]): Buffer => Buffer.from(values);

/** Statements that are none, or hardly. */
const TEXTS: readonly (readonly [what: string, text: string | Buffer])[] = [
  ['nothing', ''],
  ['a blank', ' '],
  ['a semicolon', ';'],
  ['semicolons', ';;'],
  ['a NUL', '\0'],
  ['an open string', "SELECT 'open"],
  ['an open string in double quotes', 'SELECT "open'],
  ['an open name', 'SELECT `open'],
  ['an escape at the end', "SELECT 'open\\"],
  ['a quote that is doubled at the end', "SELECT 'open''"],
  ['an open comment', 'SELECT 1 /* open'],
  ['an open comment alone', '/*'],
  ['an open hint of ours', '/* lagwise: target=primary SELECT 1'],
  ['a wrong hint of ours', '/* lagwise: target=moon */ SELECT 1'],
  ['an open version comment', '/*!50000 SELECT 1'],
  ['an open version comment of the future', '/*!999999 SELECT 1'],
  ['the beginning of a version comment', '/*!'],
  ['a version comment in another', '/*!50000 SELECT /*!50000 1 */ + 1 */'],
  ['a comment in a version comment', 'SELECT /*!50000 1 /* inner */ + 1 */'],
  ['a version comment that never was', 'SELECT 1 /*!999999 this is no SQL */'],
  ['the end of a comment alone', 'SELECT 1 */'],
  ['a line comment alone', '-- '],
  ['a line comment without an end', 'SELECT 1 -- no line break'],
  ['a hash', '#'],
  ['an open optimizer hint', 'SELECT /*+ MAX_EXECUTION_TIME(1000 1'],
  ['bytes that are no UTF-8', Buffer.concat([Buffer.from('SELECT '), bytes(0xff, 0xfe, 0xc0)])],
  ['half a character in a string', Buffer.concat([Buffer.from("SELECT '"), bytes(0xe2, 0x82)])],
  ['a NUL in a statement', 'SELECT 1\0, 2'],
  ['a hexadecimal that is none', "SELECT x'zz'"],
  ['half a number', 'SELECT 1e'],
  ['half a variable', 'SELECT @'],
  ['half a system variable', 'SELECT @@'],
  ['an open name of a variable', 'SELECT @`open'],
  ['a question mark', 'SELECT ?'],
  ['a label without a block', 'here:'],
  ['SET alone', 'SET'],
  ['SET of nothing', 'SET @'],
  ['SET of something unknown', 'SET SESSION no_such_variable = 1'],
  ['SET of a wrong value', "SET SESSION time_zone = 'nowhere'"],
  ['SET NAMES of something unknown', 'SET NAMES nonsense'],
  ['USE alone', 'USE'],
  ['BEGIN twice in one', 'BEGIN BEGIN'],
  ['PREPARE of nothing', 'PREPARE nothing'],
  ['EXECUTE of nothing', 'EXECUTE'],
  ['UNLOCK of something', 'UNLOCK DOORS'],
  ['INSERT into nothing', 'INSERT INTO'],
  ['RELEASE of nothing', 'RELEASE SAVEPOINT nothing'],
  ['many parentheses', `SELECT ${'('.repeat(3000)}1${')'.repeat(3000)}`],
  ['open parentheses', '('.repeat(50_000)],
  ['quotes', "'".repeat(99_999)],
  ['open comments', 'SELECT 1 /*'.repeat(20_000)],
  ['open version comments', 'SELECT 1 /*!50000 '.repeat(20_000)],
  ['at signs', `SELECT ${'@'.repeat(50_000)}`],
  ['statements without number', 'SELECT 1;'.repeat(10_000)],
];

/** A reply, less what may differ between two servers that agree. */
function gist({ error, values }: Reply): object {
  return error === null
    ? { values }
    : { code: error.code, sqlState: error.sqlState, message: error.message };
}

describe.skipIf(direct).each(FLAVORS)('on %s, beside others that work', (flavor) => {
  const cluster = useCluster({
    lab: { flavor, replicas: 1 },
    config: { pool: { maxPerServer: MAX_PER_SERVER, keepMs: 200, waitMs: 5_000 } },
  });

  beforeAll(async () => {
    for (const statement of [
      ...NEIGHBOUR_TABLES,
      // Without a password: MariaDB asks for it in a way that the scripted client does not speak.
      "CREATE USER 'straight'@'%'",
      "GRANT ALL ON *.* TO 'straight'@'%'",
    ]) {
      await cluster.root('db1', statement);
    }
    await cluster.lab.waitReplicated();
  });

  /** Others work beside the test: nothing of it may reach them. */
  function withNeighbours(): Neighbours {
    const probes = [sees('SELECT @@SESSION.lock_wait_timeout = @@GLOBAL.lock_wait_timeout', '1')];
    const neighbours = Neighbours.start(cluster.login, probes);
    onTestFinished(async () => {
      expect(await neighbours.stop()).toEqual([]);
    });
    return neighbours;
  }

  async function connect(login: ClientOptions): Promise<ScriptedClient> {
    const client = await ScriptedClient.connect({ ...login, database: 'app' });
    onTestFinished(() => client.close());
    return client;
  }

  const connectToProxy = () => connect({ port: cluster.port, ...cluster.lab.accounts.app });

  /** One client of the proxy, and one of the primary itself. */
  async function both(): Promise<readonly [ScriptedClient, ScriptedClient]> {
    const straight = { port: cluster.lab.primary.port, user: 'straight', password: '' };
    return [await connectToProxy(), await connect(straight)];
  }

  it.each(TEXTS)('%s is answered as the server itself answers it', async (_, text) => {
    const neighbours = withNeighbours();
    const [proxied, server] = await both();
    const send = async (client: ScriptedClient) => {
      client.post(COM.QUERY, Buffer.isBuffer(text) ? text : Buffer.from(text));
      return gist(await client.reply());
    };
    expect(await send(proxied)).toEqual(await send(server));
    expect((await proxied.query('SELECT n FROM plain WHERE id = 1')).values).toEqual(['10']);
    await neighbours.progress(8);
  });

  it.each(TEXTS)('%s is refused or prepared as the server itself does', async (_, text) => {
    const [proxied, server] = await both();
    const prepare = async (client: ScriptedClient) => {
      const sql = Buffer.isBuffer(text) ? text.toString('latin1') : text;
      return await client.prepare(sql).then(
        ({ parameters }) => ({ parameters }),
        (error: unknown) => String(error),
      );
    };
    expect(await prepare(proxied)).toEqual(await prepare(server));
    expect((await proxied.query('SELECT n FROM plain WHERE id = 1')).values).toEqual(['10']);
  });

  it('ids of statements that are not there are the server’s own errors', async () => {
    const neighbours = withNeighbours();
    const [proxied, server] = await both();
    for (const id of [0, 1, 77, 0x7fff_ffff, 0xffff_fffe]) {
      for (const com of [COM.STMT_RESET, COM.STMT_FETCH, COM.STMT_EXECUTE]) {
        const rest =
          com === COM.STMT_RESET ? [] : com === COM.STMT_FETCH ? [1, 0, 0, 0] : [0, 1, 0, 0, 0];
        const shape = com === COM.STMT_FETCH ? 'rows' : 'result';
        const [one, other] = [
          await proxied.command(com, idBody(id, ...rest), shape),
          await server.command(com, idBody(id, ...rest), shape),
        ];
        expect({ com, id, code: one.error?.code }).toEqual({ com, id, code: other.error?.code });
      }
      // Neither of them is answered.
      proxied.post(COM.STMT_CLOSE, idBody(id));
      proxied.post(COM.STMT_SEND_LONG_DATA, idBody(id, 0, 0, 120, 120));
      expect((await proxied.query('SELECT 5')).values).toEqual(['5']);
    }
    await neighbours.progress(8);
  });

  it('FETCH without a cursor is the server’s own error', async () => {
    const [proxied, server] = await both();
    const outcomes = [];
    for (const client of [proxied, server]) {
      const { id } = await client.prepare('SELECT n FROM plain');
      const never = await client.command(COM.STMT_FETCH, idBody(id, 1, 0, 0, 0), 'rows');
      client.send(encodeExecute({ id, values: [], types: false, caps: client.caps }));
      const rows = (await client.reply()).rows.length;
      const without = await client.command(COM.STMT_FETCH, idBody(id, 1, 0, 0, 0), 'rows');
      outcomes.push({ never: never.error?.code, rows, without: without.error?.code });
    }
    expect(outcomes[0]).toEqual(outcomes[1]);
    expect(outcomes[0]).toMatchObject({ rows: 3, without: expect.any(Number) as number });
  });

  it('an EXECUTE of any wrong length is an error or the end, and never hangs', async () => {
    const neighbours = withNeighbours();
    const probe = await connectToProxy();
    const { caps } = probe;
    const whole = encodeExecute({ id: 0, values: ['20', 'abc'], types: true, caps }).subarray(5);
    for (let length = 0; length < whole.length; length += 1) {
      const client = await connectToProxy();
      const { id } = await client.prepare('SELECT n FROM plain WHERE n = ? AND ? = "abc"');
      const body = Buffer.from(whole);
      body.writeUInt32LE(id, 0);
      client.send(frame(Buffer.concat([bytes(COM.STMT_EXECUTE), body.subarray(0, length)]), 0));
      const outcome = await client.reply().then(
        ({ error }) => (error === null ? 'rows' : 'error'),
        () => (client.pipe.isClosed ? 'closed' : 'hangs'),
      );
      expect({ length, outcome }).not.toEqual({ length, outcome: 'hangs' });
      // Too short for its parameters: there is nothing to make rows of.
      if (length < 9) expect({ length, outcome }).not.toEqual({ length, outcome: 'rows' });
      client.close();
    }
    await neighbours.progress();
    expect((await probe.query('SELECT n FROM plain WHERE id = 1')).values).toEqual(['10']);
  });

  it('parameters that the statement does not have harm nobody', async () => {
    const neighbours = withNeighbours();
    for (const values of [[], ['1', '2', '3'], Array.from({ length: 300 }, () => 'x')]) {
      const client = await connectToProxy();
      const { id } = await client.prepare('SELECT n FROM plain WHERE id = ?');
      client.send(encodeExecute({ id, values, types: true, caps: client.caps }));
      await client.reply().catch(() => undefined);
      client.close();
    }
    await neighbours.progress();
  });

  it('a thousand variables of one client are its own', async () => {
    const neighbours = withNeighbours();
    const session = await cluster.connect();
    for (let at = 0; at < 1000; at += 1) await session.query(`SET @own_${at} = ${at}`);
    await neighbours.progress();
    expect(await valueOf(session, 'SELECT @own_0 + @own_500 + @own_999')).toBe(1499);
    await session.reset();
    expect(await valueOf(session, 'SELECT @own_999')).toBeNull();
  });

  it('every variable that a session may set is carried with it', async () => {
    const neighbours = withNeighbours();
    const session = await cluster.connect();
    const names = await rowsOf(session, 'SHOW SESSION VARIABLES');
    let set = 0;
    for (const name of names.map((row) => String(row['Variable_name']))) {
      if (
        /^(timestamp|insert_id|sql_log_bin|autocommit|pseudo|gtid|wsrep|rand_seed|debug|session_track|skip_repl|server_id|resultset_metadata|use_secondary|transaction_read_only|tx_read_only|identity|last_insert_id|binlog|default_master|max_statement_time|low_priority)/.test(
          name,
        )
      ) {
        continue;
      }
      const done = await session.query(`SET SESSION ${name} = @@SESSION.${name}`).then(
        () => true,
        () => false,
      );
      if (done) set += 1;
    }
    expect(set).toBeGreaterThan(50);
    await session.query('SET SESSION lock_wait_timeout = 79');
    for (let round = 0; round < 5; round += 1) {
      await neighbours.progress(8);
      expect(await valueOf(session, 'SELECT @@SESSION.lock_wait_timeout')).toBe(79);
      expect(await valueOf(session, 'SELECT n FROM plain WHERE id = 1')).toBe(10);
    }
  });
});
