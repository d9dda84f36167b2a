// Completes package-lock.json with the other platforms' builds of tools that come as one package a
// platform. A mirror that lacks those packages makes npm leave them out of the lock, and `npm ci`
// then refuses the lock everywhere. They are optional and pinned to their tool's exact version;
// only an integrity hash, which nobody here can know, is missing. Run it after each `npm install`.
import { readFileSync, writeFileSync } from 'node:fs';

const PATH = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(PATH, 'utf8'));
const { packages } = lock;

const SYSTEMS = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const PROCESSORS = {
  arm: 'arm',
  arm64: 'arm64',
  ia32: 'ia32',
  ppc64: 'ppc64',
  riscv64: 'riscv64',
  s390x: 's390x',
  x64: 'x64',
};

/** Whether `name` is found from the folder of the package at `from`, as Node looks for it. */
function isLocked(name, from) {
  for (let base = from; ; base = base.slice(0, Math.max(0, base.lastIndexOf('/node_modules/')))) {
    if (packages[`${base === '' ? '' : `${base}/`}node_modules/${name}`] !== undefined) return true;
    if (!base.includes('/node_modules/')) {
      return packages[`node_modules/${name}`] !== undefined;
    }
  }
}

/** The entry of a platform's package, or null where the name tells no platform. */
function entryOf(name, version, parent) {
  const words = name.split('/').at(-1).split('-');
  const os = SYSTEMS.find((system) => words.includes(system));
  const cpu = PROCESSORS[words.find((word) => PROCESSORS[word] !== undefined)];
  if (os === undefined || cpu === undefined || !/^\d+\.\d+\.\d+$/.test(version)) return null;
  const libc = os === 'linux' ? { libc: [words.includes('musl') ? 'musl' : 'glibc'] } : {};
  return {
    version,
    cpu: [cpu],
    ...(parent.dev === true ? { dev: true } : {}),
    ...libc,
    optional: true,
    os: [os],
  };
}

const added = [];
for (const [path, parent] of Object.entries(packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    if (isLocked(name, path)) continue;
    const entry = entryOf(name, version, parent);
    if (entry === null)
      throw new Error(`${name}@${version} of ${path} cannot be completed by name`);
    packages[`node_modules/${name}`] = entry;
    added.push(name);
  }
}
const [root, ...others] = Object.entries(packages);
others.sort(([a], [b]) => (a < b ? -1 : 1));
lock.packages = Object.fromEntries([root, ...others]);
writeFileSync(PATH, `${JSON.stringify(lock, null, 2)}\n`);
process.stdout.write(`${added.length} platform packages added to package-lock.json\n`);
