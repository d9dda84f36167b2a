import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Certificate, selfSigned } from '../../support/certificates.ts';
import type { PacketPipe } from '../../support/packet-pipe.ts';
import {
  freshCluster,
  ScriptedCluster,
  useScriptedCluster,
} from '../../support/scripted-cluster.ts';
import { type AuthPath, PASSWORD, serverTls } from '../../support/scripted-server.ts';
import { until } from '../../support/until.ts';

describe('how a session logs in to its server', () => {
  const cluster = useScriptedCluster(1);
  const answersFor: readonly AuthPath[] = [
    'fast',
    'full',
    'native',
    'switch-to-native',
    'switch-to-sha256',
    'switch-to-ed25519',
  ];

  test.each(answersFor)('by the path "%s", without TLS', async (auth) => {
    cluster.db(1).traits.auth = auth;
    const client = await cluster.connect();
    expect((await client.query('SELECT 1')).values).toEqual(['db1']);
  });

  test.each(answersFor)('and is refused with the server’s own error by "%s"', async (auth) => {
    cluster.db(1).traits.auth = auth;
    await expect(cluster.connect({ password: 'wrong' })).rejects.toThrow(
      /^1045 Access denied for user 'app'@'127\.0\.0\.1' \(using password: YES\)$/,
    );
  });

  test('a password that worked once goes the fast way, until a server refuses it', async () => {
    cluster.db(1).traits.auth = 'fast';
    (await cluster.connect()).close();
    cluster.db(1).traits.auth = 'deny';
    await expect(cluster.connect()).rejects.toThrow(/^1045 Access denied/);
    cluster.db(1).traits.auth = 'fast';
    expect((await (await cluster.connect()).query('SELECT 1')).values).toEqual(['db1']);
  });

  test('the schema, user and capabilities of the client are those of the server connection', async () => {
    const client = await cluster.connect({ user: 'alice', database: 'shop' });
    await client.query('SELECT 1');
    const [session] = cluster.db(1).sessions;
    expect(session?.login).toMatchObject({ user: 'alice', database: 'shop', collationId: 45 });
    expect(cluster.db(1).trackerStatements).toBeGreaterThan(0);
  });

  test('a server that asks for the clear password gets it over TLS only', async () => {
    cluster.db(1).traits.auth = 'switch-to-clear';
    await expect(cluster.connect()).rejects.toThrow(
      /^1045 lagwise: .*serverTls\.mode to "required"/,
    );
  });

  test('a plugin that Lagwise cannot serve is named', async () => {
    cluster.db(1).traits.auth = 'switch-to-unknown';
    await expect(cluster.connect()).rejects.toThrow(/"authentication_of_another_kind"/);
  });

  test('no error or log line holds the password', async () => {
    for (const auth of ['switch-to-clear', 'switch-to-unknown', 'deny'] as const) {
      cluster.db(1).traits.auth = auth;
      const error: unknown = await cluster.connect().catch((thrown: unknown) => thrown);
      expect(String(error)).not.toContain(PASSWORD);
    }
    expect(cluster.logs.join('\n')).not.toContain(PASSWORD);
  });

  test('a client that leaves while its login is judged leaves nothing behind', async () => {
    const server = cluster.db(1);
    const gate = Promise.withResolvers<void>();
    server.traits.loginGate = gate.promise;
    const pipes: PacketPipe[] = [];
    const before = server.logins;
    const connecting = cluster.connect({ onPipe: (pipe) => pipes.push(pipe) });
    await until('the login has reached the server', () => server.logins > before);
    for (const pipe of pipes) pipe.destroy();
    await expect(connecting).rejects.toThrow();
    gate.resolve();
    await cluster.untilNoClients();
    // The server has judged: what it let in is there for the next one.
    const idle = 'lagwise_backend_connections{server="db1",state="idle"}';
    await until('nobody has it', async () => (await cluster.metric(idle)) === 1);
    expect(await cluster.metric(idle.replace('idle', 'leased'))).toBe(0);
  });
});

describe('a server that does not let in', () => {
  test.each(['silent', 'mute'] as const)('%s: the login ends in time', async (auth) => {
    const cluster = await freshCluster(1, {
      listen: { loginTimeoutMs: 400 },
      pool: { connectTimeoutMs: 150 },
    });
    // The monitor keeps its connection.
    cluster.db(1).traits.auth = auth;
    const started = performance.now();
    await expect(cluster.connect()).rejects.toThrow();
    expect(performance.now() - started).toBeLessThan(2_000);
    cluster.db(1).traits.auth = 'fast';
    await cluster.untilRoles('db1', []);
    expect((await (await cluster.connect()).query('SELECT 1')).values).toEqual(['db1']);
  });

  test('a listed user with another password never reaches a server', async () => {
    const cluster = await freshCluster(1, { users: [{ user: 'app', password: PASSWORD }] });
    await expect(cluster.connect({ password: 'wrong' })).rejects.toThrow(/^1045 /);
    await expect(cluster.connect({ user: 'stranger' })).rejects.toThrow(/^1045 /);
    expect(cluster.db(1).logins).toBe(0);
    expect((await (await cluster.connect()).query('SELECT 1')).values).toEqual(['db1']);
  });
});

describe('TLS to the servers', () => {
  let folder = '';
  const files = { mine: '', other: '', local: '' };
  let pem = { mine: { cert: '', key: '' }, local: { cert: '', key: '' } };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'lagwise-tls-'));
    const [mine, other, local] = await Promise.all(
      ['db.example', 'other.example', 'localhost'].map(selfSigned),
    );
    if (mine === undefined || other === undefined || local === undefined) return;
    pem = { mine, local };
    for (const [name, { cert }] of Object.entries({ mine, other, local })) {
      writeFileSync(join(folder, `${name}.pem`), cert);
    }
    files.mine = join(folder, 'mine.pem');
    files.other = join(folder, 'other.pem');
    files.local = join(folder, 'local.pem');
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** What a client's login comes to where proxy and server stand so to TLS. */
  async function tryMode(given: {
    mode: string;
    ca?: string;
    tls: boolean;
    auth?: AuthPath;
    pem?: Certificate;
    host?: string;
  }) {
    const secured = new ScriptedCluster(1);
    onTestFinished(() => secured.stop());
    const server = secured.db(1);
    secured.host = given.host ?? secured.host;
    server.traits.tls = given.tls ? serverTls(given.pem ?? pem.mine) : null;
    server.traits.auth = given.auth ?? 'fast';
    await secured.start({
      serverTls: { mode: given.mode, caFile: given.ca ?? null },
      listen: { loginTimeoutMs: 600 },
    });
    const result = await secured.connect().then(
      () => [...server.sessions].map((session) => (session.secured ? 'secured' : 'plain')).join(),
      (error: unknown) => (error instanceof Error ? error.message : ''),
    );
    return { result, snapshot: secured.app.snapshot() };
  }

  test.each([
    ['off', false, 'plain'],
    ['off', true, 'plain'],
    ['preferred', false, 'plain'],
    ['preferred', true, 'secured'],
    ['required', true, 'secured'],
  ])('mode %s, server with TLS %s: %s', async (mode, tls, expected) => {
    expect((await tryMode({ mode, tls })).result).toBe(expected);
  });

  test('mode verify-ca takes the certificate of its authority, whatever the name', async () => {
    expect((await tryMode({ mode: 'verify-ca', tls: true, ca: files.mine })).result).toBe(
      'secured',
    );
  });

  test('mode verify-identity takes the certificate of the server’s own name', async () => {
    const host = 'localhost';
    const given = { mode: 'verify-identity', tls: true, ca: files.local, pem: pem.local, host };
    expect((await tryMode(given)).result).toBe('secured');
  });

  test.each([
    ['required', undefined, false],
    ['verify-ca', 'other' as const, true],
    ['verify-identity', 'mine' as const, true],
  ])('mode %s refuses a server that it cannot trust', async (mode, ca, tls) => {
    const { result, snapshot } = await tryMode({
      mode,
      tls,
      // A name, which the certificate of `mine` does not bear.
      host: 'localhost',
      ...(ca === undefined ? {} : { ca: files[ca] }),
    });
    expect(result).not.toMatch(/plain|secured/);
    expect(snapshot.primary).toBeNull();
  });

  test.each(['full', 'switch-to-clear', 'switch-to-sha256'] as const)(
    '%s: the password itself goes over TLS',
    async (auth) => {
      expect((await tryMode({ mode: 'required', tls: true, auth })).result).toBe('secured');
    },
  );
});
