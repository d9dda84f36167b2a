import { request } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { type AdminServer, startAdminServer } from '../../../src/admin/http-server.ts';
import { RoutineCatalogue } from '../../../src/monitor/routine-catalogue.ts';
import { DigestTable, RUN } from '../../../src/routing/digest-table.ts';
import { LearnedStatements } from '../../../src/routing/learned-statements.ts';
import { ROUTINE_KIND } from '../../../src/sql/routine-facts.ts';
import { createTelemetry } from '../../../src/telemetry/telemetry.ts';
import { aSnapshot } from '../../support/snapshots.ts';

const telemetry = createTelemetry({
  logLevel: 'silent',
  version: '0',
  destination: { write: () => undefined },
});
const running: AdminServer[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close()));
});

const routines = {
  catalogue: new RoutineCatalogue({
    routines: [
      { schema: 'app', name: 'f', type: 'function', kind: ROUTINE_KIND.READS, why: 'reads' },
      { schema: 'app', name: 'w', type: 'function', kind: ROUTINE_KIND.WRITES, why: 'writes' },
    ],
    unsafeViews: [{ schema: 'app', name: 'v', why: 'uses app.w' }],
    loadable: ['udf'],
    packages: [],
    isComplete: true,
  }),
  status: {
    isCurrent: true,
    readAtMs: 0,
    server: 'db1',
    problem: null,
    missingGrants: [],
    readings: 1,
    failures: 0,
  },
};

async function start(withStatements = true) {
  const statements = { digests: new DigestTable(), learned: new LearnedStatements(), routines };
  const server = await startAdminServer({
    host: '127.0.0.1',
    port: 0,
    registry: telemetry.registry,
    readiness: () => ({ ready: true, reasons: [] }),
    snapshot: () => aSnapshot({}),
    sessions: () => [],
    logger: telemetry.logger,
    ...(withStatements ? { statements } : {}),
  });
  running.push(server);
  return { ...statements, port: server.port, base: `http://127.0.0.1:${server.port}` };
}

describe('/api/digests', () => {
  test('shows rows in the order asked for, times as people read them', async () => {
    const { base, digests } = await start();
    const now = performance.now();
    for (const digestHi of [1, 2]) {
      const judged = { cls: 'read', reason: 'select', digestHi, digestLo: 0 } as const;
      digests.admit(judged, `SELECT ${digestHi}`, now);
    }
    digests.note(1, 0, 900.4, RUN.ON_REPLICA, now);
    digests.note(2, 0, 100, 0, now);
    digests.note(2, 0, 100, RUN.FAILED, now);
    const all = await (await fetch(`${base}/api/digests`)).json();
    expect(all).toMatchObject({
      size: 2,
      digests: [
        { digest: '0000000100000000', totalUs: 900, meanUs: 900, onReplica: 1, class: 'read' },
        { digest: '0000000200000000', count: 2, errors: 1, meanUs: 100, onPrimary: 2 },
      ],
    });
    const [, lastSeen] = /"lastSeen": "([^"]+)"/.exec(JSON.stringify(all, null, 1)) ?? [];
    expect(Math.abs(Date.parse(lastSeen ?? '') - Date.now())).toBeLessThan(60_000);
    const one = await (await fetch(`${base}/api/digests?sort=count&limit=1`)).json();
    expect(one).toMatchObject({ digests: [{ text: 'SELECT 2' }] });
  });

  test.each(['limit=0', 'limit=-1', 'limit=x', 'limit=1e9', 'sort=nothing'])(
    'refuses %s',
    async (query) => {
      const { base } = await start();
      expect((await fetch(`${base}/api/digests?${query}`)).status).toBe(400);
    },
  );
});

describe('/api/learned', () => {
  async function withTwo() {
    const started = await start();
    started.learned.learn(1, 1, 'read-only', performance.now(), 'SELECT f ( ? )');
    started.learned.learn(2, 2, 'missing-object', performance.now(), 'SELECT 2');
    return started;
  }

  test('shows what was learned', async () => {
    const { base } = await withTwo();
    const shown = await (await fetch(`${base}/api/learned`)).json();
    expect(shown).toMatchObject({
      size: 1,
      learned: expect.arrayContaining([
        expect.objectContaining({ digest: '0000000100000001', why: 'read-only' }),
        expect.objectContaining({ digest: '0000000200000002', why: 'missing-object' }),
      ]),
    });
  });

  test('forgets one, or all', async () => {
    const { base, learned } = await withTwo();
    const one = `${base}/api/learned/0000000100000001`;
    expect(await (await fetch(one, { method: 'DELETE' })).json()).toEqual({ forgotten: 1 });
    expect(learned.isLearned(1, 1)).toBe(false);
    expect((await fetch(one, { method: 'DELETE' })).status).toBe(404);
    expect((await fetch(`${base}/api/learned/zz`, { method: 'DELETE' })).status).toBe(400);
    const all = await fetch(`${base}/api/learned`, { method: 'DELETE' });
    expect(await all.json()).toEqual({ forgotten: 1 });
    expect(learned.list()).toEqual([]);
  });

  test('forgets nothing for a page of another origin or another name', async () => {
    const { port, learned } = await withTwo();
    const statusOf = (headers: Record<string, string>) =>
      new Promise<number | undefined>((resolve, reject) => {
        const target = { host: '127.0.0.1', port, path: '/api/learned', method: 'DELETE', headers };
        const sent = request(target, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        sent.on('error', reject);
        sent.end();
      });
    expect(await statusOf({ origin: 'https://evil.test' })).toBe(403);
    expect(await statusOf({ 'sec-fetch-site': 'cross-site' })).toBe(403);
    const rebound = `evil.test:${port}`;
    expect(await statusOf({ host: rebound, origin: `http://${rebound}` })).toBe(403);
    expect(learned.list()).toHaveLength(2);
    const own = `127.0.0.1:${port}`;
    expect(await statusOf({ host: own, origin: `http://${own}` })).toBe(200);
    expect(learned.list()).toHaveLength(0);
  });

  test('names the methods that it has', async () => {
    const { base } = await start();
    const posted = await fetch(`${base}/api/learned`, { method: 'POST' });
    expect(posted.status).toBe(405);
    expect(posted.headers.get('allow')).toBe('GET, HEAD, DELETE');
    const got = await fetch(`${base}/api/learned/0000000100000001`);
    expect(got.status).toBe(405);
    expect(got.headers.get('allow')).toBe('DELETE');
    expect((await fetch(`${base}/api/digests`, { method: 'DELETE' })).status).toBe(405);
    expect((await fetch(`${base}/metrics`, { method: 'DELETE' })).status).toBe(405);
    expect((await fetch(`${base}/api/learned/`)).status).toBe(404);
    expect((await fetch(`${base}/api/learned/*`)).status).toBe(405);
  });
});

describe('/api/routines', () => {
  test('shows what each does and why', async () => {
    const { base } = await start();
    expect(await (await fetch(`${base}/api/routines?limit=1`)).json()).toMatchObject({
      isCurrent: true,
      isComplete: true,
      server: 'db1',
      count: 2,
      routines: [{ schema: 'app', name: 'f', type: 'function', kind: 'reads' }],
      unsafeViews: [{ name: 'v' }],
      loadable: ['udf'],
    });
  });
});

describe('a server without what is known of statements', () => {
  test('says so', async () => {
    const { base } = await start(false);
    for (const path of ['digests', 'learned', 'routines']) {
      const response = await fetch(`${base}/api/${path}`);
      expect(response.status).toBe(404);
      expect(await response.json()).toEqual({ error: 'Nothing is kept about statements' });
    }
  });
});
