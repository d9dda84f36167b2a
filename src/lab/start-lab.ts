import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { LagwiseError } from '../lib/errors.ts';
import type { Flavor } from '../topology/snapshot.ts';
import { writeClientScript } from './client-script.ts';
import { ContainerHost } from './container-host.ts';
import { freePorts, requireFree } from './free-ports.ts';
import { Lab } from './lab.ts';
import { isLabDir, type LabState, readLabState, writeLabState } from './lab-state.ts';
import { ProcessHost } from './process-host.ts';
import { findPrograms } from './programs.ts';
import type { ServerHost } from './server-host.ts';
import { startWatchdog } from './watchdog.ts';

/** What a new lab is to be. */
export interface LabOptions {
  /** Replicas beside the primary; default 2. */
  readonly replicas?: number;
  /** Default `mysql`. */
  readonly flavor?: Flavor;
  /** Port of db1, the others follow; 0 or absent takes free ports. */
  readonly basePort?: number;
  /** A folder that does not exist yet or is empty; absent makes a temporary one. */
  readonly dir?: string;
  /** A commit returns when a replica has received it. */
  readonly semiSync?: boolean;
  /** Further options of every server, such as `--max-allowed-packet=64M`. */
  readonly serverOptions?: readonly string[];
  /** The server program by path; absent finds one. */
  readonly serverPath?: string;
  /** Run the servers in containers even where programs are found. */
  readonly containers?: boolean;
  /** Told in words what is being done. */
  readonly onStep?: (text: string) => void;
}

const DEFAULT_REPLICAS = 2;
const MAX_REPLICAS = 15;
/** The path of a socket has 107 bytes on Linux, 103 elsewhere. */
const MAX_SOCKET_DIR_BYTES = 90;

/**
 * Starts a primary and its replicas and returns when replication runs. The servers end with
 * `down()`, and at the latest when this process ends, however it ends.
 */
export async function startLab(options: LabOptions = {}): Promise<Lab> {
  const onStep = options.onStep ?? (() => undefined);
  const count = 1 + checkReplicas(options.replicas ?? DEFAULT_REPLICAS);
  const ports = await choosePorts(options.basePort ?? 0, count);
  const { serverPath, containers = false } = options;
  const programs = await findPrograms(options.flavor ?? 'mysql', {
    onStep,
    containers,
    ...(serverPath === undefined ? {} : { serverPath }),
  });
  onStep(`Servers: ${programs.flavor} ${programs.version} (${programs.origin})`);
  const dir = await makeLabDir(options.dir);
  const socketDir = await makeSocketDir(dir);
  const state: LabState = {
    format: 1,
    programs,
    semiSync: options.semiSync ?? false,
    serverOptions: options.serverOptions ?? [],
    socketDir,
    rootPassword: programs.t === 'container' ? randomBytes(12).toString('hex') : '',
    networkName: null,
    primary: 'db1',
    servers: ports.map((port, index) => ({
      id: `db${index + 1}`,
      serverNumber: index + 1,
      port,
      process: null,
      relay: null,
      containerId: null,
    })),
  };
  // First the file that marks the folder as ours, then whoever cleans it, then what is to be cleaned.
  writeLabState(dir, state);
  await writeClientScript(dir, state);
  const watchdog = startWatchdog({ dir, socketDir, containers: programs.t === 'container' });
  const lab = new Lab({ dir, state, host: hostOf(dir, state), watchdog, onStep });
  try {
    await lab.bringUp((options.basePort ?? 0) === 0);
  } catch (error) {
    await lab.down();
    throw error;
  }
  return lab;
}

/** The lab that an earlier process left running in `dir` (see {@link Lab.detach}). */
export async function attachLab(dir: string, onStep?: (text: string) => void): Promise<Lab> {
  const place = await realpath(resolve(dir)).catch(() => resolve(dir));
  const state = await readLabState(place);
  return new Lab({
    dir: place,
    state,
    host: hostOf(place, state),
    watchdog: null,
    onStep: onStep ?? (() => undefined),
  });
}

function hostOf(dir: string, state: LabState): ServerHost {
  const { programs } = state;
  return programs.t === 'process'
    ? new ProcessHost(dir, state, programs)
    : new ContainerHost(dir, state, programs);
}

function checkReplicas(replicas: number): number {
  if (Number.isInteger(replicas) && replicas >= 0 && replicas <= MAX_REPLICAS) return replicas;
  throw new LagwiseError('lab', `Replicas are from 0 to ${MAX_REPLICAS}, not ${replicas}`);
}

async function choosePorts(basePort: number, count: number): Promise<number[]> {
  if (basePort === 0) return freePorts(count);
  const ports = Array.from({ length: count }, (_, index) => basePort + index);
  await requireFree(ports);
  return ports;
}

async function makeLabDir(wanted: string | undefined): Promise<string> {
  if (wanted === undefined) return mkdtemp(join(await realpath(tmpdir()), 'lagwise-lab-'));
  const dir = resolve(wanted);
  if (isLabDir(dir)) {
    throw new LagwiseError('lab', `A lab is up in ${dir}: end it with "lagwise lab down" first`);
  }
  await mkdir(dir, { recursive: true });
  if ((await readdir(dir)).length > 0) {
    throw new LagwiseError(
      'lab',
      `${dir} is not empty and not a lab's: the lab deletes its folder at the end, choose another`,
    );
  }
  // Servers are found again by the path in their arguments, which must be the only spelling.
  return realpath(dir);
}

async function makeSocketDir(dir: string): Promise<string> {
  if (Buffer.byteLength(dir) <= MAX_SOCKET_DIR_BYTES) return dir;
  return mkdtemp(join(await realpath(tmpdir()), 'lagwise-sock-'));
}
