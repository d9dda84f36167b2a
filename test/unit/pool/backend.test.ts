import { describe, expect, test } from 'vitest';
import { serverId } from '../../../src/lib/ids.ts';
import {
  missingCaps,
  offeredCaps,
  versionNumber,
  wantedCaps,
} from '../../../src/pool/backend-caps.ts';
import type { BackendUser } from '../../../src/pool/backend-connection.ts';
import { ServerLoad } from '../../../src/pool/server-load.ts';
import { ServerRefusedError } from '../../../src/pool/server-refused-error.ts';
import { CAP, has, union } from '../../../src/wire/capability.ts';
import { fakeBackend } from '../../support/fake-backend.ts';

const offered = (given: Partial<Parameters<typeof offeredCaps>[0]> = {}) =>
  offeredCaps({
    flavor: 'mysql',
    versionNumber: 90_704,
    tls: false,
    zlib: false,
    zstd: false,
    ...given,
  });

describe('what clients are offered', () => {
  test.each([
    [CAP.SSL, { tls: true }],
    [CAP.COMPRESS, { zlib: true }],
    [CAP.ZSTD_COMPRESSION, { zstd: true }],
  ])('flag %d only where it is switched on', (flag, given) => {
    expect(has(offered(), flag)).toBe(false);
    expect(has(offered(given), flag)).toBe(true);
  });

  test.each([
    ['mysql', 90_704, true, true],
    ['mysql', 80_023, true, true],
    ['mysql', 80_022, true, false],
    ['mysql', 50_705, true, false],
    ['mysql', 50_704, false, false],
    ['mysql', 0, false, false],
    ['mariadb', 101_119, true, false],
    ['mariadb', 100_100, false, false],
  ] as const)(
    'by %s %d: DEPRECATE_EOF %s, query attributes %s',
    (flavor, number, eof, attributes) => {
      const caps = offered({ flavor, versionNumber: number });
      expect([has(caps, CAP.DEPRECATE_EOF), has(caps, CAP.QUERY_ATTRIBUTES)]).toEqual([
        eof,
        attributes,
      ]);
    },
  );

  test('nothing that could not be kept', () => {
    const caps = offered({ tls: true, zlib: true, zstd: true });
    for (const flag of [
      CAP.OPTIONAL_RESULTSET_METADATA,
      CAP.MULTI_FACTOR_AUTHENTICATION,
      CAP.CAPABILITY_EXTENSION,
    ]) {
      expect(has(caps, flag)).toBe(false);
    }
  });
});

describe('what servers are asked for', () => {
  const NONE = { schema: false, attributes: false };

  test('the client’s shaping flags, and always the trackers', () => {
    const wanted = wantedCaps(
      union(CAP.DEPRECATE_EOF, CAP.FOUND_ROWS, CAP.COMPRESS, CAP.SSL),
      NONE,
    );
    expect(
      has(wanted, union(CAP.DEPRECATE_EOF, CAP.FOUND_ROWS, CAP.SESSION_TRACK, CAP.PLUGIN_AUTH)),
    ).toBe(true);
    for (const flag of [
      CAP.COMPRESS,
      CAP.SSL,
      CAP.MULTI_STATEMENTS,
      CAP.CONNECT_WITH_DB,
      CAP.CONNECT_ATTRS,
    ]) {
      expect(has(wanted, flag)).toBe(false);
    }
    expect(
      has(
        wantedCaps(0, { schema: true, attributes: true }),
        union(CAP.CONNECT_WITH_DB, CAP.CONNECT_ATTRS),
      ),
    ).toBe(true);
  });

  test('only what shapes bytes must be there', () => {
    const wanted = wantedCaps(union(CAP.DEPRECATE_EOF, CAP.QUERY_ATTRIBUTES), NONE);
    expect(missingCaps(wanted, wanted)).toBe(0);
    expect(missingCaps(wanted, CAP.DEPRECATE_EOF)).toBe(CAP.QUERY_ATTRIBUTES);
    expect(missingCaps(wantedCaps(0, NONE), 0)).toBe(0);
  });
});

test.each([
  ['9.7.4', 90_704],
  ['8.0.36-28', 80_036],
  ['10.11.19-MariaDB-0+deb12u1', 101_119],
  ['5.5.5-10.3.39-MariaDB', 100_339],
  ['11.8', 110_800],
  ['8', 80_000],
  ['', 0],
  ['unknown', 0],
])('version %s is %d', (version, number) => {
  expect(versionNumber(version)).toBe(number);
});

test.each([
  [1045, 'backend-auth', true],
  [1698, 'backend-auth', true],
  [1130, 'backend-auth', false],
  [3118, 'backend-auth', false],
  [1040, 'backend-connect', false],
  [1053, 'backend-connect', false],
])('a login refused with %d is of source %s; a wrong password: %s', (code, source, wrong) => {
  const error = new ServerRefusedError('db1', { code, sqlState: 'HY000', message: 'No' });
  expect([error.source, error.isWrongPassword]).toEqual([source, wrong]);
  expect(error.packet.message).toBe('No');
});

describe('the load of a server', () => {
  test('counts what runs and waits, and sessions that read there half', () => {
    const load = new ServerLoad(serverId('db1'));
    Object.assign(load, { connections: 3, connecting: 1, inFlight: 2, waiting: 1, readers: 4 });
    expect(load.work).toBe(5);
  });

  test('follows a connection from its login to its end, once', () => {
    const { connection, load, stream } = fakeBackend();
    connection.busy = true;
    load.inFlight = 1;
    expect(load.connections).toBe(1);
    connection.destroy();
    connection.destroy();
    stream.close();
    expect([load.connections, load.inFlight, connection.isClosed]).toEqual([0, 0, true]);
  });
});

describe('a backend connection', () => {
  function watched() {
    const events: string[] = [];
    const user: BackendUser = {
      onBackendBytes: (_, chunk) => events.push(`bytes ${chunk.toString()}`),
      onBackendDrain: () => events.push('drain'),
      onBackendClose: (_, error) => events.push(`close ${error?.message ?? 'quietly'}`),
    };
    return { ...fakeBackend(), events, user };
  }

  test('tells its user all, and nothing after a goodbye', () => {
    const { connection, stream, events, user } = watched();
    connection.setUser(user);
    stream.receive(Buffer.from('x'));
    stream.drain();
    connection.quit();
    stream.receive(Buffer.from('y'));
    stream.close();
    expect(events).toEqual(['bytes x', 'drain']);
    expect([stream.bytes.toString('hex'), stream.ended]).toEqual(['0100000001', true]);
  });

  test('that nobody uses is closed when its server speaks', () => {
    const { connection, stream } = watched();
    stream.receive(Buffer.from('x'));
    expect([connection.isClosed, stream.destroyed]).toEqual([true, true]);
  });

  test('tells of its loss once', () => {
    const { connection, stream, events, user } = watched();
    connection.setUser(user);
    stream.close(new Error('ECONNRESET'));
    stream.close();
    expect(events).toEqual(['close ECONNRESET']);
  });
});
