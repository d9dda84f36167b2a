import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildOnce, cacheDir, withLock } from '../../../src/lab/cache.ts';
import { identify } from '../../../src/lab/process-identity.ts';

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lagwise-cache-test-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('cacheDir', () => {
  it('prefers its own variable, then the desktop standard, then the home folder', () => {
    expect(cacheDir({ LAGWISE_CACHE_DIR: '/a', XDG_CACHE_HOME: '/b' })).toBe('/a');
    expect(cacheDir({ XDG_CACHE_HOME: '/b' })).toBe('/b/lagwise');
    expect(cacheDir({})).toMatch(/\/\.cache\/lagwise$/);
  });
});

describe('buildOnce', () => {
  it('builds once for several that ask at the same time', async () => {
    let builds = 0;
    const ask = () =>
      buildOnce(join(dir, 'tree'), async (temporary) => {
        builds++;
        await writeFile(join(temporary, 'file'), 'whole');
      });
    await Promise.all([ask(), ask(), ask()]);
    expect(builds).toBe(1);
    expect(await readdir(dir)).toEqual(['tree']);
  });

  it('leaves nothing behind when the build fails, and builds again', async () => {
    const failing = buildOnce(join(dir, 'tree'), () => Promise.reject(new Error('no network')));
    await expect(failing).rejects.toThrow('no network');
    expect(await readdir(dir)).toEqual([]);
    await buildOnce(join(dir, 'tree'), () => Promise.resolve());
    expect(await readdir(dir)).toEqual(['tree']);
  });

  it('throws away what a crashed build left', async () => {
    await writeFile(join(dir, 'tree.building'), 'half');
    await buildOnce(join(dir, 'tree'), async (temporary) => {
      expect(await readdir(temporary)).toEqual([]);
    });
    expect(await readdir(dir)).toEqual(['tree']);
  });
});

describe('withLock', () => {
  it('lets one in at a time', async () => {
    let inside = 0;
    let most = 0;
    const work = async () => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside--;
    };
    await Promise.all(Array.from({ length: 5 }, () => withLock(join(dir, 'x'), work)));
    expect(most).toBe(1);
  });

  it('takes over from a process that died with the lock', async () => {
    const self = identify(process.pid);
    const dead = { pid: process.pid, startedAt: `${self?.startedAt}-another` };
    await writeFile(join(dir, 'x.lock'), JSON.stringify(dead));
    await expect(withLock(join(dir, 'x'), () => Promise.resolve('in'))).resolves.toBe('in');
    expect(existsSync(join(dir, 'x.lock'))).toBe(false);
  });

  it('is free again after the work has thrown', async () => {
    await expect(withLock(join(dir, 'x'), () => Promise.reject(new Error('no')))).rejects.toThrow();
    await expect(withLock(join(dir, 'x'), () => Promise.resolve('in'))).resolves.toBe('in');
  });
});
