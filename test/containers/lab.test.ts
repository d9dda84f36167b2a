import { describe, expect, it, onTestFinished } from 'vitest';
import { LAB_LABEL, openEngine } from '../../src/lab/container-engine.ts';
import { startLab } from '../../src/lab/start-lab.ts';
import { missingEngine, useLabImage } from '../support/lab-image-for.ts';

describe.each(['mysql', 'mariadb'] as const)('a lab of %s in containers', (flavor) => {
  useLabImage(flavor);

  it('replicates, survives the death of its primary, and leaves nothing behind', async (test) => {
    if (missingEngine !== null) return test.skip(missingEngine);
    const steps: string[] = [];
    const lab = await startLab({
      flavor,
      containers: true,
      replicas: 1,
      onStep: (text) => steps.push(text),
    });
    onTestFinished(() => lab.down());
    await lab.rootQuery('db1', 'CREATE TABLE app.t (id INT PRIMARY KEY)');
    await lab.waitReplicated();
    await lab.kill('db1');
    expect((await lab.status())[0]?.state).toBe('stopped');
    await lab.promote('db2');
    await lab.rootQuery('db2', 'INSERT INTO app.t VALUES (1)');
    await lab.start('db1');
    await lab.waitReplicated();
    expect(await lab.rootQuery('db1', 'SELECT id FROM app.t')).toEqual([{ id: 1 }]);
    await lab.pause('db1');
    expect((await lab.status())[0]?.state).toBe('paused');
    await lab.resume('db1');
    await lab.down();
    const engine = await openEngine();
    const filters = { label: [`${LAB_LABEL}=${lab.dir}`] };
    expect(await engine.listContainers({ all: true, filters })).toEqual([]);
    expect(await engine.listNetworks({ filters })).toEqual([]);
  });
});
