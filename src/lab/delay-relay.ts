import { spawn } from 'node:child_process';
import { createServer, connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { LagwiseError } from '../lib/errors.ts';
import { identify, type ProcessIdentity } from './process-identity.ts';
import type { Source } from './replication-dialect.ts';

/** A small process between a replica and its source that lets the source's packets wait. */
export interface DelayRelay {
  readonly process: ProcessIdentity;
  /** Where the replica connects instead of to its source. */
  readonly port: number;
}

interface RelayTask {
  readonly target: Source;
  readonly delayMs: number;
}

/** The relay's argument that says whose it is; cleaning up finds it by that. */
export const RELAY_ARGUMENT = '--lagwise-relay=';

/** Past so much in waiting the source is not read: the lag grows instead of the memory. */
const MAX_WAITING_BYTES = 32 * 1024 * 1024;
/**
 * A replica that has been silent so long has logged in and is streaming. Delaying each of the login's
 * twenty round trips too would make a lag of half a second cost ten seconds to begin.
 */
const LOGIN_SILENCE_MS = 200;
/** From the moment a replica streams, this much later a relay surely delays what it receives. */
export const RELAY_ENGAGED_MS = LOGIN_SILENCE_MS + 50;

/**
 * Starts a relay as a process of its own, since it must outlive the command that asked for it.
 * `place` is a path below the lab's folder.
 */
export async function startRelay(place: string, task: RelayTask): Promise<DelayRelay> {
  const script = fileURLToPath(import.meta.url);
  const child = spawn(
    process.execPath,
    [script, `${RELAY_ARGUMENT}${place}`, JSON.stringify(task)],
    {
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, NODE_OPTIONS: '' },
    },
  );
  child.unref();
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  // It closes its standard output once it has said where it listens.
  const port = Number(await Promise.race([text(child.stdout), failed]));
  const process_ = child.pid === undefined ? null : identify(child.pid);
  if (process_ !== null && port > 0) return { process: process_, port };
  throw new LagwiseError('lab', 'The relay that delays replication did not start');
}

function relay(replica: Socket, { target, delayMs }: RelayTask): void {
  const source = connect(target);
  const waiting: { readonly dueMs: number; readonly chunk: Buffer | null }[] = [];
  let waitingBytes = 0;
  let spokeAtMs = performance.now();
  let streaming = false;
  let timer: NodeJS.Timeout | null = null;

  const pass = () => {
    timer = null;
    const now = performance.now();
    for (let head = waiting[0]; head !== undefined && head.dueMs <= now; head = waiting[0]) {
      waiting.shift();
      if (head.chunk === null) return void replica.end();
      waitingBytes -= head.chunk.length;
      replica.write(head.chunk);
    }
    if (waitingBytes < MAX_WAITING_BYTES) source.resume();
    const next = waiting[0];
    if (next !== undefined) timer = setTimeout(pass, next.dueMs - now);
  };
  const hold = (chunk: Buffer | null) => {
    const now = performance.now();
    streaming ||= now - spokeAtMs > LOGIN_SILENCE_MS;
    waiting.push({ dueMs: streaming ? now + delayMs : now, chunk });
    waitingBytes += chunk?.length ?? 0;
    if (waitingBytes >= MAX_WAITING_BYTES) source.pause();
    if (timer === null) pass();
  };
  source.on('data', hold);
  // What the source sent before it died is still on its way.
  source.on('close', () => hold(null));
  replica.on('data', (chunk) => {
    spokeAtMs = performance.now();
    source.write(chunk);
  });
  replica.on('close', () => {
    if (timer !== null) clearTimeout(timer);
    source.removeAllListeners('close').destroy();
  });
  // Each end's close follows its error and is what is acted on.
  for (const socket of [source, replica]) socket.setNoDelay(true).on('error', () => undefined);
}

if (import.meta.main) {
  const task: RelayTask = JSON.parse(process.argv[3] ?? '');
  const server = createServer((replica) => relay(replica, task));
  server.listen({ port: 0, host: '127.0.0.1' }, () => {
    const address = server.address();
    process.stdout.end(typeof address === 'object' ? String(address?.port) : '');
  });
}
