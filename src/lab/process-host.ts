import { spawn } from 'node:child_process';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LagwiseError } from '../lib/errors.ts';
import { startRelay } from './delay-relay.ts';
import type { LabState, ServerRecord } from './lab-state.ts';
import {
  identify,
  isAlive,
  isPaused,
  type ProcessIdentity,
  signalProcess,
} from './process-identity.ts';
import type { Programs } from './programs.ts';
import type { Source } from './replication-dialect.ts';
import type { RunState, ServerHost } from './server-host.ts';
import { serverOptions } from './server-options.ts';
import { copyTemplate } from './template.ts';
import { removeLab } from './watchdog.ts';

const LOOPBACK = '127.0.0.1';
const KILL_DEADLINE_MS = 10_000;
/** A server in order writes its dirty pages first. */
const STOP_DEADLINE_MS = 60_000;
const PAUSE_DEADLINE_MS = 5_000;
const POLL_MS = 10;
const TAIL_LINES = 5;

type ProcessPrograms = Extract<Programs, { t: 'process' }>;

/** Servers as processes of this machine, below the lab's folder. */
export class ProcessHost implements ServerHost {
  readonly #dir: string;
  readonly #state: LabState;
  readonly #programs: ProcessPrograms;

  constructor(dir: string, state: LabState, programs: ProcessPrograms) {
    this.#dir = dir;
    this.#state = state;
    this.#programs = programs;
  }

  async createData(server: ServerRecord): Promise<void> {
    const { dataDir } = this.paths(server);
    await rm(dataDir, { recursive: true, force: true });
    await mkdir(join(this.#dir, server.id), { recursive: true });
    await copyTemplate(this.#programs.templateDir, dataDir);
  }

  async launch(server: ServerRecord): Promise<void> {
    if (server.process !== null && isAlive(server.process)) {
      throw new LagwiseError('lab', `${server.id} runs already`);
    }
    await this.#removeRemains(server);
    const { server: program, flavor } = this.#programs;
    const place = this.#place(server);
    await mkdir(place.tmpDir, { recursive: true });
    const options = serverOptions(flavor, place, this.#state.semiSync);
    const output = await open(join(this.#dir, server.id, 'output.log'), 'a');
    try {
      const child = spawn(
        program.file,
        [...program.args, ...options, ...this.#state.serverOptions],
        // A session of its own: Ctrl-C in the terminal is for us to answer, in order.
        { detached: true, stdio: ['ignore', output.fd, output.fd], env: processEnv(program.env) },
      );
      server.process = await started(child, server.id);
    } finally {
      await output.close();
    }
  }

  /**
   * A killed server leaves its socket with a lock file beside it. The next one asks whether the
   * process in the lock file lives, and takes a zombie that nobody has reaped for a living one.
   */
  async #removeRemains(server: ServerRecord): Promise<void> {
    const { socketPath } = this.paths(server);
    for (const path of [socketPath, `${socketPath}.lock`]) await rm(path, { force: true });
  }

  async state(server: ServerRecord): Promise<RunState> {
    if (server.process === null || !isAlive(server.process)) return 'stopped';
    return isPaused(server.process) ? 'paused' : 'running';
  }

  async end(server: ServerRecord, how: 'kill' | 'stop'): Promise<void> {
    const { process: running } = server;
    if (running === null) return;
    signalProcess(running, how === 'kill' ? 'SIGKILL' : 'SIGTERM');
    // A paused process acts on SIGTERM only when it goes on.
    if (how === 'stop') signalProcess(running, 'SIGCONT');
    const deadlineMs = how === 'kill' ? KILL_DEADLINE_MS : STOP_DEADLINE_MS;
    await until(() => !isAlive(running), deadlineMs, `${server.id} (pid ${running.pid}) to end`);
  }

  async pause(server: ServerRecord): Promise<void> {
    const running = requireRunning(server);
    signalProcess(running, 'SIGSTOP');
    await until(() => isPaused(running), PAUSE_DEADLINE_MS, `${server.id} to pause`);
  }

  async resume(server: ServerRecord): Promise<void> {
    const running = requireRunning(server);
    signalProcess(running, 'SIGCONT');
    await until(() => !isPaused(running), PAUSE_DEADLINE_MS, `${server.id} to go on`);
  }

  pid(server: ServerRecord): number | null {
    return server.process !== null && isAlive(server.process) ? server.process.pid : null;
  }

  rootAccess(server: ServerRecord) {
    return { socketPath: this.paths(server).socketPath };
  }

  source(server: ServerRecord) {
    return { host: LOOPBACK, port: server.port };
  }

  async detour(follower: ServerRecord, source: ServerRecord, delayMs: number): Promise<Source> {
    this.endDetour(follower);
    const target = this.source(source);
    const { process, port } = await startRelay(join(this.#dir, follower.id), { target, delayMs });
    follower.relay = process;
    return { host: LOOPBACK, port };
  }

  endDetour(follower: ServerRecord): void {
    if (follower.relay !== null) signalProcess(follower.relay, 'SIGKILL');
    follower.relay = null;
  }

  paths(server: ServerRecord) {
    return {
      dataDir: join(this.#dir, server.id, 'data'),
      socketPath: join(this.#state.socketDir, `${server.id}.sock`),
    };
  }

  async logTail(server: ServerRecord): Promise<string> {
    const text = await readFile(this.#place(server).logPath, 'utf8').catch(() => '');
    return text.trim().split('\n').slice(-TAIL_LINES).join('\n');
  }

  remove(): Promise<void> {
    return removeLab(this.#dir, this.#state.socketDir);
  }

  #place(server: ServerRecord) {
    return {
      serverNumber: server.serverNumber,
      port: server.port,
      bindAddress: LOOPBACK,
      reportHost: LOOPBACK,
      reportPort: server.port,
      ...this.paths(server),
      pidPath: join(this.#dir, server.id, 'mysqld.pid'),
      logPath: join(this.#dir, server.id, 'error.log'),
      tmpDir: join(this.#dir, server.id, 'tmp'),
    };
  }
}

function requireRunning(server: ServerRecord): ProcessIdentity {
  if (server.process !== null && isAlive(server.process)) return server.process;
  throw new LagwiseError('lab', `${server.id} does not run: start it first`);
}

async function until(reached: () => boolean, deadlineMs: number, what: string): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!reached()) {
    if (Date.now() > deadline) {
      throw new LagwiseError('lab', `Waited ${deadlineMs} ms in vain for ${what}`);
    }
    await sleep(POLL_MS);
  }
}

function processEnv(own: Readonly<Record<string, string>> | undefined): NodeJS.ProcessEnv {
  return { ...process.env, ...own };
}

function started(child: ReturnType<typeof spawn>, id: string): Promise<ProcessIdentity> {
  const { promise, resolve, reject } = Promise.withResolvers<ProcessIdentity>();
  child.once('error', (error) => {
    reject(new LagwiseError('lab', `${id} could not be started: ${error.message}`));
  });
  child.once('spawn', () => {
    child.unref();
    const identity = child.pid === undefined ? null : identify(child.pid);
    if (identity === null) reject(new LagwiseError('lab', `${id} ended as soon as it was started`));
    else resolve(identity);
  });
  return promise;
}
