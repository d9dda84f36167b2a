import { describe, expect, it } from 'vitest';
import { serverId } from '../../../src/lib/ids.ts';
import type { Prober } from '../../../src/monitor/monitor.ts';
import { TopologyService } from '../../../src/monitor/topology-service.ts';
import type { Observation } from '../../../src/topology/observation.ts';
import type { Snapshot } from '../../../src/topology/snapshot.ts';
import { type ServerSaid, toObservation } from '../../support/trace-server.ts';

const ids = ['db1', 'db2', 'db3'];

function setUp() {
  let nowMs = 0;
  let observe: (observation: Observation) => void = () => undefined;
  const asked: string[] = [];
  const hurried: [readonly string[], number][] = [];
  const idle: boolean[] = [];
  const leaders: (string | null)[] = [];
  const lines: { level: string; message: string; fields: object }[] = [];
  const log = (level: string) => (fields: object, message: string) => {
    lines.push({ level, message, fields });
  };
  const prober: Prober = {
    start: (onObservation) => {
      observe = onObservation;
    },
    stop: async () => undefined,
    probeNow: (id) => asked.push(id),
    hurry: (hurriedIds, forMs) => hurried.push([hurriedIds, forMs]),
    setIdle: (isIdle) => idle.push(isIdle),
    setLeader: (id) => leaders.push(id),
  };
  const service = new TopologyService({
    servers: ids.map((id) => ({
      id: serverId(id),
      host: id,
      port: 3306,
      tags: [],
      zone: null,
      reserved: false,
      weight: 1,
    })),
    prober,
    logger: { info: log('info'), warn: log('warn'), error: log('error') },
    nowMs: () => nowMs,
  });
  service.start();
  const say = (id: string, said: ServerSaid) => {
    nowMs += 10;
    observe(toObservation(id, said, nowMs, ids));
  };
  const replica: ServerSaid = { readOnly: true, gtid: 'db1:1-5', channels: [{ from: 'db1' }] };
  const bringUp = () => {
    say('db1', { gtid: 'db1:1-5' });
    say('db2', replica);
    say('db3', replica);
    asked.length = 0;
    lines.length = 0;
  };
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { service, say, asked, hurried, idle, leaders, pass, lines, bringUp, replica };
}

describe('TopologyService', () => {
  it('tells each listener of each new snapshot with the one before, until it is let go', () => {
    const { service, say } = setUp();
    const heard: [Snapshot, Snapshot][] = [];
    const stop = service.onChange((after, before) => heard.push([after, before]));
    const before = service.current();
    say('db1', { gtid: 'db1:1-5' });
    expect(heard).toEqual([[service.current(), before]]);
    stop();
    say('db1', 'gone');
    expect(heard).toHaveLength(1);
  });

  it('goes on when a listener throws, and says so', () => {
    const { service, say, lines } = setUp();
    let heard = 0;
    service.onChange(() => {
      throw new Error('broken');
    });
    service.onChange(() => {
      heard += 1;
    });
    say('db1', { gtid: 'db1:1-5' });
    expect(heard).toBe(1);
    expect(lines).toContainEqual(
      expect.objectContaining({ level: 'error', fields: { err: 'broken' } }),
    );
  });

  it('has all others asked at once when a server is lost, but not again and again', () => {
    const { say, asked, bringUp } = setUp();
    bringUp();
    say('db2', 'gone');
    expect(asked).toEqual(['db1', 'db3']);
    say('db2', 'gone');
    expect(asked).toEqual(['db1', 'db3']);
  });

  it('has all others asked at once when the primary gives up its role', () => {
    const { say, asked, bringUp } = setUp();
    bringUp();
    say('db1', { readOnly: true, gtid: 'db1:1-5' });
    expect(asked).toEqual(['db2', 'db3']);
  });

  it('has every server asked at once when the data path cannot reach one', () => {
    const { service, asked, bringUp } = setUp();
    bringUp();
    service.reportUnreachable(serverId('db2'), 'connect ETIMEDOUT');
    expect(asked).toEqual(ids);
    expect(service.current().servers[1]?.ineligible).toContain('connect ETIMEDOUT');
  });

  it('does not ask for one probe per failed connection', () => {
    const { service, asked, bringUp } = setUp();
    bringUp();
    for (let n = 0; n < 100; n += 1) service.reportUnreachable(serverId('db2'), 'refused');
    expect(asked).toEqual(ids);
  });

  it('logs roles once all servers were probed, and then changes only', () => {
    const { say, lines, replica } = setUp();
    say('db1', { gtid: 'db1:1-5' });
    say('db2', replica);
    expect(lines).toEqual([]);
    say('db3', 'connect ECONNREFUSED');
    expect(lines.map(({ message }) => message)).toEqual([
      'A server is the primary now',
      'A server does not answer',
      'A server changed its role',
      'A server changed its role',
    ]);
    lines.length = 0;
    say('db2', replica);
    expect(lines).toEqual([]);
    say('db1', 'connect ECONNREFUSED');
    expect(lines[0]).toMatchObject({ level: 'warn', message: 'The primary is lost' });
  });

  it('says why no server can be used, if that is so from the start, and says it once', () => {
    const { say, lines } = setUp();
    const denied = "It refuses the monitor's account";
    for (let round = 0; round < 3; round += 1) for (const id of ids) say(id, denied);
    expect(lines).toEqual([
      {
        level: 'warn',
        message: 'No server is the primary',
        fields: { why: expect.stringContaining(denied) },
      },
      ...ids.map((server) => ({
        level: 'warn',
        message: 'A server does not answer',
        fields: { server, why: denied },
      })),
    ]);
  });

  it('says once that filters leave out data, and what follows for reads', () => {
    const { say, bringUp, lines, replica } = setUp();
    bringUp();
    const filtered = { ...replica, channels: [{ from: 'db1', filter: 'replicate-do-db=app' }] };
    for (let n = 0; n < 3; n += 1) say('db2', filtered);
    expect(lines).toEqual([
      {
        level: 'warn',
        message: 'A replica leaves out data: it takes no reads behind writes',
        fields: { server: 'db2', why: expect.stringContaining('replicate-do-db=app') },
      },
    ]);
    lines.length = 0;
    for (let n = 0; n < 3; n += 1) say('db1', { gtid: 'db1:1-6', logFilter: 'binlog-do-db=app' });
    expect(lines).toEqual([
      {
        level: 'warn',
        message: expect.stringContaining('reads behind writes stay on the primary'),
        fields: { server: 'db1', why: expect.stringContaining('binlog-do-db=app') },
      },
    ]);
  });

  it('says so of filters that were there from the start', () => {
    const { say, lines, replica } = setUp();
    say('db1', { gtid: 'db1:1-5', logFilter: 'binlog-do-db=app' });
    say('db2', { ...replica, channels: [{ from: 'db1', filter: 'replicate-do-db=app' }] });
    say('db3', replica);
    const filters = lines.filter(({ message }) => message.includes('reads behind writes'));
    expect(filters.map(({ fields }) => fields)).toMatchObject([
      { server: 'db1' },
      { server: 'db2' },
    ]);
  });

  it('hurries the replicas when a read waits, and has the primary asked first', () => {
    const { service, bringUp, hurried, leaders } = setUp();
    bringUp();
    expect(leaders).toEqual(['db1']);
    service.wanted();
    service.wanted();
    expect(hurried).toEqual([[['db2', 'db3'], 500]]);
  });

  it('lets nobody be asked first while there is no primary', () => {
    const { say, bringUp, leaders } = setUp();
    bringUp();
    say('db1', 'gone');
    expect(leaders.at(-1)).toBeNull();
  });

  it('does not take it for a loss of commits that GTIDs are turned off, and proves nothing then', () => {
    const { service, say, bringUp, lines, replica } = setUp();
    bringUp();
    const { epoch, servers } = service.current();
    const provedMs = servers[1]?.caughtUpToMs;
    say('db1', { gtid: null });
    say('db2', replica);
    expect(service.current()).toMatchObject({ epoch, primary: { id: 'db1', position: null } });
    expect(service.current().servers[1]?.caughtUpToMs).toBe(provedMs);
    expect(lines).toEqual([]);
    say('db1', { gtid: 'db1:1-7' });
    expect(service.current().servers[1]?.caughtUpToMs).toBe(provedMs);
    say('db1', { gtid: 'db1:1-3' });
    expect(lines).toMatchObject([{ level: 'error', message: 'The primary has lost commits' }]);
  });

  it('does not take a light probe for knowledge of what was received where there are no GTIDs', () => {
    const { service, say } = setUp();
    const channels = [{ from: 'db1', secondsBehind: 7 }];
    say('db1', { gtid: null });
    say('db2', { readOnly: true, gtid: null, channels });
    say('db3', { readOnly: true, gtid: null, channels });
    const { lag } = service.current().servers[1] ?? {};
    expect(lag).toEqual({ t: 'known', lagMs: 7000, method: 'seconds-behind' });
    // Everything of an empty set was applied.
    const nothing = [{ from: 'db1', commitLagMs: 0, isApplying: false }];
    say('db2', { gtid: '', light: true, channels: nothing });
    expect(service.current().servers[1]?.lag).toEqual(lag);
  });

  it.each([
    ['its applier is stopped', { applier: false }],
    ['its receiver is stopped', { receiver: 'off' }],
    ['its receiver has lost its source', { receiver: 'connecting' }],
  ] as const)('remembers since when a replica stands because %s', (_, wrong) => {
    const { service, say, bringUp, replica, pass } = setUp();
    const since = () => service.current().servers[1]?.replication?.stoppedSinceMs;
    bringUp();
    expect(since()).toBeNull();
    say('db2', { ...replica, channels: [{ from: 'db1', ...wrong }] });
    const first = since();
    expect(first).toEqual(expect.any(Number));
    pass(1000);
    say('db2', { ...replica, channels: [{ from: 'db1', ...wrong }] });
    expect(since()).toBe(first);
    say('db2', replica);
    expect(since()).toBeNull();
  });

  it.each([
    ['waits for its delay, the other has nothing to do', false, '0-1-5', false],
    ['waits for its delay, the other has something in its queue', false, '0-1-7', true],
    ['does not say and has a queue', undefined, '0-1-5', true],
  ])('tells by channel whether a replica applies: one %s', (_, isApplying, received, expected) => {
    const { service, say } = setUp();
    const flavor = 'mariadb';
    const gtid = '0-1-5,9-4-1';
    const delayed = { from: '10.0.0.9:3306', name: 'ext', received: '0-1-5,9-4-8' };
    const channels = [
      { from: 'db1', received },
      isApplying === undefined ? delayed : { ...delayed, isApplying },
    ];
    say('db1', { flavor, gtid: '0-1-5' });
    say('db2', { flavor, readOnly: true, gtid, channels });
    say('db3', 'gone');
    expect(service.current().servers[1]?.replication?.isApplying).toBe(expected);
  });

  it('knows more of a position after a light probe, and nothing less of the rest', () => {
    const { service, say, bringUp } = setUp();
    bringUp();
    say('db1', { gtid: 'db1:1-7', light: true });
    say('db2', { gtid: 'db1:1-7', light: true });
    const [primary, replica] = service.current().servers;
    expect(primary).toMatchObject({ role: 'primary', readOnly: false });
    expect(replica).toMatchObject({ role: 'replica', ineligible: null, replicating: true });
    expect(replica?.gtidSet).toContain(':1-7');
    expect(replica?.caughtUpToMs).toBe(primary?.positionAtMs);
  });

  it('slows down when nothing happens', () => {
    const { say, bringUp, pass, idle, replica } = setUp();
    bringUp();
    pass(6000);
    say('db2', replica);
    expect(idle.at(-1)).toBe(true);
    say('db1', { gtid: 'db1:1-6' });
    expect(idle.at(-1)).toBe(false);
  });
});
