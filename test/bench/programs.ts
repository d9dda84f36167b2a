import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../src/lib/errors.ts';
import { ensureTree, type Tree, type TreeRequest } from '../../src/lab/packages.ts';
import { type Command, run } from '../../src/lab/run.ts';

/** A program that takes part in the bench. */
export interface Program {
  readonly command: Command;
  readonly version: string;
  /** The unpacked packages that it is from; null for an installed one. */
  readonly tree: Tree | null;
}

/** Where to look for a program. */
export interface ProgramRequest {
  /** Its file name, looked up on the PATH and in the folders for system programs. */
  readonly name: string;
  readonly packages: TreeRequest;
  /** Where the packages put it, without the leading slash. */
  readonly treePath: string;
  /** Makes it print its version. */
  readonly versionFlag: string;
}

const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/local/sbin'];
const VERSION_DEADLINE_MS = 10_000;

/** Finds a program on the PATH or in the distribution's packages, and asks for its version. */
export async function findProgram(
  request: ProgramRequest,
  onProgress: (text: string) => void,
): Promise<Program> {
  const installed = await searchPath(request.name);
  if (installed !== null) return proved(request, { file: installed, args: [] }, null);
  const tree = await ensureTree({ ...request.packages, onProgress }).catch((error: unknown) => {
    throw new Error(`not on the PATH, and not to be fetched: ${messageOf(error)}`);
  });
  return proved(request, tree.command(request.treePath), tree);
}

async function proved(
  request: ProgramRequest,
  command: Command,
  tree: Tree | null,
): Promise<Program> {
  const printed = await run(
    { ...command, args: [...command.args, request.versionFlag] },
    { what: `Asking ${request.name} for its version`, deadlineMs: VERSION_DEADLINE_MS },
  );
  const version = /\d+\.\d+(\.\d+)?/.exec(printed)?.[0];
  if (version === undefined) throw new Error(`it prints no version: ${printed.trim()}`);
  return { command, version, tree };
}

async function searchPath(name: string): Promise<string | null> {
  for (const folder of [...(process.env['PATH'] ?? '').split(':'), ...SYSTEM_FOLDERS]) {
    const path = join(folder, name);
    if (folder === '') continue;
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return null;
}
