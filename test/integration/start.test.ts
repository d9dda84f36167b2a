import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const END_DEADLINE_MS = 30_000;

/** A port of this machine that somebody else listens on. */
async function takenPort(): Promise<number> {
  const server = createServer();
  onTestFinished(async () => {
    await new Promise((resolve) => server.close(resolve));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('It listens on no port');
  return address.port;
}

/** Runs `lagwise start` to its end. */
async function start(part: object): Promise<{ code: number; stderr: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'lagwise-start-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'proxy.config.json');
  const config = {
    listen: { port: 0 },
    admin: { port: 0 },
    servers: [{ id: 'db1', host: '127.0.0.1', port: 1 }],
    monitor: { user: 'nobody', password: 'x' },
    users: 'passthrough',
    ...part,
  };
  await writeFile(file, JSON.stringify(config));
  return await new Promise((resolve) => {
    const options = { timeout: END_DEADLINE_MS };
    execFile(process.execPath, [MAIN, 'start', '--config', file], options, (error, _, stderr) => {
      resolve({ code: Number(error?.code ?? (error === null ? 0 : -1)), stderr });
    });
  });
}

describe('a proxy that cannot listen ends at once, and says where', () => {
  it('for clients', async () => {
    const port = await takenPort();
    const { code, stderr } = await start({ listen: { host: '127.0.0.1', port } });
    expect(code).toBe(1);
    expect(stderr).toContain(`cannot listen on 127.0.0.1:${port}`);
  });

  it('for the admin server', async () => {
    const port = await takenPort();
    const { code, stderr } = await start({ admin: { port } });
    expect(code).toBe(1);
    expect(stderr).toContain(`Cannot listen on admin 127.0.0.1:${port}`);
  });
});
