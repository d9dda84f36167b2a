import type { Source } from './replication-dialect.ts';
import type { RootAccess } from './root-connection.ts';
import type { ServerRecord } from './lab-state.ts';

/** Whether a server can be spoken to. A paused one has its memory and sockets but does not run. */
export type RunState = 'running' | 'paused' | 'stopped';

/**
 * What servers run in: processes or containers. Changes of a record are the caller's to save.
 */
export interface ServerHost {
  /** Lays down a new data folder with nothing in its history. */
  createData(server: ServerRecord): Promise<void>;
  /** Starts the server on its data; it is up when it answers. */
  launch(server: ServerRecord): Promise<void>;
  state(server: ServerRecord): Promise<RunState>;
  /** Ends it at once (`kill`) or in order (`stop`), and waits until it has ended. */
  end(server: ServerRecord, how: 'kill' | 'stop'): Promise<void>;
  pause(server: ServerRecord): Promise<void>;
  resume(server: ServerRecord): Promise<void>;
  /** Null when it does not run, or runs where this machine's process numbers do not count. */
  pid(server: ServerRecord): number | null;
  rootAccess(server: ServerRecord): RootAccess;
  /** Where another server of the lab reaches this one. */
  source(server: ServerRecord): Source;
  /**
   * Where `follower` reaches `source` with everything arriving `delayMs` late, in place of any
   * earlier detour.
   */
  detour(follower: ServerRecord, source: ServerRecord, delayMs: number): Promise<Source>;
  /** Ends the detour of a server, if it has one. */
  endDetour(follower: ServerRecord): void;
  /** Paths on this machine, null where they are inside a container. */
  paths(server: ServerRecord): { readonly dataDir: string; readonly socketPath: string } | null;
  /** The last lines of the server's log, for an error about it. */
  logTail(server: ServerRecord): Promise<string>;
  /** Ends all servers and removes all that belongs to the lab. */
  remove(): Promise<void>;
}
