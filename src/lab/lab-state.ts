import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LagwiseError, messageOf } from '../lib/errors.ts';
import type { ProcessIdentity } from './process-identity.ts';
import type { Programs } from './programs.ts';

/** One server as `lab.json` remembers it. */
export interface ServerRecord {
  readonly id: string;
  /** `server_id`; a server that is laid down anew gets a new one. */
  serverNumber: number;
  /** Where clients on this machine connect. */
  /** Another one only before the server has run. */
  port: number;
  /** The process that was started last; whether it still lives is asked of the system. */
  process: ProcessIdentity | null;
  /** The process that delays what it receives from its source; null when it lags in no such way. */
  relay: ProcessIdentity | null;
  /** The container, where the lab runs in containers. */
  containerId: string | null;
}

/** A lab as `lab.json` in its folder remembers it: what a later command needs to go on. */
export interface LabState {
  readonly format: 1;
  readonly programs: Programs;
  readonly semiSync: boolean;
  readonly serverOptions: readonly string[];
  /** Folder of the sockets, whose paths the system limits to about 100 bytes. */
  readonly socketDir: string;
  /** Root's password over TCP, for servers in containers; empty otherwise. */
  readonly rootPassword: string;
  /** The network that the lab's containers share, once it is made. */
  networkName: string | null;
  primary: string;
  readonly servers: ServerRecord[];
}

const FILE_NAME = 'lab.json';

/** Whether a folder belongs to a lab: only such a folder is ever deleted. */
export function isLabDir(dir: string): boolean {
  return existsSync(join(dir, FILE_NAME));
}

/**
 * Writes the state whole: a reader never sees half a file. One file rename decides, and the text is
 * made and written before anything else may run, so of two writers the later one wins.
 */
export function writeLabState(dir: string, state: LabState): void {
  const path = join(dir, FILE_NAME);
  writeFileSync(`${path}.new`, `${JSON.stringify(state, null, 2)}\n`);
  renameSync(`${path}.new`, path);
}

/** Reads the state of the lab in `dir`. */
export async function readLabState(dir: string): Promise<LabState> {
  const path = join(dir, FILE_NAME);
  if (!existsSync(path)) {
    throw new LagwiseError('lab', `No lab is up in ${dir}: start one with "lagwise lab up"`);
  }
  try {
    const state: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (isLabState(state)) return state;
  } catch (error) {
    throw new LagwiseError('lab', `${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  throw new LagwiseError('lab', `${path} is of another version: run "lagwise lab down" and "up"`);
}

/** We wrote the file ourselves: its format number stands for the shape. */
function isLabState(value: unknown): value is LabState {
  return typeof value === 'object' && value !== null && 'format' in value && value.format === 1;
}
