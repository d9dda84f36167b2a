import { createServer, type Server } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { type AdminServer, startAdminServer } from '../../../src/admin/http-server.ts';
import { askAdmin } from '../../../src/cli/admin-client.ts';
import { type Explanation, explainStatement } from '../../../src/cli/explain-statement.ts';
import { explanationText } from '../../../src/cli/explain-text.ts';
import { StatementReader } from '../../../src/cli/statement-input.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { serverId } from '../../../src/lib/ids.ts';
import { createTelemetry } from '../../../src/telemetry/telemetry.ts';
import type { Snapshot } from '../../../src/topology/snapshot.ts';
import { aServer, aSnapshot } from '../../support/snapshots.ts';

const telemetry = createTelemetry({
  logLevel: 'silent',
  version: '0',
  destination: { write: () => undefined },
});
const running: AdminServer[] = [];
const scripted: Server[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close()));
  for (const server of scripted.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

const primary = aServer({ id: serverId('db1'), role: 'primary', readOnly: false });
const replica = (id: string, given: object = {}) => aServer({ id: serverId(id), ...given });
const CLUSTER = aSnapshot({
  primary,
  servers: [
    primary,
    replica('db2', { lag: { t: 'known', lagMs: 12, method: 'gtid' } }),
    replica('db3', { lag: { t: 'known', lagMs: 20_000, method: 'gtid' } }),
    replica('db4', { lag: { t: 'unknown', why: 'no heartbeat' } }),
    replica('db5', { role: 'unassigned', ineligible: 'Its applier has stopped' }),
  ],
});

/** The real admin server over a cluster that is made up. */
async function proxyOf(
  snapshot: Snapshot,
  more: Partial<Parameters<typeof startAdminServer>[0]> = {},
): Promise<string> {
  const server = await startAdminServer({
    host: '127.0.0.1',
    port: 0,
    registry: telemetry.registry,
    readiness: () => ({ ready: true, reasons: [] }),
    snapshot: () => snapshot,
    sessions: () => [],
    logger: telemetry.logger,
    ...more,
  });
  running.push(server);
  return `http://127.0.0.1:${server.port}`;
}

/** Something that speaks HTTP and gives these answers by path; else 404. */
async function answering(answers: Readonly<Record<string, string>>): Promise<string> {
  const server = createServer((request, response) => {
    const body = answers[request.url ?? ''];
    response.writeHead(body === undefined ? 404 : 200);
    response.end(body);
  });
  scripted.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('It has no port');
  return `http://127.0.0.1:${address.port}`;
}

async function explain(sql: string, base: string, keys: object = {}) {
  const config = parseConfig(
    { servers: [{ host: 'x' }], monitor: { user: 'm', password: 'x' }, ...keys },
    { env: {} },
  );
  const answer = await askAdmin(base);
  const routines = answer.t === 'ok' ? answer.routines : null;
  const server = { flavor: 'mysql', version: '9.7.4', routines } as const;
  const input = new StatementReader(server).read(sql);
  if (typeof input === 'string') throw new Error(input);
  const client = { user: 'app', clientAddr: '127.0.0.1', schema: null };
  const explained = explainStatement(input, client, config, answer);
  return { explained, text: explanationText(explained, { base, answer }) };
}

const eligible = ({ servers }: Explanation) =>
  (servers ?? []).filter((each) => each.eligible).map(({ id }) => id);

describe('explain with a proxy that runs', () => {
  test('names the replicas that may take a read, and why the others may not', async () => {
    const { explained, text } = await explain('SELECT 1', await proxyOf(CLUSTER));
    expect(eligible(explained)).toEqual(['db2']);
    expect(text).toMatch(/^ {2}yes {2}db2 +It lags 12 ms$/m);
    expect(text).toMatch(/^ {2}no {3}db1 +It is primary, not a replica$/m);
    expect(text).toMatch(/^ {2}no {3}db3 +It lags 20000 ms, the limit is 10000 ms$/m);
    expect(text).toMatch(/^ {2}no {3}db4 +Its lag is unknown: no heartbeat$/m);
    expect(text).toMatch(/^ {2}no {3}db5 +Its applier has stopped$/m);
  });

  test('takes the limit of lag from comment and rules', async () => {
    const base = await proxyOf(CLUSTER);
    const all = await explain('/* lagwise: max_lag_ms=30000 */ SELECT 1', base);
    expect(eligible(all.explained)).toEqual(['db2', 'db3']);
    const none = await explain('SELECT 1', base, { rules: [{ name: 'tight', maxLagMs: 5 }] });
    expect(eligible(none.explained)).toEqual([]);
    expect(none.text).toMatch(/^rules +tight$/m);
    expect(none.text).toMatch(/^lag limit +5 ms, from a rule$/m);
    expect(none.text).toContain('No replica may take it now: it goes to the primary');
  });

  test('tells of zones, tags, rests and replicas that come back', async () => {
    const servers = [
      replica('db2', { zone: 'a' }),
      replica('db3', { zone: 'b' }),
      replica('db4', { zone: 'a', tags: ['bi'], reserved: true }),
      replica('db5', { zone: 'b' }),
    ];
    const base = await proxyOf(aSnapshot({ servers }), {
      zone: 'a',
      standingOf: (id) => ({
        ramp: id === 'db3' ? 0.55 : 1,
        rest: id === 'db5' ? '9 failures' : null,
        restUntilMs: 0,
        latencyMs: 1,
      }),
    });
    const plain = await explain('SELECT 1', base);
    expect(plain.explained.servers?.map(({ eligible: may, why }) => `${may} ${why}`)).toEqual([
      'true It lags 0 ms, in the zone of the proxy',
      'true It lags 0 ms, comes back with 55 % of its share, in zone b: after those in a',
      'false It is reserved for reads that ask for "bi" (replica_tags)',
      'false It rests: 9 failures',
    ]);
    const tagged = await explain('/* lagwise: replica_tags=bi */ SELECT 1', base);
    expect(eligible(tagged.explained)).toEqual(['db4']);
    expect(tagged.text).toMatch(/^tags +bi, from its comment$/m);
    expect(tagged.text).toMatch(/^ {2}no {3}db2 +It has not the tag "bi" that the read asks for$/m);
  });

  test('names the primary for a write, and says if there is none', async () => {
    const write = await explain('DELETE FROM t', await proxyOf(CLUSTER));
    expect(eligible(write.explained)).toEqual(['db1']);
    const base = await proxyOf(aSnapshot({ noPrimary: 'All servers are read-only' }));
    const { text } = await explain('DELETE FROM t', base);
    expect(text).toContain('There is no primary now (All servers are read-only)');
  });

  test('names no server for what is not sent to one in particular', async () => {
    const base = await proxyOf(CLUSTER);
    for (const [sql, words] of [
      ['KILL 3', 'nowhere, Lagwise answers it'],
      ['SHOW WARNINGS', 'the server that the session is on'],
      ['SET NAMES utf8mb4', 'wherever the session is'],
    ] as const) {
      const { explained, text } = await explain(sql, base);
      expect(explained.servers).toEqual([]);
      expect(text).toContain(words);
    }
  });

  test('knows the statements that replicas have refused', async () => {
    const first = await explain('SELECT 1', await proxyOf(CLUSTER));
    const learned = [
      { digest: first.explained.digest, why: 'read-only' },
      { digest: 'x', why: 5 },
      null,
    ];
    const base = await answering({
      '/api/servers': JSON.stringify({ servers: [] }),
      '/api/learned': JSON.stringify({ learned }),
    });
    const { explained } = await explain('SELECT 2', base);
    expect(explained).toMatchObject({
      target: 'primary',
      reason: 'learned',
      classReason: 'select',
    });
  });
});

describe('explain with a proxy that knows routines', () => {
  const routine = (name: string, kind: string, type = 'function') => ({
    schema: 'app',
    name,
    type,
    kind,
    why: '',
  });
  const answers = (given: object) => ({
    '/api/servers': JSON.stringify({ servers: [] }),
    '/api/routines?limit=10000': JSON.stringify({
      routines: [routine('total', 'reads'), routine('noisy', 'writes'), routine('odd', 'new word')],
      unsafeViews: [{ schema: 'app', name: 'loud_view', why: 'it calls noisy' }],
      loadable: [],
      isComplete: true,
      count: 3,
      ...given,
    }),
  });

  test.each([
    ['SELECT total(1)', 'replica', 'select'],
    ['SELECT noisy(1)', 'primary', 'writing-function'],
    ['SELECT odd(1)', 'primary', 'unknown-function'],
    ['SELECT other(1)', 'primary', 'unknown-function'],
    ['SELECT * FROM loud_view', 'primary', 'unsafe-view'],
  ])('%s goes to the %s for %s', async (sql, target, reason) => {
    const { explained } = await explain(sql, await answering(answers({})));
    expect(explained).toMatchObject({ target, reason });
  });

  test('nothing is known where it does not tell', async () => {
    const { '/api/servers': servers } = answers({});
    const { explained } = await explain(
      'SELECT total(1)',
      await answering({ '/api/servers': servers }),
    );
    expect(explained).toMatchObject({ target: 'primary', reason: 'unknown-function' });
  });
});

describe('explain without a proxy', () => {
  test('says so where nobody listens', async () => {
    const base = await proxyOf(CLUSTER);
    await running.pop()?.close();
    const { explained, text } = await explain('SELECT 1', base);
    expect(explained).toMatchObject({ target: 'replica', servers: null });
    expect(text).toMatch(/cannot be reached \(connect ECONNREFUSED/);
  });

  test.each([
    ['no JSON', 'hello', /JSON/],
    ['another thing', '[]', /does not answer as Lagwise does/],
    ['servers that are none', '{"servers":[{"id":5}]}', /does not answer as Lagwise does/],
  ])('says so where the answer is %s', async (_, body, why) => {
    const { text } = await explain('SELECT 1', await answering({ '/api/servers': body }));
    expect(text).toMatch(/^No proxy was asked for its servers/m);
    expect(text).toMatch(why);
  });

  test('says so where the path is unknown', async () => {
    const { text } = await explain('SELECT 1', await answering({}));
    expect(text).toContain('it answers with status 404');
  });

  test('tells the digest without literals, the effects, and what a comment got wrong', async () => {
    const sql = "/* lagwise: target=master, tag=a */ SELECT GET_LOCK('secret', 1)";
    const { text, explained } = await explain(sql, 'http://127.0.0.1:1');
    expect(text).not.toContain('secret');
    expect(text).toMatch(/^statement +SELECT GET_LOCK\(\?, \.\.\.\)$/m);
    expect(text).toMatch(/^effect +takes a lock by name/m);
    expect(text).toMatch(/^comment +tag=a$/m);
    expect(text).toMatch(/^ +not understood: target is one of primary, replica$/m);
    expect(explained.effects).toContain('takes-user-lock');
  });
});
