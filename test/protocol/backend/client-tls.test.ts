import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CAP, union } from '../../../src/wire/capability.ts';
import { decodeErr, ERR } from '../../../src/wire/packets/err.ts';
import { encodeSslRequest } from '../../../src/wire/packets/ssl-request.ts';
import { type Certificate, selfSigned } from '../../support/certificates.ts';
import { PacketPipe } from '../../support/packet-pipe.ts';
import { freshCluster, type ScriptedCluster } from '../../support/scripted-cluster.ts';
import { CLIENT_CAPS } from '../../support/scripted-client.ts';
import { within } from '../../support/until.ts';

let folder = '';
let ours: Certificate = { cert: '', key: '' };
let strangers: Certificate = { cert: '', key: '' };
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lagwise-client-tls-'));
  [ours, strangers] = await Promise.all([
    selfSigned('ours.example'),
    selfSigned('strangers.example'),
  ]);
  writeFileSync(join(folder, 'ca.pem'), ours.cert);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Asks for TLS and says what came of it: a secured connection, or its end. */
async function secure(cluster: ScriptedCluster, identity: Certificate | null): Promise<string> {
  const pipe = new PacketPipe(connect({ port: cluster.app.port, host: '127.0.0.1' }));
  await pipe.read();
  const header = {
    caps: union(CLIENT_CAPS, CAP.SSL),
    extendedCaps: 0,
    maxPacketBytes: 1 << 24,
    collationId: 45,
  };
  pipe.write(encodeSslRequest(header, 1));
  const { promise, resolve } = Promise.withResolvers<string>();
  pipe.upgrade((socket) => {
    const secured = connectTls({ socket, rejectUnauthorized: false, ...identity });
    // TLS 1.3: the client is done before the server has judged it; what is read tells.
    secured.once('error', () => resolve('refused'));
    secured.once('close', () => resolve('refused'));
    secured.once('secureConnect', () => secured.write(Buffer.from([1, 0, 0, 2, 0])));
    return secured;
  });
  // A handshake response of one byte is malformed, which only who got through TLS is told.
  void pipe.read().then(
    ({ payload }) =>
      resolve(payload[0] === ERR ? `through, ${decodeErr(payload).code}` : 'through'),
    () => resolve('refused'),
  );
  const result = await within('the outcome of TLS', 3_000, promise);
  pipe.destroy();
  return result;
}

describe('TLS towards clients', () => {
  test('with listen.tls.caFile only certificates of that authority are let through', async () => {
    const cluster = await freshCluster(1, {
      listen: { tls: { mode: 'preferred', caFile: join(folder, 'ca.pem') } },
    });
    expect(await secure(cluster, ours)).toMatch(/^through/);
    expect(await secure(cluster, strangers)).toBe('refused');
    expect(await secure(cluster, null)).toBe('refused');
    await cluster.untilNoClients();
  });

  test('without it none is asked for, and the password may come in clear', async () => {
    const cluster = await freshCluster(1, { listen: { tls: { mode: 'required' } } });
    const client = await cluster.connect({ tls: true });
    expect((await client.query('SELECT 1')).values).toEqual(['db1']);
    expect(await secure(cluster, null)).toMatch(/^through/);
  });

  test('that is required is told of to a client that does without', async () => {
    const cluster = await freshCluster(1, { listen: { tls: { mode: 'required' } } });
    await expect(cluster.connect()).rejects.toThrow(/^1045 lagwise: .*must use TLS/);
  });

  test('that is off is not offered', async () => {
    const cluster = await freshCluster(1);
    const client = await cluster.connect();
    expect(client.greeting.caps & CAP.SSL).toBe(0);
  });
});
