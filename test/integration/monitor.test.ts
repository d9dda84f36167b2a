import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serverId } from '../../src/lib/ids.ts';
import { Monitor, type MonitorOptions } from '../../src/monitor/monitor.ts';
import { TopologyService } from '../../src/monitor/topology-service.ts';
import type { ServerView, Snapshot } from '../../src/topology/snapshot.ts';
import { testFlavor, useLab } from '../support/lab.ts';

const INTERVAL_MS = 250;
const TIMEOUT_MS = 1000;
/** What a machine busy with other tests adds to each figure, by servers and proxy together. */
const SLACK_MS = 1000;

const flavor = testFlavor();
const cluster = useLab({ replicas: 2 });
const running: TopologyService[] = [];

function watch(options: Partial<MonitorOptions> = {}, only?: readonly string[]): TopologyService {
  const { lab } = cluster;
  const listed = lab.servers.filter(({ id }) => only?.includes(id) ?? true);
  const servers = listed.map(({ id, host, port }) => ({
    id: serverId(id),
    host,
    port,
    tags: [],
    zone: null,
    reserved: false,
    weight: 1,
  }));
  const prober = new Monitor({
    servers,
    account: lab.accounts.monitor,
    tls: { mode: 'preferred', ca: null },
    intervalMs: INTERVAL_MS,
    timeoutMs: TIMEOUT_MS,
    ...options,
  });
  const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const service = new TopologyService({ servers, prober, logger: silent });
  service.start();
  running.push(service);
  return service;
}

/** Resolves with the time (monotonic ms) at which a snapshot first fulfilled the condition. */
async function until(
  service: TopologyService,
  condition: (snapshot: Snapshot) => boolean,
  deadlineMs = 10_000,
): Promise<number> {
  if (condition(service.current())) return performance.now();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const stop = service.onChange((snapshot) => {
    if (condition(snapshot)) resolve(performance.now());
  });
  const timer = setTimeout(() => {
    reject(new Error(`Not within ${deadlineMs} ms: ${JSON.stringify(service.current(), null, 1)}`));
  }, deadlineMs);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    stop();
  }
}

function server(snapshot: Snapshot, id: string): ServerView {
  const view = snapshot.servers.find((each) => each.id === id);
  if (view === undefined) throw new Error(`${id} is not in the snapshot`);
  return view;
}

const isServing = (id: string) => (snapshot: Snapshot) => {
  const view = server(snapshot, id);
  return view.role === 'replica' && view.ineligible === null && view.lag.t === 'known';
};
const saysOfAll = (why: string) => (snapshot: Snapshot) =>
  snapshot.servers.every((view) => view.role === 'down' && view.ineligible?.includes(why) === true);
const isPrimary = (id: string) => (snapshot: Snapshot) => snapshot.primary?.id === id;
const isSettled = (snapshot: Snapshot) =>
  snapshot.primary !== null &&
  snapshot.servers.every((view) => view.role === 'primary' || isServing(view.id)(snapshot));

/** Writes without pause until stopped. */
function writeOn(id: string): () => Promise<void> {
  const stopping = new AbortController();
  const done = (async () => {
    while (!stopping.signal.aborted)
      await cluster.lab.rootQuery(id, 'INSERT INTO app.seen (n) VALUES (0)');
  })();
  return async () => {
    stopping.abort();
    await done;
  };
}

describe(`the monitor on ${flavor}`, () => {
  let service: TopologyService;

  beforeAll(async () => {
    await cluster.lab.rootQuery(
      'db1',
      'CREATE TABLE app.seen (id INT PRIMARY KEY AUTO_INCREMENT, n INT NOT NULL)',
    );
    service = watch();
    await until(service, isSettled);
  });

  afterAll(async () => {
    await Promise.all(running.map((each) => each.stop()));
  });

  it('finds the roles by itself, and the lag of idle replicas is zero', async () => {
    expect(service.current()).toMatchObject({ epoch: 1, primary: { id: 'db1', flavor } });
    await until(service, (snapshot) =>
      ['db2', 'db3'].every((id) => {
        const { lag, replicating } = server(snapshot, id);
        return replicating === true && lag.t === 'known' && lag.lagMs === 0;
      }),
    );
  });

  it('proves nothing that is not so: a replica caught up to a write shows it', async () => {
    const { lab } = cluster;
    for (let n = 1; n <= 15; n += 1) {
      await lab.rootQuery('db1', `INSERT INTO app.seen (n) VALUES (${n})`);
      const writtenAtMs = performance.now();
      const id = n % 2 === 0 ? 'db2' : 'db3';
      const provedAtMs = await until(
        service,
        (snapshot) => server(snapshot, id).caughtUpToMs >= writtenAtMs,
        4 * INTERVAL_MS + 4 * SLACK_MS,
      );
      expect(provedAtMs).toBeGreaterThan(writtenAtMs);
      const rows = await lab.rootQuery(id, `SELECT COUNT(*) AS found FROM app.seen WHERE n = ${n}`);
      expect(Number(rows[0]?.['found'])).toBe(1);
    }
  });

  it('measures the lag of one that is behind, while the other stays near', async () => {
    const { lab } = cluster;
    await lab.setLag('db2', 2000);
    const stopWriting = writeOn('db1');
    try {
      await until(service, (snapshot) => {
        const { lag } = server(snapshot, 'db2');
        return lag.t === 'known' && lag.lagMs >= 1500;
      });
      const { servers } = service.current();
      for (const view of servers) {
        if (view.id === 'db2') expect(view).toMatchObject({ role: 'replica', ineligible: null });
        if (view.id === 'db2' && view.lag.t === 'known') expect(view.lag.lagMs).toBeLessThan(4500);
        if (view.id === 'db3') expect(view.lag.t === 'known' && view.lag.lagMs < 1000).toBe(true);
      }
    } finally {
      await stopWriting();
      await lab.setLag('db2', 0);
    }
    await until(service, (snapshot) => {
      const { lag } = server(snapshot, 'db2');
      return lag.t === 'known' && lag.lagMs === 0;
    });
  });

  it('does not know the lag of a replica whose applier is stopped, and says why', async () => {
    const { lab } = cluster;
    const word = flavor === 'mysql' ? 'REPLICA' : 'SLAVE';
    await lab.rootQuery('db2', `STOP ${word} SQL_THREAD`);
    await until(service, (snapshot) => {
      const view = server(snapshot, 'db2');
      return view.ineligible === 'Its applier is stopped' && view.lag.t === 'unknown';
    });
    expect(server(service.current(), 'db2')).toMatchObject({ role: 'replica', replicating: false });
    await lab.rootQuery('db2', `STOP ${word}`);
    await lab.rootQuery('db2', `START ${word} SQL_THREAD`);
    await until(
      service,
      (snapshot) => server(snapshot, 'db2').ineligible === 'Its receiver is stopped',
    );
    await lab.rootQuery('db2', `START ${word}`);
    await until(service, isServing('db2'));
  });

  it('sees a server that hangs as down within the time limit, and its return at once', async () => {
    const { lab } = cluster;
    await lab.pause('db3');
    const pausedAtMs = performance.now();
    const downAtMs = await until(service, (snapshot) => server(snapshot, 'db3').role === 'down');
    expect(downAtMs - pausedAtMs).toBeLessThan(INTERVAL_MS * 1.1 + TIMEOUT_MS + SLACK_MS);
    expect(server(service.current(), 'db3').ineligible).toBe('It did not answer within 1000 ms');
    expect(service.current().primary?.id).toBe('db1');
    await lab.resume('db3');
    await until(service, isServing('db3'), 2 * TIMEOUT_MS);
  });

  it('goes on when its connections are killed, without calling a server down', async () => {
    const { lab } = cluster;
    const before = service.current();
    let wentDown = false;
    const stop = service.onChange((snapshot) => {
      wentDown ||= snapshot.servers.some((view) => view.role === 'down');
    });
    const user = lab.accounts.monitor.user;
    const find = `SELECT id FROM information_schema.PROCESSLIST WHERE user = '${user}'`;
    for (let round = 0; round < 3; round += 1) {
      const [row] = await lab.rootQuery('db1', find);
      // The connection may have been replaced between the two statements.
      const id = Number(Object.values(row ?? {})[0] ?? 0);
      await lab.rootQuery('db1', `KILL ${id}`).catch(() => undefined);
      const version = service.current().version;
      await until(service, (snapshot) => snapshot.version > version + 4);
    }
    stop();
    expect(wentDown).toBe(false);
    expect(service.current()).toMatchObject({ epoch: before.epoch, primary: { id: 'db1' } });
  });

  it('calls nobody down because this process itself stood still', async () => {
    const sleeper = new Int32Array(new SharedArrayBuffer(4));
    let stallNext = false;
    const nowMs = () => {
      if (stallNext) {
        stallNext = false;
        // Runs when the probe that asks for the time has sent its question, and timers come before
        // sockets then: its limit passes while the answer waits unread.
        setImmediate(() => Atomics.wait(sleeper, 0, 0, TIMEOUT_MS + 200));
      }
      return performance.now();
    };
    const alone = watch({ nowMs }, ['db1']);
    await until(alone, isPrimary('db1'));
    let wentDown = false;
    alone.onChange((snapshot) => {
      wentDown ||= snapshot.primary === null;
    });
    for (let round = 0; round < 3; round += 1) {
      const { version } = alone.current();
      await until(alone, (snapshot) => snapshot.version > version);
      stallNext = true;
      await until(alone, (snapshot) => snapshot.version > version + 1);
    }
    await alone.stop();
    expect(stallNext).toBe(false);
    expect(wentDown).toBe(false);
  });

  it('does not call a server down that ceases to be a replica, at the fast pace either', async () => {
    const { lab } = cluster;
    // Full probes come seldom: it is a light one that finds no channel any more.
    const service = watch({ intervalMs: 3000 });
    await until(service, isServing('db3'));
    const roles = new Set<string>();
    const stop = service.onChange((snapshot) => {
      roles.add(server(snapshot, 'db3').role);
      service.wanted();
    });
    service.wanted();
    const laterMs = performance.now() + 100;
    await until(service, (snapshot) => server(snapshot, 'db3').positionAtMs > laterMs);
    const word = flavor === 'mysql' ? 'REPLICA' : 'SLAVE';
    await lab.rootQuery('db3', `STOP ${word}`);
    await lab.rootQuery('db3', `RESET ${word} ALL`);
    await until(service, (snapshot) => server(snapshot, 'db3').role !== 'replica');
    stop();
    expect([...roles]).toEqual(['replica', 'unassigned']);
    await service.stop();
    await lab.stop('db3');
    await lab.start('db3');
  });

  it('says why it cannot log in, without the password', async () => {
    const user = cluster.lab.accounts.monitor.user;
    const stranger = watch({ account: { user, password: 'not-the-password' } });
    await until(stranger, saysOfAll("It refuses the monitor's account"));
    expect(JSON.stringify(stranger.current())).not.toContain('not-the-password');
    await stranger.stop();
  });

  it('measures lag by GTIDs alone where the account may not see the commit timestamps', async () => {
    const { lab } = cluster;
    const right = flavor === 'mysql' ? 'REPLICATION CLIENT' : 'BINLOG MONITOR, REPLICA MONITOR';
    const account = { user: 'narrow', password: 'narrow' };
    await lab.rootQuery('db1', "CREATE USER 'narrow'@'%' IDENTIFIED BY 'narrow'");
    await lab.rootQuery('db1', `GRANT ${right} ON *.* TO 'narrow'@'%'`);
    await lab.waitReplicated();
    const denied: string[] = [];
    const narrow = watch({ account, onDenied: (id, why) => denied.push(`${id}: ${why}`) });
    await until(narrow, isSettled);
    expect(server(narrow.current(), 'db2').lag).toMatchObject({ t: 'known', method: 'gtid' });
    await narrow.stop();
    // MariaDB has none.
    expect(denied).toHaveLength(flavor === 'mysql' ? cluster.lab.servers.length : 0);
  });

  it('says once for each server that the account may not read the heartbeats', async () => {
    const { lab } = cluster;
    await lab.rootQuery('db1', 'CREATE DATABASE beats');
    await lab.rootQuery('db1', 'CREATE TABLE beats.heartbeat (beat INT)');
    await lab.waitReplicated();
    const denied: string[] = [];
    const heartbeatSql = 'SELECT beat FROM beats.heartbeat';
    const onDenied = (id: string, why: string) => denied.push(`${id}: ${why}`);
    const blind = watch({ heartbeatSql, onDenied });
    // It was asked for again by then.
    const laterMs = (await until(blind, isSettled)) + 2500;
    await until(blind, (snapshot) => snapshot.servers.every(({ seenAtMs }) => seenAtMs > laterMs));
    await blind.stop();
    const expected = lab.servers.map(({ id }) => expect.stringMatching(`^${id}: .*heartbeat`));
    expect(denied.toSorted()).toEqual(expected);
  });

  it('names the privilege that the account lacks', async () => {
    const { lab } = cluster;
    await lab.rootQuery('db1', "CREATE USER 'bare'@'%' IDENTIFIED BY 'bare'");
    await lab.waitReplicated();
    const bare = watch({ account: { user: 'bare', password: 'bare' } });
    await until(bare, saysOfAll("The monitor's account lacks a privilege"));
    await bare.stop();
  });

  it('demands the TLS that it was told to', async () => {
    const demanding = watch({ tls: { mode: 'verify-ca', ca: null } });
    // The server's certificate is of its own making; MariaDB has none.
    const why = flavor === 'mysql' ? 'self-signed certificate' : 'secure connection';
    await until(demanding, saysOfAll(why));
    await demanding.stop();
    if (flavor === 'mysql') {
      const encrypted = watch({ tls: { mode: 'required', ca: null } });
      await until(encrypted, isSettled);
      await encrypted.stop();
    }
  });

  it('leaves no connection behind when it stops, and observes nothing more', async () => {
    const other = watch();
    await until(other, isSettled);
    await other.stop();
    const { version } = other.current();
    const seen = service.current().version;
    await until(service, (snapshot) => snapshot.version > seen + 6);
    expect(other.current().version).toBe(version);
    const user = cluster.lab.accounts.monitor.user;
    const count = `SELECT COUNT(*) AS held FROM information_schema.PROCESSLIST WHERE user = '${user}'`;
    const [row] = await cluster.lab.rootQuery('db2', count);
    expect(Number(row?.['held'])).toBe(1);
  });

  it('follows a promotion after the primary was killed within two intervals', async () => {
    const { lab } = cluster;
    await lab.waitReplicated();
    await lab.kill('db1');
    const killedAtMs = performance.now();
    const lostAtMs = await until(service, (snapshot) => snapshot.primary === null);
    expect(service.current()).toMatchObject({ epoch: 1 });
    await until(service, (snapshot) => isServing('db2')(snapshot) && isServing('db3')(snapshot));
    let writableAtMs = 0;
    const promoted = lab.promote('db2').then(() => {
      writableAtMs = performance.now();
    });
    const followedAtMs = await until(service, isPrimary('db2'));
    await promoted;
    expect(service.current().epoch).toBe(2);
    await until(service, isServing('db3'));
    expect(lostAtMs - killedAtMs).toBeLessThan(2 * INTERVAL_MS + SLACK_MS);
    // Counted from the end of the whole promotion; the new primary was writable a little earlier.
    expect(followedAtMs - writableAtMs).toBeLessThan(2 * INTERVAL_MS + SLACK_MS);
  });

  it('lets a former primary serve nothing until it is a clean replica', async () => {
    const { lab } = cluster;
    await lab.start('db1', { rejoin: false });
    await until(service, (snapshot) => server(snapshot, 'db1').role !== 'down');
    expect(server(service.current(), 'db1')).toMatchObject({
      role: 'unassigned',
      ineligible: expect.stringContaining('has not rejoined as a clean replica'),
    });
    await lab.rootQuery('db1', 'SET GLOBAL read_only = 0');
    await until(service, (snapshot) => server(snapshot, 'db1').readOnly === false);
    expect(server(service.current(), 'db1')).toMatchObject({
      role: 'unassigned',
      ineligible: expect.stringContaining('it is writable'),
    });
    expect(service.current()).toMatchObject({ epoch: 2, primary: { id: 'db2' } });
    await lab.stop('db1');
    await lab.start('db1');
    await until(service, isServing('db1'));
    expect(service.current()).toMatchObject({ epoch: 2, primary: { id: 'db2' } });
  });

  it('follows a planned promotion within two intervals, the old primary serving reads', async () => {
    const { lab } = cluster;
    await lab.waitReplicated();
    await lab.promote('db3');
    const promotedAtMs = performance.now();
    const followedAtMs = await until(service, isPrimary('db3'));
    expect(followedAtMs - promotedAtMs).toBeLessThan(2 * INTERVAL_MS + SLACK_MS);
    expect(service.current().epoch).toBe(3);
    await until(service, (snapshot) => isServing('db1')(snapshot) && isServing('db2')(snapshot));
  });
});
