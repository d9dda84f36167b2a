import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { ensureImage, openEngine } from '../../src/lab/container-engine.ts';
import { ensureTree, type TreeRequest } from '../../src/lab/packages.ts';
import type { Flavor } from '../../src/topology/snapshot.ts';

const PUBLIC_IMAGES: Record<Flavor, string> = { mysql: 'mysql:8.4', mariadb: 'mariadb:11' };
const BUILT_IMAGES: Record<Flavor, string> = {
  mysql: 'lagwise-lab/mysql:packages',
  mariadb: 'lagwise-lab/mariadb:packages',
};

/** A shell and the few commands that the servers' own scripts call, beside the servers. */
const BASE = ['base-files', 'dash', 'coreutils', 'sed', 'grep', 'debianutils'];
const TREES: Record<Flavor, TreeRequest> = {
  mysql: {
    name: 'mysql-image',
    suite: 'sid',
    packages: ['mysql-server-core', 'mysql-client-core', ...BASE],
  },
  mariadb: {
    name: 'mariadb-image',
    suite: 'native',
    packages: ['mariadb-server-core', 'mariadb-client-core', 'mariadb-server', ...BASE],
  },
};

/** Why no container can be started here; null when an engine answers. */
export async function whyNoEngine(): Promise<string | null> {
  return openEngine().then(
    () => null,
    (error: unknown) => String(error),
  );
}

/**
 * An image with the server: the public one where the engine can fetch it, else one made from the
 * distribution's packages, for machines that reach a package mirror but no image registry.
 */
export async function ensureLabImage(flavor: Flavor): Promise<string> {
  const built = BUILT_IMAGES[flavor];
  const engine = await openEngine();
  const present = await engine.listImages({ filters: { reference: [built] } });
  if (present.length > 0) return built;
  try {
    await ensureImage(PUBLIC_IMAGES[flavor], console.error);
    return PUBLIC_IMAGES[flavor];
  } catch (error) {
    console.error(`${String(error)}: making ${built} from packages`);
  }
  await importTree(flavor, built);
  return built;
}

async function importTree(flavor: Flavor, image: string): Promise<void> {
  const tree = await ensureTree({ ...TREES[flavor], onProgress: console.error });
  const accounts = tree.path('etc/passwd');
  // No package script has run: the account file that one of them would have made is missing.
  if (!existsSync(accounts)) await writeFile(accounts, 'root:x:0:0:root:/root:/bin/sh\n');
  const tar = spawn('tar', ['-C', tree.dir, '-c', '.'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const engine = await openEngine();
  const [repo, tag] = image.split(':');
  const progress = await engine.importImage(tar.stdout, { repo, tag });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  progress.on('error', reject).on('end', resolve).resume();
  await promise;
}
