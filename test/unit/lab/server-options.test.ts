import { describe, expect, it } from 'vitest';
import { serverOptions } from '../../../src/lab/server-options.ts';

const place = {
  serverNumber: 2,
  port: 33_062,
  bindAddress: '127.0.0.1',
  reportHost: '127.0.0.1',
  reportPort: 33_062,
  dataDir: '/lab/db2/data',
  socketPath: '/lab/db2.sock',
  pidPath: '/lab/db2/mysqld.pid',
  tmpDir: '/lab/db2/tmp',
  logPath: '/lab/db2/error.log',
};

describe('serverOptions', () => {
  it.each(['mysql', 'mariadb'] as const)('start every %s server read-only', (flavor) => {
    const options = serverOptions(flavor, place, false);
    expect(options).toContain(flavor === 'mysql' ? '--super-read-only=ON' : '--read-only=ON');
  });

  it.each(['mysql', 'mariadb'] as const)('bind %s to the loopback address', (flavor) => {
    const options = serverOptions(flavor, place, false);
    expect(options).toContain('--bind-address=127.0.0.1');
    expect(options).toContain('--server-id=2');
  });

  it.each(['mysql', 'mariadb'] as const)(
    'let %s acknowledge semi-synchronously only when asked, and never start as its source',
    (flavor) => {
      const enabled = (semiSync: boolean) =>
        serverOptions(flavor, place, semiSync).filter((option) =>
          /semi-sync.*enabled/.test(option),
        );
      expect(enabled(false)).toEqual([]);
      expect(enabled(true)).toEqual([expect.stringMatching(/(replica|slave)-enabled=ON$/)]);
    },
  );
});
