import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LabState } from './lab-state.ts';

/** Where the lab in `dir` has its command line client; null when it has none. */
export function clientPath(dir: string, { programs }: LabState): string | null {
  return programs.t === 'process' && programs.client !== null ? join(dir, 'mysql') : null;
}

/**
 * Writes a script that starts the client which came with the server: one from unpacked packages
 * needs its own loader, which is more than a person wants to type.
 */
export async function writeClientScript(dir: string, state: LabState): Promise<void> {
  const path = clientPath(dir, state);
  const { programs } = state;
  if (path === null || programs.t !== 'process' || programs.client === null) return;
  const words = [programs.client.file, ...programs.client.args].map(quote).join(' ');
  await writeFile(path, `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
}

function quote(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
