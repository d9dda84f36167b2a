import { Readable } from 'node:stream';
import type { ResultSetHeader } from 'mysql2/promise';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { CAP, has } from '../../src/wire/capability.ts';
import { COM } from '../../src/wire/command.ts';
import { frame } from '../../src/wire/writer.ts';
import { NEIGHBOUR_TABLES, Neighbours } from '../support/crowd-neighbours.ts';
import { FLAVORS } from '../support/flavors.ts';
import { direct, useCluster, valueOf } from '../support/proxy.ts';
import { encodeExecute, idBody, ScriptedClient } from '../support/scripted-client.ts';

const MAX_PER_SERVER = 3;
const SUBJECTS = MAX_PER_SERVER + 2;
const CURSOR_READ_ONLY = 1;

/** Commands that no driver at hand sends, or that go on over several packets. */
describe.skipIf(direct).each(FLAVORS)('on %s, three connections for many', (flavor) => {
  const cluster = useCluster({
    lab: { flavor, replicas: 1, serverOptions: ['--max-allowed-packet=64M'] },
    config: { pool: { maxPerServer: MAX_PER_SERVER, keepMs: 200, waitMs: 5_000 } },
  });

  beforeAll(async () => {
    for (const statement of [
      ...NEIGHBOUR_TABLES,
      'CREATE TABLE app.words (id INT PRIMARY KEY AUTO_INCREMENT, word LONGTEXT)',
      "INSERT INTO app.words VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')",
      'CREATE TABLE app.loaded (id INT, word VARCHAR(40))',
    ]) {
      await cluster.root('db1', statement);
    }
    await cluster.lab.waitReplicated();
  });

  function withNeighbours(): Neighbours {
    const neighbours = Neighbours.start(cluster.login, []);
    onTestFinished(async () => {
      expect(await neighbours.stop()).toEqual([]);
    });
    return neighbours;
  }

  /** More clients than connections do `work` one after the other, and stay. */
  async function eachOfMany(work: (client: ScriptedClient) => Promise<void>): Promise<void> {
    for (let number = 0; number < SUBJECTS; number += 1) {
      const client = await ScriptedClient.connect({
        port: cluster.port,
        ...cluster.lab.accounts.app,
        database: 'app',
      });
      onTestFinished(() => client.close());
      await work(client);
    }
  }

  async function openCursor(client: ScriptedClient, sql: string): Promise<number> {
    const { id } = await client.prepare(sql);
    const flags = CURSOR_READ_ONLY;
    client.send(encodeExecute({ id, values: [], types: false, caps: client.caps, flags }));
    if (has(client.caps, CAP.DEPRECATE_EOF)) await client.reply();
    // Without the flag: column count, the column, the EOF that ends it all.
    else for (let packets = 0; packets < 3; packets += 1) await client.packet();
    return id;
  }

  const fetch = (client: ScriptedClient, id: number, count: number) =>
    client.command(COM.STMT_FETCH, idBody(id, count, 0, 0, 0), 'rows');

  it('an open cursor keeps its rows, whatever runs between two fetches', async () => {
    const neighbours = withNeighbours();
    await eachOfMany(async (client) => {
      const id = await openCursor(client, 'SELECT id FROM words WHERE id < 5 ORDER BY id');
      for (const wanted of [1, 2, 3, 4]) {
        await neighbours.progress(12);
        const { rows, error } = await fetch(client, id, 1);
        expect(error).toBeNull();
        // A binary row: header, null bitmap, the number.
        expect(rows.map((row) => row.readInt32LE(2))).toEqual([wanted]);
        expect((await client.query('SELECT n FROM plain WHERE id = 2')).values).toEqual(['20']);
      }
      // Past the last row; the cursor is closed with that.
      expect((await fetch(client, id, 5)).rows).toHaveLength(0);
    });
  });

  it('a cursor that is closed or reset lets go of its connection', async () => {
    const neighbours = withNeighbours();
    await eachOfMany(async (client) => {
      const reset = await openCursor(client, 'SELECT id FROM words WHERE id < 5');
      await fetch(client, reset, 1);
      expect((await client.command(COM.STMT_RESET, idBody(reset))).error).toBeNull();
      const closed = await openCursor(client, 'SELECT id FROM words WHERE id < 4');
      await fetch(client, closed, 1);
      client.post(COM.STMT_CLOSE, idBody(closed));
      await neighbours.progress(12);
      expect((await client.query('SELECT n FROM plain WHERE id = 1')).values).toEqual(['10']);
    });
  });

  it('long data that was sent waits for its EXECUTE, whatever runs between', async () => {
    const neighbours = withNeighbours();
    await eachOfMany(async (client) => {
      const { id } = await client.prepare('INSERT INTO words (word) VALUES (?)');
      for (const piece of ['one ', 'two ', 'x'.repeat(70_000)]) {
        const body = Buffer.concat([idBody(id, 0, 0), Buffer.from(piece)]);
        client.send(frame(Buffer.concat([Buffer.from([COM.STMT_SEND_LONG_DATA]), body]), 0));
        await neighbours.progress(6);
        expect((await client.query('SELECT n FROM plain WHERE id = 1')).values).toEqual(['10']);
      }
      // Null bitmap, types sent, one LONG_BLOB whose value came before.
      const parameters = Buffer.from([0, 1, 0xfb, 0]);
      const named = has(client.caps, CAP.QUERY_ATTRIBUTES);
      const head = Buffer.from([COM.STMT_EXECUTE, id & 0xff, (id >> 8) & 0xff, (id >> 16) & 0xff]);
      const rest = Buffer.from([id >>> 24, 0, 1, 0, 0, 0]);
      expect(named).toBe(false);
      client.send(frame(Buffer.concat([head, rest, parameters]), 0));
      expect((await client.reply()).error).toBeNull();
      const { values } = await client.query(
        'SELECT CHAR_LENGTH(word) FROM words WHERE id = LAST_INSERT_ID()',
      );
      expect(values).toEqual([String(70_008)]);
      client.post(COM.STMT_CLOSE, idBody(id));
    });
  });

  it('COM_INIT_DB and COM_SET_OPTION go along with their session', async () => {
    const neighbours = withNeighbours();
    const clients: ScriptedClient[] = [];
    await eachOfMany(async (client) => {
      clients.push(client);
      // On in `CLIENT_CAPS`: off for every second one.
      const off = clients.length % 2;
      const schema = off === 1 ? 'mysql' : 'app';
      expect((await client.command(COM.SET_OPTION, Buffer.from([off, 0]))).error).toBeNull();
      expect((await client.command(COM.INIT_DB, Buffer.from(schema))).error).toBeNull();
    });
    for (let round = 0; round < 3; round += 1) {
      await neighbours.progress(12);
      for (const [at, client] of clients.entries()) {
        const off = (at + 1) % 2;
        const both = await client.query('SELECT DATABASE(); SELECT 2');
        if (off === 1) expect(both.error).toMatchObject({ code: 1064 });
        else expect(both.values).toEqual(['app', '2']);
        const schema = (await client.query('SELECT DATABASE()')).values;
        expect(schema).toEqual([off === 1 ? 'mysql' : 'app']);
      }
    }
  });

  it('files stream from clients on shared connections', async () => {
    const neighbours = withNeighbours();
    const count = 20_000;
    await Promise.all(
      Array.from({ length: SUBJECTS }, async (_, number) => {
        const session = await cluster.connect();
        const lines = Array.from({ length: count }, (__, id) => `${id}\tof client ${number}\n`);
        const [result] = await session.query<ResultSetHeader>({
          sql: "LOAD DATA LOCAL INFILE 'rows' INTO TABLE loaded",
          infileStreamFactory: () => Readable.from([Buffer.from(lines.join(''))]),
        });
        expect(result.affectedRows).toBe(count);
        const mine = `SELECT COUNT(*) FROM loaded WHERE word = 'of client ${number}'`;
        expect(await valueOf(session, mine)).toBe(count);
      }),
    );
    await neighbours.progress();
  });

  it('writes of more than 16 MB are one statement each, and replicate', async () => {
    const neighbours = withNeighbours();
    const length = 17 * 1024 * 1024;
    await Promise.all(
      Array.from({ length: 3 }, async (_, number) => {
        const session = await cluster.connect();
        const word = String(number).repeat(length);
        const [result] = await session.query<ResultSetHeader>(
          `INSERT INTO words (word) VALUES ('${word}')`,
        );
        const sum = `SELECT SHA2(word, 256) = SHA2(REPEAT('${number}', ${length}), 256) FROM words WHERE id = ${result.insertId}`;
        expect(await valueOf(session, sum)).toBe(1);
        const [prepared] = await session.execute<ResultSetHeader>(
          'UPDATE words SET word = ? WHERE id = ?',
          [`${word}x`, result.insertId],
        );
        expect(prepared.affectedRows).toBe(1);
        const size = `SELECT LENGTH(word) FROM words WHERE id = ${result.insertId}`;
        expect(await valueOf(session, size)).toBe(length + 1);
      }),
    );
    await neighbours.progress();
    await cluster.lab.waitReplicated();
    const sizes = 'SELECT SUM(LENGTH(word)) AS sum FROM app.words';
    expect(await cluster.root('db2', sizes)).toEqual(await cluster.root('db1', sizes));
  });

  it('what a client sends ahead is answered in order', async () => {
    const neighbours = withNeighbours();
    await eachOfMany(async (client) => {
      for (let value = 0; value < 30; value += 1) {
        client.postQuery(
          value % 3 === 0 ? 'UPDATE words SET id = id WHERE id = 0' : `SELECT ${value}`,
        );
      }
      for (let value = 0; value < 30; value += 1) {
        const { values, error } = await client.reply();
        expect(error).toBeNull();
        expect(values).toEqual(value % 3 === 0 ? [] : [String(value)]);
      }
      await neighbours.progress(6);
    });
  });
});
