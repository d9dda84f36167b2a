import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DemoSummary } from '../../src/demo/summary.ts';
import { findByArgument } from '../../src/lab/process-identity.ts';
import { FLAVORS } from '../support/flavors.ts';
import { until } from '../support/until.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const UP_DEADLINE_MS = 60_000;
const GONE_DEADLINE_MS = 30_000;

describe('lagwise demo', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lagwise-demo-test-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  /** Everything that the demo makes is below `folder`, and so are the arguments of its processes. */
  function start(...args: string[]) {
    const child = spawn(process.execPath, [MAIN, 'demo', '--port', '0', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TMPDIR: folder },
    });
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    return { child, ended, out: () => out, err: () => err };
  }

  const servers = () => findByArgument(`--datadir=${folder}/`);
  const proxies = () => findByArgument(`${folder}/`).filter(({ pid }) => pid !== process.pid);
  const gone = async () =>
    servers().length === 0 && proxies().length === 0 && (await readdir(folder)).length === 0;

  it.each(FLAVORS)(
    'keeps every promise through the death of a primary: %s',
    { timeout: 240_000 },
    async (flavor) => {
      const run = start('--flavor', flavor, '--exit', '--json');
      expect(await run.ended, run.err()).toBe(0);
      const summary: DemoSummary = JSON.parse(run.out());
      expect(summary).toMatchObject({
        ok: true,
        failures: [],
        misroutedWrites: 0,
        lostWrites: 0,
        rowsNobodyWrote: 0,
        balanceDrift: 0,
        staleOwnReads: 0,
        wrongAnswers: 0,
      });
      expect(summary.rowsAcknowledged).toBeGreaterThan(300);
      expect(summary.rowsAcknowledgedAfterPromotion).toBeGreaterThan(50);
      for (const id of ['db2', 'db3']) {
        expect(summary.readShareBeforeKill[id], id).toBeGreaterThanOrEqual(0.3);
      }
      expect(summary.timeWithoutWritesAfterPromotionMs).toBeLessThan(2_000);
      // The servers' own books agree with the proxy's: where they can be compared, to the statement.
      expect(summary.writesCountedByServers['db3']).toBe(summary.writesByServer['db3']);
      expect(summary.writesCountedByServers['db2']).toBe(summary.writesByServer['db2']);
      expect(await gone()).toBe(true);
    },
  );

  it('stays up after the summary until Ctrl-C, which leaves nothing behind', {
    timeout: 240_000,
  }, async () => {
    const run = start();
    await until(
      'it invites to try it',
      () => run.out().includes('Ctrl-C ends everything'),
      120_000,
    );
    expect(run.out()).toContain('Every promise was kept');
    expect(servers()).toHaveLength(3);
    run.child.kill('SIGINT');
    expect(await run.ended).toBe(0);
    expect(await gone()).toBe(true);
  });

  it('leaves nothing behind when it is killed in the middle', async () => {
    const run = start();
    await until('the workload runs', () => run.out().includes('sessions write'), UP_DEADLINE_MS);
    expect(servers()).toHaveLength(3);
    expect(proxies()).not.toHaveLength(0);
    run.child.kill('SIGKILL');
    await run.ended;
    await until('everything is gone', gone, GONE_DEADLINE_MS);
  });

  it('ends at once with Ctrl-C while it starts', async () => {
    const run = start();
    await until('a server runs', () => servers().length > 0, UP_DEADLINE_MS);
    run.child.kill('SIGINT');
    expect(await run.ended).toBe(130);
    await until('everything is gone', gone, GONE_DEADLINE_MS);
  });
});
