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
  };
  const service = new TopologyService({
    servers: ids.map((id) => ({
      id: serverId(id),
      host: id,
      port: 3306,
      tags: [],
      zone: null,
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
  return { service, say, asked, lines, bringUp, replica };
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
      'A server changed its role',
      'A server changed its role',
    ]);
    lines.length = 0;
    say('db2', replica);
    expect(lines).toEqual([]);
    say('db1', 'connect ECONNREFUSED');
    expect(lines[0]).toMatchObject({ level: 'warn', message: 'The primary is lost' });
  });
});
