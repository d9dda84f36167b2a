import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from '../../src/lab/run.ts';
import { until } from './until.ts';

const HOST = '127.0.0.1';

/** A real `redis-server` of a test's own, on loopback, without persistence. */
export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly #folder: string;
  readonly #command: Command;
  #process: ChildProcess | null = null;

  private constructor(port: number, folder: string, command: Command) {
    this.port = port;
    this.#folder = folder;
    this.#command = command;
  }

  /** Starts one on a free port. @param command how to run `redis-server` */
  static async start(command: Command, args: readonly string[] = []): Promise<RedisServer> {
    const folder = await mkdtemp(join(tmpdir(), 'lagwise-redis-'));
    const withArgs = { ...command, args: [...command.args, ...args] };
    const server = new RedisServer(await freePort(), folder, withArgs);
    await server.up();
    return server;
  }

  get url(): string {
    return `redis://${HOST}:${this.port}`;
  }

  /** Starts it (again), empty, on the same port. */
  async up(): Promise<void> {
    const { file, args, env } = this.#command;
    // The folder is in the arguments so that whoever cleans up can tell whose process it is.
    const own = ['--port', String(this.port), '--bind', HOST, '--dir', `${this.#folder}/`];
    const child = spawn(file, [...args, ...own, '--save', ''], {
      env: { ...process.env, ...env },
      stdio: 'ignore',
    });
    let failure: Error | null = null;
    child.once('error', (error) => {
      failure = new Error('redis-server cannot be started', { cause: error });
    });
    this.#process = child;
    await until('redis-server listens', async () => {
      if (failure !== null) throw failure;
      return listens(this.port);
    });
  }

  /** Ends it at once, as a crash does. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  /** It keeps its connections and answers nothing. */
  pause(): void {
    this.#process?.kill('SIGSTOP');
  }

  resume(): void {
    this.#process?.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, HOST);
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('No port');
  return address.port;
}

function listens(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, HOST);
  socket.once('connect', () => resolve(true));
  socket.once('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}
