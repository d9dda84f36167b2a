import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { jsonSchemaText } from '../src/config/json-schema.ts';
import { configDocText } from './config-doc.ts';

/**
 * Writes what is derived from the config's schema; with `--check` it only compares and exits with
 * 1 when a file is stale.
 */
const FILES: readonly { readonly name: string; readonly make: () => string }[] = [
  { name: 'proxy.schema.json', make: jsonSchemaText },
  {
    name: 'docs/configuration.md',
    make: () => formatted('docs/configuration.md', configDocText()),
  },
];

/** As the formatter wants it, or the format check would fail on what the generator wrote. */
function formatted(name: string, text: string): string {
  const done = spawnSync('biome', ['format', `--stdin-file-path=${name}`], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    input: text,
    encoding: 'utf8',
    timeout: 60_000,
  });
  if (done.error !== undefined) throw done.error;
  if (done.status !== 0) throw new Error(`biome could not format ${name}: ${done.stderr}`);
  return done.stdout;
}

function main(checkOnly: boolean): number {
  let stale = 0;
  for (const { name, make } of FILES) {
    const path = fileURLToPath(new URL(`../${name}`, import.meta.url));
    const wanted = make();
    if (readOrEmpty(path) === wanted) continue;
    if (checkOnly) {
      stale += 1;
      console.error(`${name} does not match src/config/schema.ts: run "npm run schema"`);
    } else {
      writeFileSync(path, wanted);
      console.log(`wrote ${name}`);
    }
  }
  return stale === 0 ? 0 : 1;
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return '';
    throw thrown;
  }
}

process.exitCode = main(process.argv.includes('--check'));
