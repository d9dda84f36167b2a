import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createConnection } from 'mysql2/promise';
import { serverId } from '../../src/lib/ids.ts';
import { ServerRoutines } from '../../src/monitor/routine-source.ts';
import { type RoutineTiming, RoutineWatch } from '../../src/monitor/routine-watch.ts';
import { CHARSET_KIND } from '../../src/sql/charset-kind.ts';
import { Classifier } from '../../src/sql/classify.ts';
import { ROUTINE_KIND as KIND } from '../../src/sql/routine-facts.ts';
import type { Snapshot } from '../../src/topology/snapshot.ts';
import { FLAVORS } from '../support/flavors.ts';
import { useLab } from '../support/lab.ts';
import { startProxy } from '../support/proxy.ts';
import { aServer, aSnapshot } from '../support/snapshots.ts';
import { until } from '../support/until.ts';

const TIMING: RoutineTiming = {
  intervalMs: 60_000,
  debounceMs: 20,
  gapMs: 50,
  unknownGapMs: 10_000,
  timeoutMs: 10_000,
};
const WORDS = new Map<number, string>(Object.entries(KIND).map(([word, kind]) => [kind, word]));

describe.each(FLAVORS)('routines on %s', (flavor) => {
  const cluster = useLab({ flavor, replicas: 1 });
  const watches: RoutineWatch[] = [];
  const warnings: string[] = [];
  const none = () => undefined;
  const logger = {
    debug: none,
    info: none,
    warn: (fields: object, message: string) =>
      warnings.push(`${message} ${JSON.stringify(fields)}`),
    error: none,
    child: () => logger,
  };

  function snapshotOf(id: string): Snapshot {
    const server = cluster.lab.servers.find((each) => each.id === id);
    if (server === undefined) throw new Error(`There is no ${id}`);
    const { host, port } = server;
    const primary = aServer({ id: serverId(id), host, port, role: 'primary', flavor });
    return aSnapshot({ servers: [primary], primary });
  }

  function watch(
    account: { readonly user: string; readonly password: string } = cluster.lab.accounts.monitor,
    snapshot: () => Snapshot = () => snapshotOf('db1'),
    timing: Partial<RoutineTiming> = {},
  ): RoutineWatch {
    const source = new ServerRoutines({ account, tls: { mode: 'preferred', ca: null } });
    const made = new RoutineWatch({
      source,
      snapshot,
      logger,
      timing: { ...TIMING, ...timing },
    });
    watches.push(made);
    made.start();
    return made;
  }

  const current = (routines: RoutineWatch) =>
    until('the catalogue is current', () => {
      const { isCurrent, problem } = routines.status;
      if (problem !== null) throw new Error(problem);
      return isCurrent;
    });

  function kindOf(
    routines: RoutineWatch,
    path: string,
    type: 'function' | 'procedure' = 'function',
  ): string | undefined {
    const buf = Buffer.from(path);
    const dot = path.indexOf('.');
    const [nameStart, schemaStart, schemaEnd] = dot < 0 ? [0, -1, -1] : [dot + 1, 0, dot];
    const { facts } = routines;
    const kind =
      type === 'function'
        ? facts.functionKind(buf, nameStart, buf.length, schemaStart, schemaEnd)
        : facts.procedureKind(buf, nameStart, buf.length, schemaStart, schemaEnd);
    return WORDS.get(kind);
  }

  const isUnsafe = ({ facts }: RoutineWatch, name: string) =>
    facts.hasUnsafeViews && facts.unsafeView(Buffer.from(name), 0, name.length);

  const onPrimary = async (...statements: string[]) => {
    for (const statement of statements) await cluster.lab.rootQuery('db1', statement);
  };

  async function account(user: string, ...rights: string[]) {
    await onPrimary(
      `CREATE USER '${user}'@'%' IDENTIFIED BY '${user}'`,
      ...rights.map((right) => `GRANT ${right} TO '${user}'@'%'`),
    );
    return { user, password: user };
  }

  beforeAll(async () => {
    const declared = 'RETURNS INT READS SQL DATA';
    await onPrimary(
      'CREATE TABLE app.t (id INT PRIMARY KEY AUTO_INCREMENT, n INT)',
      `CREATE FUNCTION app.reading(a INT) ${declared} RETURN a + (SELECT COUNT(*) FROM app.t)`,
      'CREATE FUNCTION app.bare(a INT) RETURNS INT DETERMINISTIC RETURN a + 1',
      `CREATE FUNCTION app.lying() ${declared} BEGIN INSERT INTO app.t (n) VALUES (1); RETURN 1; END`,
      `CREATE FUNCTION app.via() ${declared} RETURN app.lying()`,
      `CREATE FUNCTION app.marking() ${declared} BEGIN SET @marked = 1; RETURN 1; END`,
      `CREATE FUNCTION app.locking() ${declared} RETURN GET_LOCK('routines', 0)`,
      'CREATE PROCEDURE app.show_all() SELECT * FROM app.t',
      // The catalogue shows the next two without the backslashes: as a string, and as an open one.
      `CREATE FUNCTION app.hiding() ${declared} BEGIN DECLARE s TEXT; SET s = 'a\\''; DELETE FROM app.t; SET s = '\\''; RETURN 1; END`,
      `CREATE FUNCTION app.slashed(a TEXT, "b)" TEXT) ${declared} COMMENT 'it''s\n    NO SQL\nBEGIN' RETURN LENGTH(REPLACE(a, '\\\\', '/'))`.replaceAll(
        '"',
        '`',
      ),
      "CREATE PROCEDURE app.`od``d`() SELECT 'it''s' AS x",
      'CREATE PROCEDURE app.tell(OUT total INT) SET total = (SELECT COUNT(*) FROM app.t)',
      'CREATE PROCEDURE app.add_one() INSERT INTO app.t (n) VALUES (1)',
      'CREATE PROCEDURE app.scratch() CREATE TEMPORARY TABLE IF NOT EXISTS app.s (n INT)',
      'CREATE DATABASE other',
      `CREATE FUNCTION other.reading(a INT) ${declared} RETURN a`,
      `CREATE FUNCTION other.bare() ${declared} BEGIN DELETE FROM app.t; RETURN 1; END`,
      'CREATE VIEW app.plain AS SELECT id, n FROM app.t',
      'CREATE VIEW app.good AS SELECT app.reading(1) AS x, LOWER(n) AS y FROM app.t',
      'CREATE VIEW app.bad AS SELECT app.lying() AS x',
      'CREATE VIEW app.bad_too AS SELECT x FROM app.bad',
    );
    await cluster.lab.waitReplicated();
  });

  afterEach(() => {
    warnings.length = 0;
  });

  afterAll(async () => {
    await Promise.all(watches.map((each) => each.stop()));
  });

  it('are judged by their texts, whatever they were declared to be', async () => {
    const routines = watch();
    await current(routines);
    expect(routines.status).toMatchObject({ missingGrants: [], problem: null, server: 'db1' });
    expect(kindOf(routines, 'app.reading')).toBe('READS');
    expect(kindOf(routines, 'app.bare')).toBe('READS');
    expect(kindOf(routines, 'app.lying')).toBe('WRITES');
    expect(kindOf(routines, 'app.via')).toBe('WRITES');
    expect(kindOf(routines, 'app.hiding')).toBe('WRITES');
    expect(kindOf(routines, 'app.slashed')).toBe('READS');
    expect(kindOf(routines, 'app.od`d', 'procedure')).toBe('READS');
    expect(kindOf(routines, 'app.marking')).toBe('STATEFUL_READ');
    expect(kindOf(routines, 'app.locking')).toBe('STATEFUL_READ');
    expect(kindOf(routines, 'app.nothing')).toBe('UNKNOWN');
    expect(kindOf(routines, 'app.show_all', 'procedure')).toBe('READS');
    expect(kindOf(routines, 'app.tell', 'procedure')).toBe('READS');
    expect(kindOf(routines, 'app.add_one', 'procedure')).toBe('WRITES');
    expect(kindOf(routines, 'app.scratch', 'procedure')).toBe('OPAQUE');
    // Both schemas have one that reads; of the other name, one writes.
    expect(kindOf(routines, 'READING')).toBe('READS');
    expect(kindOf(routines, 'bare')).toBe('WRITES');
    expect(warnings).toEqual([]);
  });

  it('what the server brings with it is judged, too', async () => {
    const routines = watch();
    await current(routines);
    // The sys schema's pure functions; format_statement sets a variable of the session.
    expect(kindOf(routines, 'sys.extract_schema_from_file_name')).toBe('READS');
    expect(kindOf(routines, 'sys.quote_identifier')).toBe('READS');
    expect(kindOf(routines, 'sys.sys_get_config')).not.toBe('UNKNOWN');
    expect(kindOf(routines, 'sys.ps_setup_save', 'procedure')).toBe('OPAQUE');
  });

  it('views whose texts are hidden are all taken for those that write', async () => {
    const routines = watch();
    await current(routines);
    expect(isUnsafe(routines, 'bad')).toBe(true);
    expect(isUnsafe(routines, 'plain')).toBe(true);
    expect(isUnsafe(routines, 't')).toBe(false);
  });

  it('views whose texts may be seen are told apart', async () => {
    const grants =
      flavor === 'mysql'
        ? ['SHOW_ROUTINE ON *.*', 'SELECT ON performance_schema.*']
        : ['SELECT ON mysql.proc', 'SELECT ON mysql.func'];
    const seeing = await account('seeing', ...grants, 'SHOW VIEW, SELECT ON *.*');
    const routines = watch(seeing);
    await current(routines);
    expect(routines.status.missingGrants).toEqual([]);
    expect(isUnsafe(routines, 'plain')).toBe(false);
    expect(isUnsafe(routines, 'good')).toBe(false);
    expect(isUnsafe(routines, 'bad')).toBe(true);
    expect(isUnsafe(routines, 'BAD_TOO')).toBe(true);
  });

  it('are unknown to an account that may not see them, and the log says what to grant', async () => {
    const routines = watch(await account('blind'));
    await current(routines);
    expect(kindOf(routines, 'app.reading')).toBe('UNKNOWN');
    expect(kindOf(routines, 'reading')).toBe('UNKNOWN');
    expect(kindOf(routines, 'app.add_one', 'procedure')).toBe('OPAQUE');
    expect(routines.status.missingGrants).toEqual(
      flavor === 'mysql'
        ? ['SHOW_ROUTINE ON *.*', 'SELECT ON performance_schema.*', 'SHOW VIEW ON *.*']
        : ['SELECT ON mysql.proc', 'SELECT ON mysql.func', 'SHOW VIEW ON *.*'],
    );
    expect(warnings).toHaveLength(1);
  });

  it('whose text alone is hidden count as declared, but only with their schema', async () => {
    const executing = await account('executing', 'EXECUTE ON app.*');
    const routines = watch(executing);
    await current(routines);
    expect(kindOf(routines, 'app.reading')).toBe('READS');
    expect(kindOf(routines, 'app.bare')).toBe('UNKNOWN');
    expect(kindOf(routines, 'reading')).toBe('UNKNOWN');
    expect(kindOf(routines, 'other.reading')).toBe('UNKNOWN');
    expect(kindOf(routines, 'app.show_all', 'procedure')).toBe('OPAQUE');
  });

  it('that DDL changes are unknown at once and judged anew soon after', async () => {
    const routines = watch();
    await current(routines);
    expect(kindOf(routines, 'app.fresh')).toBe('UNKNOWN');
    await onPrimary('CREATE FUNCTION app.fresh() RETURNS INT DETERMINISTIC RETURN 1');
    routines.noteDdl();
    expect(kindOf(routines, 'app.reading')).toBe('UNKNOWN');
    await until('the new one is known', () => kindOf(routines, 'app.fresh') === 'READS');
    await onPrimary(
      'DROP FUNCTION app.fresh',
      'CREATE FUNCTION app.fresh() RETURNS INT DETERMINISTIC BEGIN DELETE FROM app.t; RETURN 1; END',
    );
    routines.noteDdl();
    await until('the changed one is known', () => kindOf(routines, 'app.fresh') === 'WRITES');
    await onPrimary('DROP FUNCTION app.fresh');
    routines.noteDdl();
    await current(routines);
    expect(kindOf(routines, 'app.fresh')).toBe('UNKNOWN');
    expect(kindOf(routines, 'app.reading')).toBe('READS');
  });

  it.each([
    ['SELECT app.reading(1)', 'read'],
    ['SELECT `app` . `READING` (1) FROM app.t', 'read'],
    ['SELECT reading(1)', 'read'],
    ['SELECT app.slashed("a", "b")', 'read'],
    ['SELECT app.lying()', 'not read'],
    ['SELECT bare(1)', 'not read'],
    ['SELECT app.bare(1)', 'read'],
    ['SELECT app.marking()', 'not read'],
    ['SELECT app.nothing()', 'not read'],
    ['SELECT x FROM app.bad_too', 'not read'],
    ['SELECT n FROM app.t', 'read'],
    ['CALL app.show_all()', 'not read'],
  ])('the classifier takes %s for a statement that is %s', async (sql, expected) => {
    const routines = watch();
    await current(routines);
    const buf = Buffer.from(sql);
    const { cls } = new Classifier().classify(buf, 0, buf.length, {
      noBackslashEscapes: false,
      ansiQuotes: false,
      ignoreSpace: false,
      charsetKind: CHARSET_KIND.UTF8,
      routines: routines.facts,
      flavor,
      serverVersion: flavor === 'mysql' ? 90704 : 101119,
    });
    expect(cls === 'read' ? 'read' : 'not read').toBe(expected);
    await routines.stop();
  });

  it('that a read-only replica refuses are none that read', async () => {
    const routines = watch();
    await current(routines);
    const app = await createConnection({
      host: '127.0.0.1',
      port: cluster.lab.servers.find(({ id }) => id === 'db2')?.port ?? 0,
      ...cluster.lab.accounts.app,
    });
    try {
      const refused: string[] = [];
      const calls = ['reading(1)', 'bare(1)', 'lying()', 'via()', 'hiding()', 'slashed("", "")'];
      for (const call of calls) {
        const failure = await app.query(`SELECT app.${call}`).then(
          () => null,
          (error: unknown) => error,
        );
        if (failure !== null) refused.push(call);
        const kind = kindOf(routines, `app.${call.slice(0, call.indexOf('('))}`);
        expect(kind === 'READS', `${call} is ${kind}: ${String(failure)}`).toBe(failure === null);
      }
      expect(refused).toEqual(['lying()', 'via()', 'hiding()']);
    } finally {
      app.destroy();
    }
  });

  it('are shown by a running proxy, with metrics', async () => {
    const proxy = await startProxy(cluster.lab);
    try {
      const url = `http://127.0.0.1:${proxy.app.adminPort}/api/routines?limit=1000`;
      const shown = await until('the proxy has read them', async () => {
        const text = await (await fetch(url)).text();
        return text.includes('"isCurrent": true') ? text : null;
      });
      expect(JSON.parse(shown)).toMatchObject({
        isComplete: true,
        missingGrants: [],
        routines: expect.arrayContaining([
          expect.objectContaining({ schema: 'app', name: 'lying', kind: 'writes' }),
        ]),
      });
      expect(await proxy.metric('lagwise_routines_current')).toBe(1);
      expect(await proxy.metric('lagwise_routines')).toBeGreaterThan(10);
      expect(await proxy.metric('lagwise_learned_statements')).toBe(0);
    } finally {
      await proxy.app.stop();
    }
  });

  it('that cannot be read in time are unknown, and no connection is left behind', async () => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => {
      sockets.add(socket);
      socket.resume().on('close', () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    try {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- listens on TCP
      const { port } = silent.address() as AddressInfo;
      const primary = aServer({ id: serverId('mute'), port, role: 'primary', flavor });
      const routines = watch(undefined, () => aSnapshot({ servers: [primary], primary }), {
        timeoutMs: 300,
      });
      await until('a reading has failed', () => routines.status.failures > 0);
      expect(routines.status.problem).toBe('It took longer than 300 ms');
      expect(kindOf(routines, 'app.reading')).toBe('UNKNOWN');
      expect(warnings[0]).toContain('cannot be read');
      await routines.stop();
      await until('its connections are closed', () => sockets.size === 0);
    } finally {
      for (const socket of sockets) socket.destroy();
      silent.close();
    }
  });
});
