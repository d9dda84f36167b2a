import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import {
  type AdminServer,
  type AdminServerOptions,
  startAdminServer,
} from '../../../src/admin/http-server.ts';
import { createTelemetry } from '../../../src/telemetry/telemetry.ts';
import { aServer, aSnapshot } from '../../support/snapshots.ts';
import { until } from '../../support/until.ts';

const lines: string[] = [];
const telemetry = createTelemetry({
  logLevel: 'info',
  version: '0',
  destination: { write: (line) => lines.push(line) },
});
const running: AdminServer[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close()));
});

async function start(given: Partial<AdminServerOptions> = {}): Promise<string> {
  const primary = aServer({ role: 'primary' });
  const server = await startAdminServer({
    host: '127.0.0.1',
    port: 0,
    registry: telemetry.registry,
    readiness: () => ({ ready: true, reasons: [] }),
    snapshot: () => aSnapshot({ servers: [primary], primary }),
    sessions: () => [{ connId: 1, user: 'app' }],
    logger: telemetry.logger,
    ...given,
  });
  running.push(server);
  return `http://127.0.0.1:${server.port}`;
}

describe('the admin server', () => {
  test('serves metrics as Prometheus text', async () => {
    const response = await fetch(`${await start()}/metrics?x=1`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(await response.text()).toContain('\nlagwise_client_connections 0\n');
  });

  test('says that it lives', async () => {
    const response = await fetch(`${await start()}/healthz`);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ status: 'ok' });
  });

  test('is ready or tells why not', async () => {
    let state = { ready: false, reasons: ['No primary: db1 is down'] };
    const base = await start({ readiness: () => state });
    const before = await fetch(`${base}/readyz`);
    expect(before.status).toBe(503);
    expect(await before.json()).toEqual(state);
    state = { ready: true, reasons: [] };
    expect((await fetch(`${base}/readyz`)).status).toBe(200);
  });

  test('shows servers and sessions', async () => {
    const base = await start();
    const servers = await (await fetch(`${base}/api/servers`)).json();
    expect(servers).toMatchObject({ primary: 'db1', servers: [{ id: 'db1', role: 'primary' }] });
    const sessions = await (await fetch(`${base}/api/sessions`)).json();
    expect(sessions).toEqual({ sessions: [{ connId: 1, user: 'app' }] });
  });

  test('lists what it has, answers HEAD without a body', async () => {
    const base = await start();
    expect(await (await fetch(base)).text()).toContain('/readyz');
    const head = await fetch(`${base}/healthz`, { method: 'HEAD' });
    expect(head.status).toBe(200);
    expect(await head.text()).toBe('');
  });

  test('refuses other paths and methods as JSON', async () => {
    const base = await start();
    const unknown = await fetch(`${base}/nothing`);
    expect(unknown.status).toBe(404);
    expect(await unknown.json()).toMatchObject({ error: expect.stringContaining('/metrics') });
    const posted = await fetch(`${base}/metrics`, { method: 'POST', body: 'x' });
    expect(posted.status).toBe(405);
    expect(posted.headers.get('allow')).toBe('GET, HEAD');
  });

  test('a failing getter is a 500 without its text, logged, and the server lives', async () => {
    const base = await start({
      sessions: () => {
        throw new Error('broken inside');
      },
    });
    const response = await fetch(`${base}/api/sessions`);
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('broken inside');
    expect(lines.join('')).toContain('broken inside');
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
  });

  test('garbage is answered with 400 and closed', async () => {
    const { port } = new URL(await start());
    const socket = connect(Number(port), '127.0.0.1');
    socket.end('\x00\x01garbage\r\n\r\n');
    const chunks = await socket.setEncoding('utf8').toArray();
    expect(chunks.join('')).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('clients that ask and do not read cannot keep others out', async () => {
    const metrics = async () => 'x'.repeat(4 * 1024 * 1024);
    const base = await start({ stallMs: 2500, registry: { metrics, contentType: 'text/plain' } });
    const deaf = Array.from({ length: 64 }, () => connect(Number(new URL(base).port)));
    const health = () =>
      fetch(`${base}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      );
    await Promise.all(deaf.map((socket) => new Promise((done) => socket.once('connect', done))));
    for (const socket of deaf) {
      socket.on('error', () => undefined).pause();
      socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
    }
    expect(await health()).toBe(false);
    await until('they are cut', health);
    for (const socket of deaf) socket.destroy();
  });

  test('close cuts connections that a client keeps open', async () => {
    const base = await start();
    await fetch(`${base}/healthz`);
    const idle = connect(Number(new URL(base).port), '127.0.0.1');
    await new Promise((resolve) => idle.once('connect', resolve));
    const closed = new Promise((resolve) => idle.once('close', resolve));
    idle.resume();
    await running.splice(0)[0]?.close();
    await closed;
    await expect(fetch(`${base}/healthz`)).rejects.toThrow();
  });

  test('a port in use is an error that names the cure', async () => {
    const base = await start();
    await expect(start({ port: Number(new URL(base).port) })).rejects.toThrow(
      /Cannot listen on admin 127\.0\.0\.1:\d+ \(.*EADDRINUSE.*admin\.port/,
    );
  });
});
