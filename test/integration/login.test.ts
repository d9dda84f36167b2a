import { createConnection } from 'mysql2/promise';
import { beforeAll, describe, expect, it } from 'vitest';
import { FLAVORS } from '../support/flavors.ts';
import {
  type ConfigPart,
  direct,
  errorOf,
  startProxy,
  useCluster,
  valueOf,
} from '../support/proxy.ts';
import type { TestProxy } from '../support/proxy.ts';
import { until } from '../support/until.ts';

const MONITOR = { user: 'lagwise_monitor', password: 'lagwise_monitor' };
const INSECURE_TLS = { ssl: { rejectUnauthorized: false } };

describe.skipIf(direct).each(FLAVORS)('who may log in, on %s', (flavor) => {
  // Failed logins are what is tested here: the limit has a test of its own.
  const cluster = useCluster({
    lab: { flavor, replicas: 1 },
    // Accounts change past the proxy here, and a server's word is not to be taken for later.
    config: { auth: { maxFailures: 1000 }, pool: { trustLoginMs: 0 } },
  });

  const account = async (name: string, how: string) => {
    await cluster.root('db1', `CREATE USER ${name} ${how}`);
    await cluster.root('db1', `GRANT SELECT ON app.* TO ${name}`);
    await cluster.lab.waitReplicated();
  };
  const logIn = async (user: string, password: string, options: object = {}) => {
    const connection = await createConnection({
      host: '127.0.0.1',
      port: cluster.port,
      user,
      password,
      ...options,
    });
    try {
      return await valueOf(connection, 'SELECT CURRENT_USER()');
    } finally {
      connection.destroy();
    }
  };
  const withProxy = async (part: ConfigPart, work: (proxy: TestProxy) => Promise<void>) => {
    const proxy = await startProxy(cluster.lab, { monitor: MONITOR, ...part });
    try {
      await work(proxy);
    } finally {
      await proxy.app.stop();
    }
  };

  beforeAll(() => account("'somebody'@'%'", "IDENTIFIED BY 'päss:wörd/1'"));

  describe('passthrough', () => {
    it.each([
      ['under the RSA key', {}],
      ['over TLS', INSECURE_TLS],
    ])('the first login %s, and the second by what was learned', async (_, options) => {
      await withProxy({}, async ({ app }) => {
        const place = { port: app.port, ...options };
        expect(await logIn('somebody', 'päss:wörd/1', place)).toBe('somebody@%');
        expect(await logIn('somebody', 'päss:wörd/1', place)).toBe('somebody@%');
        const wrong = await errorOf(logIn('somebody', 'other', place));
        expect(wrong).toMatchObject({ errno: 1045, sqlState: '28000' });
        expect(await logIn('somebody', 'päss:wörd/1', place)).toBe('somebody@%');
      });
    });

    it('the server’s own error for a wrong password, an unknown account and none', async () => {
      const wrong = await errorOf(logIn('somebody', 'wrong'));
      expect(wrong).toMatchObject({ errno: 1045, sqlState: '28000' });
      expect(wrong.message).toMatch(
        /^Access denied for user 'somebody'@'[^']+' \(using password: YES\)$/,
      );
      const unknown = await errorOf(logIn('nobody', 'x'));
      expect(unknown.errno).toBe(1045);
      const none = await errorOf(logIn('somebody', ''));
      expect(none.message).toMatch(/^Access denied for user .* \(using password: NO\)$/);
    });

    it('an account without a password', async () => {
      await account("'open'@'%'", "IDENTIFIED BY ''");
      expect(await logIn('open', '')).toBe('open@%');
      expect((await errorOf(logIn('open', 'some'))).errno).toBe(1045);
    });

    it('a locked account: the server’s own error, though its password was learned', async () => {
      await account("'locked'@'%'", "IDENTIFIED BY 'x'");
      expect(await logIn('locked', 'x')).toBe('locked@%');
      await cluster.root('db1', "ALTER USER 'locked'@'%' ACCOUNT LOCK");
      const error = await errorOf(logIn('locked', 'x'));
      expect(error.errno).toBe(flavor === 'mysql' ? 3118 : 4151);
      expect(error.message).toMatch(/Account is locked|this account is locked/);
      await cluster.root('db1', "ALTER USER 'locked'@'%' ACCOUNT UNLOCK");
      expect(await logIn('locked', 'x')).toBe('locked@%');
    });

    it('an expired password: the server’s own error', async () => {
      await account("'expired'@'%'", "IDENTIFIED BY 'x'");
      await cluster.root('db1', "ALTER USER 'expired'@'%' PASSWORD EXPIRE");
      const error = await errorOf(logIn('expired', 'x'));
      // A client that says it can handle that is let in, and may only change its password.
      expect([1862, 1820]).toContain(error.errno);
    });

    it('an account that only some hosts may use', async () => {
      await account("'elsewhere'@'10.99.99.99'", "IDENTIFIED BY 'x'");
      expect((await errorOf(logIn('elsewhere', 'x'))).errno).toBe(1045);
    });

    it('a password that was changed on the server', async () => {
      await account("'changing'@'%'", "IDENTIFIED BY 'hush-before'");
      expect(await logIn('changing', 'hush-before')).toBe('changing@%');
      await cluster.root('db1', "ALTER USER 'changing'@'%' IDENTIFIED BY 'hush-after'");
      await cluster.lab.waitReplicated();
      expect((await errorOf(logIn('changing', 'hush-before'))).errno).toBe(1045);
      expect(await logIn('changing', 'hush-after')).toBe('changing@%');
      expect((await errorOf(logIn('changing', 'hush-before'))).errno).toBe(1045);
      expect(await logIn('changing', 'hush-after')).toBe('changing@%');
    });

    it('rights are the account’s own, on every server', async () => {
      const connection = await cluster.connect({ user: 'somebody', password: 'päss:wörd/1' });
      expect((await errorOf(connection.query('SELECT * FROM mysql.user'))).errno).toBe(1142);
      expect((await errorOf(connection.query('CREATE TABLE app.x (id INT)'))).errno).toBe(1142);
      const schema = await errorOf(connection.query('USE mysql'));
      expect(schema.errno).toBe(1044);
      const login = await errorOf(logIn('somebody', 'päss:wörd/1', { database: 'mysql' }));
      expect(login.errno).toBe(1044);
    });
  });

  it('a sha256_password account', async ({ skip }) => {
    if (flavor === 'mariadb') skip('MariaDB has no sha256_password');
    const rows = await cluster.root(
      'db1',
      "SELECT 1 FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'sha256_password'",
    );
    if (rows.length === 0) skip('this server has no sha256_password');
    await account("'sha'@'%'", "IDENTIFIED WITH sha256_password BY 'x'");
    expect(await logIn('sha', 'x')).toBe('sha@%');
  });

  it('an ed25519 account', async ({ skip }) => {
    if (flavor === 'mysql') skip('MySQL has no ed25519');
    const missing = await cluster.root('db1', "INSTALL SONAME 'auth_ed25519'").then(
      () => null,
      (error: unknown) => `this server has no auth_ed25519 (${String(error)})`,
    );
    if (missing !== null) skip(missing);
    await cluster.root('db2', "INSTALL SONAME 'auth_ed25519'");
    await account("'ed'@'%'", "IDENTIFIED VIA ed25519 USING PASSWORD('secret')");
    expect(await logIn('ed', 'secret')).toBe('ed@%');
    expect((await errorOf(logIn('ed', 'wrong'))).errno).toBe(1045);
  });

  it('a list of users: who is not on it stays out, with the same words', async () => {
    const users = [{ user: 'app', password: 'app' }];
    await withProxy({ users }, async ({ app }) => {
      expect(await logIn('app', 'app', { port: app.port })).toBe('app@%');
      expect(await logIn('app', 'app', { port: app.port, ...INSECURE_TLS })).toBe('app@%');
      const unlisted = await errorOf(logIn('somebody', 'päss:wörd/1', { port: app.port }));
      expect(unlisted).toMatchObject({ errno: 1045, sqlState: '28000' });
      expect(unlisted.message).toMatch(/Access denied for user 'somebody'@'/);
      expect((await errorOf(logIn('app', 'wrong', { port: app.port }))).errno).toBe(1045);
    });
  });

  it('a listed password that the servers do not have is refused by them', async () => {
    const users = [{ user: 'somebody', password: 'only here' }];
    await withProxy({ users }, async ({ app }) => {
      const error = await errorOf(logIn('somebody', 'only here', { port: app.port }));
      expect(error.errno).toBe(1045);
    });
  });

  it('an address with too many failed logins is blocked for a while, then let in', async () => {
    const auth = { maxFailures: 3, windowMs: 60_000, blockMs: 500 };
    await withProxy({ auth }, async ({ app, logs }) => {
      const place = { port: app.port };
      const open = await createConnection({ ...cluster.login, ...place });
      for (let n = 0; n < 3; n += 1) {
        expect((await errorOf(logIn('app', 'wrong', place))).errno).toBe(1045);
      }
      const blocked = await errorOf(logIn('app', 'app', place));
      expect(blocked.errno).toBe(1129);
      expect(blocked.message).toMatch(/^lagwise: Too many failed logins/);
      // Whoever is in stays in.
      expect(await valueOf(open, 'SELECT 1')).toBe(1);
      open.destroy();
      expect(logs.some(({ msg }) => msg.includes('blocked'))).toBe(true);
      await until('the block ends', () => logIn('app', 'app', place).catch(() => false));
    });
  });

  it('TLS that is demanded is demanded before the password', async () => {
    await withProxy({ listen: { port: 0, tls: { mode: 'required' } } }, async ({ app }) => {
      const refused = await errorOf(logIn('app', 'app', { port: app.port }));
      expect(refused.message).toMatch(/^lagwise: Connections must use TLS/);
      expect(await logIn('app', 'app', { port: app.port, ...INSECURE_TLS })).toBe('app@%');
    });
  });

  it('no password is in the log', async () => {
    const text = JSON.stringify(cluster.proxy.logs);
    expect(text.length).toBeGreaterThan(1000);
    expect(text).not.toContain('päss:wörd');
    expect(text).not.toContain('hush-');
  });
});
