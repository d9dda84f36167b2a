import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../../../src/lab/free-ports.ts';
import { VERSION } from '../../../src/version.ts';
import type { Target, TargetContext } from '../target.ts';
import { launchProxy } from './launch.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const READY_DEADLINE_MS = 1_000;
/** Longer than the proxy's own drain, and than a CPU profile takes to be written. */
const STOP_GRACE_MS = 20_000;

/** Lagwise as its users start it, in a process of its own with its defaults, but for TLS. */
export async function startLagwise(
  context: TargetContext,
  nodeOptions: readonly string[] = [],
): Promise<Target> {
  return await start(context, { name: 'lagwise', version: VERSION, root: ROOT }, nodeOptions);
}

/** Another version of Lagwise, alike. */
export async function startLagwiseBefore(context: TargetContext): Promise<Target> {
  const { before: root } = context;
  if (root === null) throw new Error('--before DIR says where it is');
  const head = spawnSync('git', ['describe', '--always', '--dirty'], { cwd: root });
  const version = String(head.stdout).trim();
  return await start(context, { name: 'lagwise-before', version, root }, []);
}

async function start(
  { lab, dir }: TargetContext,
  { name, version, root }: Pick<Target, 'name' | 'version'> & { root: string },
  nodeOptions: readonly string[],
): Promise<Target> {
  const [port = 0, adminPort = 0] = await freePorts(2);
  const configPath = join(dir, `${name}.json`);
  const { user, password } = lab.accounts.monitor;
  const config = {
    listen: { port, tls: { mode: 'off' } },
    admin: { port: adminPort },
    servers: lab.servers.map(({ id, host, port }) => ({ id, host, port })),
    serverTls: { mode: 'off' },
    monitor: { user, password },
    shutdown: { drainMs: 500 },
    log: { level: 'warn' },
  };
  await writeFile(configPath, JSON.stringify(config, null, 2));
  const flags = [...nodeOptions, '--disable-warning=ExperimentalWarning'];
  const run = {
    file: process.execPath,
    args: [...flags, join(root, 'src/main.ts'), 'start', '--config', configPath],
  };
  return launchProxy(run, {
    name,
    version,
    readPort: port,
    writePort: port,
    logPath: join(dir, `${name}.log`),
    isReady: () => isReady(adminPort),
    stopGraceMs: STOP_GRACE_MS,
  });
}

async function isReady(adminPort: number): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(READY_DEADLINE_MS);
    return (await fetch(`http://127.0.0.1:${adminPort}/readyz`, { signal })).ok;
  } catch {
    // It does not listen yet: the caller asks again until its deadline.
    return false;
  }
}
