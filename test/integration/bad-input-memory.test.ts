import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { encodeQuery } from '../../src/wire/packets/query.ts';
import { NEIGHBOUR_TABLES, Neighbours } from '../support/crowd-neighbours.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { startLab } from '../../src/lab/start-lab.ts';
import { CrowdClient } from '../support/crowd-client.ts';
import { preparedStatements } from '../support/crowd-meter.ts';
import { direct } from '../support/proxy.ts';
import { type ProxyProcess, startProxyProcess } from '../support/proxy-process.ts';
import { ScriptedClient } from '../support/scripted-client.ts';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;
const MAX_PREPARED = 1000;
const MAX_PER_SERVER = 4;
const LITERAL_BYTES = 64 * MIB;
/** What the collector may have left lying about, and the noise of a process that is warm. */
const SLACK_BYTES = 64 * MIB;

/** No two parts of it are alike, so that one that came in another's place is seen. */
function longLiteral(word: string): { text: string; sha256: string } {
  let text = '';
  for (let at = 0; text.length < LITERAL_BYTES; at += 1) text += `${word}${at} `;
  text = text.slice(0, LITERAL_BYTES);
  return { text, sha256: createHash('sha256').update(text).digest('hex') };
}

/** A proxy in a process of its own: what bad input makes it hold is seen in its resident memory. */
describe.skipIf(direct)('memory under bad input', () => {
  let lab: Lab;
  let proxy: ProxyProcess;

  beforeAll(async () => {
    lab = await startLab({
      replicas: 1,
      serverOptions: ['--max-allowed-packet=128M', `--max-prepared-stmt-count=${MAX_PREPARED}`],
    });
    for (const statement of NEIGHBOUR_TABLES) await lab.rootQuery('db1', statement);
    await lab.waitReplicated();
    proxy = await startProxyProcess(lab, {
      pool: { maxPerServer: MAX_PER_SERVER, keepMs: 200 },
      // Well before a login or a statement has waited for long enough.
      listen: { stallTimeoutMs: 2_000 },
      log: { level: 'info' },
    });
    return async () => {
      await proxy[Symbol.asyncDispose]();
      await lab.down();
    };
  });

  const login = () => ({
    host: '127.0.0.1',
    port: proxy.port,
    ...lab.accounts.app,
    database: 'app',
  });

  async function connect(): Promise<ScriptedClient> {
    const client = await ScriptedClient.connect(login());
    onTestFinished(() => client.close());
    return client;
  }

  /** Runs `work` while others work, and expects the proxy to be as large behind it as before. */
  async function expectNoGrowth(
    work: () => Promise<void>,
    slackBytes = SLACK_BYTES,
  ): Promise<void> {
    const neighbours = Neighbours.start(login(), []);
    onTestFinished(async () => {
      expect(await neighbours.stop()).toEqual([]);
    });
    await neighbours.progress(200);
    const before = await proxy.rssBytes();
    await work();
    await neighbours.progress(200);
    let after = 0;
    await until(
      'the proxy has given the memory back',
      async () => {
        after = await proxy.rssBytes();
        return after - before < slackBytes;
      },
      15_000,
    ).catch(() => {
      throw new Error(`It has grown by ${Math.round((after - before) / MIB)} MiB`);
    });
    expect(await neighbours.stop()).toEqual([]);
  }

  /** @returns the error that ended it, null where 100 000 statements were prepared */
  async function prepareUntilRefused(client: ScriptedClient): Promise<string | null> {
    for (let at = 0; at < 100_000; at += 1) {
      const refused = await client.prepare(`SELECT ${at} + ?`).then(
        () => null,
        (error: unknown) => String(error),
      );
      if (refused !== null) return refused;
      if (at % 500 !== 0) continue;
      for (const { id } of lab.servers) {
        expect(await preparedStatements(lab, id)).toBeLessThanOrEqual(MAX_PREPARED);
      }
    }
    return null;
  }

  it('literals of 64 MB stream through, whether they end or not', async () => {
    const ones = { client: await connect(), literal: longLiteral('ab') };
    const others = { client: await connect(), literal: longLiteral('xyz') };
    const turn = async ({ client, literal }: typeof ones) => {
      client.send(encodeQuery(`SELECT SHA2('${literal.text}', 256)`, client.caps));
      const { error, values } = await longReply(client);
      expect({ error, values }).toEqual({ error: null, values: [literal.sha256] });
      client.send(encodeQuery(`SELECT SHA2('${literal.text}, 256)`, client.caps));
      expect((await longReply(client)).error).toMatchObject({ code: 1064 });
    };
    const before = await proxy.rssBytes();
    await turn(ones);
    const once = await proxy.rssBytes();
    // Neither the statement nor its parts: their memory is used again.
    expect(once - before).toBeLessThan(LITERAL_BYTES);
    await expectNoGrowth(async () => {
      for (let round = 0; round < 2; round += 1) await Promise.all([turn(ones), turn(others)]);
    });
  });

  it('a client that prepares 100 000 statements meets a limit', async () => {
    const client = await connect();
    await expectNoGrowth(async () => {
      const refused = await prepareUntilRefused(client);
      expect(refused).toMatch(/^Error: (1461 |\d+ lagwise: .*prepare)/);
      client.close();
    });
  });

  it('thousands of statements that are all different leave nothing', async () => {
    await expectNoGrowth(async () => {
      const client = await CrowdClient.connect(login());
      for (let at = 0; at < 12_000; at += 1) {
        // Names are part of a digest: each of them is a new one.
        const { error } = await client.query(`SELECT 1 AS name_${at} FROM plain WHERE id = 1`);
        expect(error).toBeNull();
      }
      client.close();
    });
  });

  it('variables of many sessions go with them', async () => {
    await expectNoGrowth(async () => {
      for (let session = 0; session < 100; session += 1) {
        const client = await CrowdClient.connect(login());
        for (let at = 0; at < 50; at += 1) {
          const { error } = await client.query(
            `SET @v${at} = REPEAT('x', 1000), lock_wait_timeout = ${at + 1}`,
          );
          expect(error).toBeNull();
        }
        client.close();
      }
    });
  });

  it('clients that stop in the middle of a command hold little', async () => {
    await expectNoGrowth(async () => {
      for (let number = 0; number < 50; number += 1) {
        const client = await connect();
        // A command of 900 000 bytes, which is short enough to be gathered, of which 100 KB come.
        const length = 900_000;
        client.send(Buffer.from([length & 0xff, (length >> 8) & 0xff, length >> 16, 0, 3]));
        client.send(Buffer.alloc(100_000, 0x20));
      }
    });
  });

  it('clients that stop in the middle of a long command do not keep others out', async () => {
    for (let number = 0; number < 2 * MAX_PER_SERVER; number += 1) {
      const client = await connect();
      // A command of 16 MB, which is streamed, of which 100 KB come.
      client.send(Buffer.from([0xfe, 0xff, 0xff, 0, 3]));
      client.send(Buffer.alloc(100_000, 0x20));
    }
    const other = await CrowdClient.connect(login());
    await until(
      'others can write',
      async () => {
        const { error } = await other.query('UPDATE neighbour SET n = n + 1 WHERE id = 7');
        return error === null;
      },
      20_000,
    );
    other.close();
  });
});

/** A reply that may take longer than the scripted client waits: 64 MB have to go there first. */
async function longReply(client: ScriptedClient) {
  const hasLeft = () => client.pipe.socket.writableLength === 0;
  await until('the statement is on its way', hasLeft, 20_000);
  return await client.reply();
}
