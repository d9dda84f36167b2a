import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { loadConfig, type ParseOptions, parseConfig } from '../../../src/config/load.ts';
import { LagwiseError } from '../../../src/lib/errors.ts';
import { Secret } from '../../../src/lib/secret.ts';

const MINIMAL = {
  servers: [{ host: 'db1' }],
  monitor: { user: 'm', password: 'hunter2' },
};

/** The problem lines of a refused config. */
function problems(json: unknown, options: Partial<ParseOptions> = {}): string[] {
  try {
    parseConfig(json, { env: {}, ...options });
  } catch (thrown) {
    if (!(thrown instanceof LagwiseError)) throw thrown;
    expect(thrown.source).toBe('config');
    return thrown.message.split('\n  ').slice(1);
  }
  throw new Error('the config was accepted');
}

const withKeys = (keys: object) => ({ ...MINIMAL, ...keys });

describe('a config that is right', () => {
  test('needs only servers and monitor; the rest are defaults', () => {
    const config = parseConfig(MINIMAL, { env: {} });
    expect(config.servers).toEqual([
      { id: 'db1:3306', host: 'db1', port: 3306, tags: [], zone: null, reserved: false, weight: 1 },
    ]);
    expect(config.listen).toMatchObject({
      host: '127.0.0.1',
      port: 6033,
      gatherMaxBytes: 1_048_576,
      compression: ['zlib', 'zstd'],
      tls: { mode: 'preferred', certFile: null, minVersion: 'TLSv1.2' },
    });
    expect(config.users).toBe('passthrough');
    expect(config.serverTls).toEqual({ mode: 'preferred', caFile: null });
    expect(config.monitor).toMatchObject({ intervalMs: 250, timeoutMs: 1000 });
    expect(config.auth).toEqual({ maxFailures: 20, windowMs: 60_000, blockMs: 30_000 });
    expect(config.routing).toMatchObject({
      maxLagMs: 10_000,
      waitMs: 50,
      fallback: 'primary',
      consistency: 'session',
    });
    expect(config.failover).toEqual({
      mode: 'observe',
      holdMs: 10_000,
      holdMaxStatements: 10_000,
    });
  });

  test('is frozen to the bottom', () => {
    const config = parseConfig(MINIMAL, { env: {} });
    for (const part of [config, config.listen.tls, config.servers, config.servers[0]]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  test('names an IPv6 server with brackets', () => {
    const config = parseConfig(withKeys({ servers: [{ host: '::1', port: 3307 }] }), { env: {} });
    expect(config.servers[0]?.id).toBe('[::1]:3307');
  });
});

describe('secrets', () => {
  test('come from a string, the environment or a file without its line break', () => {
    const users = [
      { user: 'a', password: 'plain' },
      { user: 'b', password: { env: 'PASS_B' } },
      { user: 'c', password: { file: 'c.txt' } },
    ];
    const config = parseConfig(withKeys({ users }), {
      env: { PASS_B: 'from-env' },
      readFile: (path) => {
        expect(path).toBe(join('/etc/lagwise', 'c.txt'));
        return 'from-file\r\n';
      },
      baseDir: '/etc/lagwise',
    });
    if (config.users === 'passthrough') throw new Error('expected a list');
    expect(config.users.map((user) => user.password.reveal())).toEqual([
      'plain',
      'from-env',
      'from-file',
    ]);
  });

  test('cannot be printed', () => {
    const secret = parseConfig(MINIMAL, { env: {} }).monitor.password;
    expect(secret).toBeInstanceOf(Secret);
    const printed = [
      inspect(secret, { showHidden: true, depth: 9 }),
      JSON.stringify({ secret }),
      secret.toString(),
      inspect({ nested: { secret } }, { depth: 9 }),
    ].join();
    expect(printed).not.toContain('hunter2');
    expect(printed).toContain('[secret]');
  });

  test.each([
    [{ env: 'NOPE' }, 'environment variable "NOPE" is not set'],
    [{ env: 'EMPTY' }, 'environment variable "EMPTY" is empty'],
    [{ file: '/empty' }, 'secret file "/empty" is empty'],
    [{ file: '/none' }, 'cannot read secret file "/none" (ENOENT)'],
  ])('%j that cannot be resolved is an error that names the path', (password, why) => {
    const found = problems(withKeys({ monitor: { user: 'm', password } }), {
      env: { EMPTY: '' },
      readFile: (path) => {
        if (path === '/empty') return '\n';
        throw Object.assign(new Error('no'), { code: 'ENOENT' });
      },
    });
    expect(found).toEqual([`monitor.password: ${why}`]);
  });

  test('a secret of the wrong type is not shown in the error', () => {
    const [problem] = problems(withKeys({ monitor: { user: 'm', password: 12_345_678 } }));
    expect(problem).toBe(
      'monitor.password: found a number (not shown), expected a string, {"env": "NAME"} or {"file": "path"}',
    );
  });
});

describe('a wrong value is refused with path, found and expected', () => {
  test.each<[object, string]>([
    [
      { servers: [{ host: 'a' }, { host: 'b', port: 'abc' }] },
      'servers[1].port: found "abc" (string), expected an integer from 1 to 65535',
    ],
    [
      { servers: [{ host: 'a', port: 70_000 }] },
      'servers[0].port: found 70000 (number), expected an integer from 1 to 65535',
    ],
    [
      { servers: [{}] },
      'servers[0].host: missing, expected a host name or IP address without port or spaces',
    ],
    [
      { servers: [{ host: 'a:3306' }] },
      'servers[0].host: found "a:3306" (string), expected a host name or IP address without port or spaces',
    ],
    [{ servers: [] }, 'servers: found a list of 0 items, expected a list of 1 to 256 items'],
    [{ servers: null }, 'servers: found null, expected a list of 1 to 256 items'],
    [{ log: 'info' }, 'log: found "info" (string), expected an object'],
    [
      { routing: { fallback: 'none' } },
      'routing.fallback: found "none" (string), expected "primary" or "error"',
    ],
    [{ admin: { enabled: 'yes' } }, 'admin.enabled: found "yes" (string), expected true or false'],
    [
      { pool: { connectTimeoutMs: 0.5 } },
      'pool.connectTimeoutMs: found 0.5 (number), expected milliseconds, an integer from 50 to 600000',
    ],
    [
      { users: 'nobody' },
      'users: found "nobody" (string), expected "passthrough" or a list of {"user", "password"}',
    ],
    [
      { users: [{ user: '', password: 'x' }] },
      'users[0].user: found "" (string), expected an account name, a string of 1 to 80 characters',
    ],
    [{ monitorr: 1 }, 'monitorr: unknown key, did you mean "monitor"?'],
    [{ listen: { prot: 1 } }, 'listen.prot: unknown key, did you mean "port"?'],
    [
      { servers: [{ host: 'a', wieght: 1 }] },
      'servers[0].wieght: unknown key, did you mean "weight"?',
    ],
    [
      { users: [{ user: 'a', password: 'x', pass: 1 }] },
      'users[0].pass: unknown key, expected one of "user", "password", "poolMode"',
    ],
    [
      { listen: { tls: { certFile: '/none/c.pem', keyFile: null } } },
      'listen.tls.certFile: cannot read "/none/c.pem" (ENOENT)',
    ],
  ])('%j', (keys, expected) => {
    expect(problems(withKeys(keys))).toEqual([expected]);
  });

  test('a long value is cut', () => {
    const [problem] = problems(withKeys({ servers: [{ host: `a ${'x'.repeat(5000)}` }] }));
    expect(problem?.length).toBeLessThan(200);
  });

  test('all problems are listed at once', () => {
    const found = problems({ listen: { port: -1, hots: 1 }, log: { level: 'loud' } });
    expect(found).toHaveLength(5);
    expect(found.map((line) => line.split(':', 1)[0])).toEqual(
      expect.arrayContaining(['listen.port', 'listen.hots', 'log.level', 'servers', 'monitor']),
    );
  });

  test('what is no object at all', () => {
    expect(problems([])).toEqual(['(top level): found a list of 0 items, expected an object']);
  });
});

describe('combinations that cannot work are refused', () => {
  const readable = { readFile: () => 'pem' };
  test.each<[string, object]>([
    [
      'servers[1].id: "x" is also the id of servers[0]',
      {
        servers: [
          { id: 'x', host: 'a' },
          { id: 'x', host: 'b' },
        ],
      },
    ],
    [
      'servers[1]: db1:3306 is also servers[0]',
      {
        servers: [
          { id: 'x', host: 'db1' },
          { id: 'y', host: 'DB1' },
        ],
      },
    ],
    [
      'servers[0]: 127.0.0.1:6033 is where Lagwise itself listens (listen)',
      { servers: [{ host: '127.0.0.1', port: 6033 }] },
    ],
    [
      'users[1].user: "a" is also users[0]',
      {
        users: [
          { user: 'a', password: 'x' },
          { user: 'a', password: 'y' },
        ],
      },
    ],
    [
      'listen.tls.keyFile: missing, expected the private key of listen.tls.certFile',
      { listen: { tls: { certFile: '/c' } } },
    ],
    [
      'listen.tls.certFile: missing, expected the certificate of listen.tls.keyFile',
      { listen: { tls: { keyFile: '/k' } } },
    ],
    [
      'listen.tls.caFile: client certificates need TLS, but listen.tls.mode is "off"',
      { listen: { tls: { mode: 'off', caFile: '/ca' } } },
    ],
    [
      'serverTls.caFile: is not used with serverTls.mode "preferred", expected "verify-ca" or "verify-identity"',
      { serverTls: { caFile: '/ca' } },
    ],
    [
      'servers[0].host: found the address "10.0.0.1", expected a name, since serverTls.mode "verify-identity" compares it with the certificate (or use "verify-ca")',
      {
        servers: [{ host: '10.0.0.1' }],
        serverTls: { mode: 'verify-identity' },
      },
    ],
    ['admin.port: 127.0.0.1:6033 is also listen, expected another port', { admin: { port: 6033 } }],
  ])('%s', (expected, keys) => {
    expect(problems(withKeys(keys), readable)).toEqual([expected]);
  });

  test('a reserved server without tags, and rests that shrink', () => {
    const servers = [{ host: 'db1' }, { host: 'db2', reserved: true }];
    expect(problems(withKeys({ servers }))).toEqual([
      'servers[1].tags: found none, expected those that reads ask for, since servers[1].reserved is true',
    ]);
    const routing = { ejection: { baseMs: 5000, maxMs: 4999 } };
    expect(problems(withKeys({ routing }))).toEqual([
      'routing.ejection.maxMs: found 4999, expected at least routing.ejection.baseMs (5000)',
    ]);
  });

  test('holding writes for less time than a dead primary takes to notice', () => {
    expect(problems(withKeys({ failover: { holdMs: 2000 } }))).toEqual([
      expect.stringMatching(
        /^failover\.holdMs: 2000 is not longer than monitor\.idleIntervalMs \+ monitor\.timeoutMs \(2000\)/,
      ),
    ]);
    expect(() => parseConfig(withKeys({ failover: { holdMs: 2001 } }), { env: {} })).not.toThrow();
    expect(() => parseConfig(withKeys({ failover: { holdMs: 0 } }), { env: {} })).not.toThrow();
  });

  test('two ephemeral ports do not collide', () => {
    const keys = { listen: { port: 0 }, admin: { port: 0 } };
    expect(() => parseConfig(withKeys(keys), { env: {} })).not.toThrow();
  });
});

describe('a config file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lagwise-config-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const write = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };

  test('resolves its paths by its own folder', () => {
    write('pass.txt', 'from-file\n');
    const json = { ...MINIMAL, monitor: { user: 'm', password: { file: 'pass.txt' } } };
    const config = loadConfig(write('good.json', JSON.stringify(json)), {});
    expect(config.monitor.password.reveal()).toBe('from-file');
  });

  test('that is missing says how to name another', () => {
    expect(() => loadConfig(join(folder, 'none.json'), {})).toThrow(
      /Cannot read config file ".*none\.json" \(ENOENT.*--config/,
    );
  });

  test('that is no JSON is refused with line and column, without quoting it', () => {
    const path = write('bad.json', '{\n  "password": "hunter2" "x"\n}');
    const message = messageOfThrow(() => loadConfig(path, {}));
    expect(message).toContain('line 2, column 25: expected "," or "}"');
    expect(message).not.toContain('hunter2');
  });

  test('proxy.config.json of the repository is right', () => {
    const path = join(import.meta.dirname, '../../../proxy.config.json');
    expect(loadConfig(path, {}).servers.map((server) => server.port)).toEqual([
      33_061, 33_062, 33_063,
    ]);
  });
});

function messageOfThrow(run: () => unknown): string {
  try {
    run();
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
  throw new Error('nothing was thrown');
}
