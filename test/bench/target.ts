import { connect } from 'node:net';
import type { Lab } from '../../src/lab/lab.ts';

/** What is measured unless said otherwise. */
export const PEERS = ['direct', 'haproxy', 'mysql-router', 'lagwise'] as const;
/** What is measured: `lagwise-before` is another version of Lagwise. */
export const TARGET_NAMES = [...PEERS, 'lagwise-before'] as const;
export type TargetName = (typeof TARGET_NAMES)[number];

/** Something that sysbench can be pointed at. */
export interface Target {
  readonly name: TargetName;
  readonly version: string;
  /** Where workloads without writes connect. */
  readonly readPort: number;
  /** Where workloads with writes connect. */
  readonly writePort: number;
  /** The process between sysbench and the servers; null when there is none. */
  readonly pid: number | null;
  /** How its process ended, in words; null while it runs. */
  ended(): string | null;
  /** The last lines that it wrote; empty when it says nothing. */
  logTail(): Promise<string>;
  stop(): Promise<void>;
}

/** What a target is started with. */
export interface TargetContext {
  readonly lab: Lab;
  /** A folder of its own for settings and logs. */
  readonly dir: string;
  /** Where `lagwise-before` is checked out, its packages installed; null where it takes no part. */
  readonly before: string | null;
  readonly onProgress: (text: string) => void;
}

const GREETING_DEADLINE_MS = 1_000;

/** Whether a MySQL server greets whoever connects to this port. */
export function greets(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host: '127.0.0.1', port });
  socket.setTimeout(GREETING_DEADLINE_MS, () => resolve(false));
  socket.once('error', () => resolve(false));
  socket.once('close', () => resolve(false));
  // Sequence 0 and protocol version 10: the first packet of a server that lets one in.
  socket.once('data', (bytes) => resolve(bytes[3] === 0 && bytes[4] === 10));
  return promise.finally(() => socket.destroy());
}
