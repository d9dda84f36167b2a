// Runs a TypeScript entry of this repository on the pinned Node, installing the packages first when
// they are missing or stale. Plain JavaScript without dependencies: it must work on Node 20.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const modules = join(root, 'node_modules');
const stamp = join(modules, '.lagwise-lock-hash');
const node = join(modules, '.bin', process.platform === 'win32' ? 'node.cmd' : 'node');
const lockHash = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex');

const fresh = () =>
  existsSync(node) && existsSync(stamp) && readFileSync(stamp, 'utf8') === lockHash;

if (!fresh()) {
  process.stderr.write('Installing packages (npm ci) …\n');
  // stdout of the entry may be JSON for a machine: everything of the set-up goes to stderr.
  const done = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (done.status !== 0) {
    process.stderr.write('npm ci failed: see its output above\n');
    process.exit(done.status ?? 1);
  }
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout?.trim() ?? '';
  if (!/^v(2[4-9]|[3-9]\d)\./.test(version)) {
    process.stderr.write(
      `The pinned Node did not install (found "${version}"): its package's install script was blocked; run "npm rebuild node"\n`,
    );
    process.exit(1);
  }
  writeFileSync(stamp, lockHash);
}

const [entry, ...args] = process.argv.slice(2);
// The pinned Node comes first for everything that the entry starts in turn.
const env = { ...process.env, PATH: `${join(modules, '.bin')}:${process.env.PATH ?? ''}` };
const child = spawn(node, ['--disable-warning=ExperimentalWarning', entry, ...args], {
  stdio: 'inherit',
  env,
});
// Ctrl-C reaches the whole foreground group by itself; a signal sent to this process alone does not.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  });
}
child.on('exit', (code, signal) => {
  process.exit(signal === null ? code : 128 + constants.signals[signal]);
});
