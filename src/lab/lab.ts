import { setTimeout as sleep } from 'node:timers/promises';
import type { Flavor } from '../topology/snapshot.ts';
import { LagwiseError, messageOf } from '../lib/errors.ts';
import { LAB_ACCOUNTS } from './accounts.ts';
import { RELAY_ENGAGED_MS } from './delay-relay.ts';
import { type LabState, type ServerRecord, writeLabState } from './lab-state.ts';
import { clientPath } from './client-script.ts';
import { launch, launchNew } from './launch.ts';
import { promote } from './promotion.ts';
import { replicationDialect, waitThreadsRun } from './replication.ts';
import type { ReplicationDialect } from './replication-dialect.ts';
import { type Query, type Row, withRoot } from './root-connection.ts';
import type { RunState, ServerHost } from './server-host.ts';
import type { Watchdog } from './watchdog.ts';

/** One server of a lab at the moment it was asked for. */
export interface LabServer {
  /** `db1`, `db2`, … */
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /** What the lab has made of it; a test that changes roles by SQL is on its own. */
  readonly role: 'primary' | 'replica';
  /** Null when it does not run, or runs in a container. */
  readonly pid: number | null;
  /** Null when it runs in a container. */
  readonly socketPath: string | null;
  readonly dataDir: string | null;
}

/** How a server is, as it says itself; fields are null where it does not run. */
export interface LabServerStatus extends LabServer {
  readonly state: RunState;
  readonly readOnly: boolean | null;
  /** Null also for a server that follows nobody. */
  readonly sourcePort: number | null;
  readonly receiver: string | null;
  readonly applier: string | null;
  /** The receiver has logged in at the source and receives. */
  readonly streaming: boolean | null;
  readonly position: string | null;
  readonly error: string | null;
}

/** What a lab is made from. */
export interface LabParts {
  readonly dir: string;
  readonly state: LabState;
  readonly host: ServerHost;
  /** Null when the lab outlives this process. */
  readonly watchdog: Watchdog | null;
  readonly onStep: (text: string) => void;
}

const THREADS_DEADLINE_MS = 20_000;
const REPLICATED_DEADLINE_MS = 30_000;
/** SOURCE_DELAY's own limit is in years; past a day it is a typing error. */
const MAX_LAG_MS = 86_400_000;

/** A running cluster of real servers with one primary. Made by `startLab` or `attachLab`. */
export class Lab implements AsyncDisposable {
  readonly dir: string;
  readonly flavor: Flavor;
  readonly version: string;
  /** Where the programs come from, for people. */
  readonly origin: string;
  readonly accounts = LAB_ACCOUNTS;
  /** A command line client to start by this path; null where none came with the server. */
  readonly clientPath: string | null;
  readonly #state: LabState;
  readonly #host: ServerHost;
  readonly #dialect: ReplicationDialect;
  readonly #say: (text: string) => void;
  #watchdog: Watchdog | null;
  #removed = false;

  constructor(parts: LabParts) {
    const { flavor, version, origin } = parts.state.programs;
    this.dir = parts.dir;
    this.flavor = flavor;
    this.version = version;
    this.origin = origin;
    this.clientPath = clientPath(parts.dir, parts.state);
    this.#state = parts.state;
    this.#host = parts.host;
    this.#dialect = replicationDialect(flavor);
    this.#watchdog = parts.watchdog;
    this.#say = parts.onStep;
  }

  /** The servers as they are now, db1 first. */
  get servers(): readonly LabServer[] {
    return this.#state.servers.map((server) => this.#view(server));
  }

  /** The server that the lab holds for the primary, whether it runs or not. */
  get primary(): LabServer {
    return this.server(this.#state.primary);
  }

  /** The server `id`; throws, with the ids there are, when there is none. */
  server(id: string): LabServer {
    return this.#view(this.#record(id));
  }

  /**
   * Starts all servers on new data and sets up replication. For `startLab`.
   * @param anyPort whether a server may take another port where somebody else has taken its own
   */
  async bringUp(anyPort: boolean): Promise<void> {
    const { servers } = this.#state;
    this.#say(`Starting ${servers.map(({ id, port }) => `${id} on port ${port}`).join(', ')}`);
    await Promise.all(
      servers.map((server) => launchNew(server, this.#host, { anyPort, say: this.#say })),
    );
    this.#save();
    const [primary, ...replicas] = servers;
    if (primary === undefined) throw new LagwiseError('internal', 'A lab has at least one server');
    await this.#open(primary);
    this.#say(`${primary.id} is the primary: writable, binary log on`);
    await Promise.all(replicas.map((server) => this.#follow(server)));
  }

  /** SIGKILL, as if the machine had lost the process. Returns when it has ended. */
  async kill(id: string): Promise<void> {
    await this.#host.end(this.#record(id), 'kill');
    this.#say(`${id} was killed`);
  }

  /** Shuts a server down in order. */
  async stop(id: string): Promise<void> {
    const server = this.#record(id);
    if ((await this.#host.state(server)) === 'running') {
      await this.#root(server, (query) => this.#dialect.releaseReplicas(query));
    }
    await this.#host.end(server, 'stop');
    this.#say(`${id} was shut down`);
  }

  /**
   * Starts a server that was killed or stopped. The lab's primary becomes writable again; any other
   * server follows the present primary, and is laid down anew when its history has transactions
   * that the primary lacks. With `rejoin: false` it only starts, read-only, as it was.
   */
  async start(id: string, options: { readonly rejoin?: boolean } = {}): Promise<void> {
    const server = this.#record(id);
    await launch(server, this.#host);
    this.#save();
    this.#say(`${id} runs on port ${server.port}`);
    if (options.rejoin === false) return;
    if (id === this.#state.primary) {
      await this.#open(server);
      return;
    }
    const primary = this.#record(this.#state.primary);
    if ((await this.#host.state(primary)) !== 'running') {
      this.#say(`${id} follows nobody new: the primary ${primary.id} does not run`);
      return;
    }
    await this.#rejoin(server, primary);
  }

  async #rejoin(server: ServerRecord, primary: ServerRecord): Promise<void> {
    const history = await this.#root(server, (query) => this.#dialect.history(query));
    const errant = await this.#root(primary, (query) => this.#dialect.missing(query, history));
    if (errant !== '') {
      this.#say(
        `${server.id} has transactions that ${primary.id} lacks (${errant}): laid down anew`,
      );
      await this.#host.end(server, 'kill');
      // A replica skips what carries its own number, and an empty one needs all it once wrote.
      server.serverNumber = 1 + Math.max(...this.#state.servers.map((each) => each.serverNumber));
      await this.#host.createData(server);
      await launch(server, this.#host);
      this.#save();
    }
    await this.#follow(server);
  }

  /** SIGSTOP: connections stay open and nothing answers, as with a machine that hangs. */
  async pause(id: string): Promise<void> {
    await this.#host.pause(this.#record(id));
    this.#say(`${id} is paused`);
  }

  /** Lets a paused server go on, with the role and read-only flag that it had. */
  async resume(id: string): Promise<void> {
    await this.#host.resume(this.#record(id));
    this.#say(`${id} goes on`);
  }

  /**
   * Makes a replica show each transaction at least `lagMs` after its commit on the primary; 0 ends
   * it, and so does any change of what the replica follows. Whole seconds are the replica's
   * SOURCE_DELAY, the rest a delay on the way from its source: docs/lab.md says how they differ.
   * With `onTheWay` all of it is.
   */
  async setLag(
    id: string,
    lagMs: number,
    options: { readonly onTheWay?: boolean } = {},
  ): Promise<void> {
    if (!Number.isFinite(lagMs) || lagMs < 0 || lagMs > MAX_LAG_MS) {
      throw new LagwiseError('lab', `A lag is from 0 to ${MAX_LAG_MS} ms, not ${lagMs}`);
    }
    if (id === this.#state.primary) {
      throw new LagwiseError('lab', `${id} is the primary: only a replica can lag`);
    }
    await this.#connect(this.#record(id), lagMs, options.onTheWay === true);
    this.#save();
    this.#say(lagMs === 0 ? `${id} lags no more` : `${id} lags by ${lagMs} ms`);
  }

  /**
   * Makes a replica the primary: the old one, if it runs, becomes read-only and is waited for; what
   * other replicas have received beyond the new one is fetched from them; then the new one opens and
   * all that run follow it. A paused old primary cannot be fenced: resumed, it is writable.
   */
  async promote(id: string): Promise<void> {
    await promote({
      candidate: this.#record(id),
      state: this.#state,
      host: this.#host,
      dialect: this.#dialect,
      say: this.#say,
      root: (server, work) => this.#root(server, work),
      follow: (server) => this.#follow(server),
      open: (server) => this.#open(server),
      save: () => this.#save(),
    });
  }

  /** Runs one statement as root, who may write even where others may not. */
  rootQuery(id: string, sql: string): Promise<Row[]> {
    return this.#root(this.#record(id), (query) => query(sql));
  }

  /** Waits until every running replica has executed all that the primary has. */
  async waitReplicated(deadlineMs = REPLICATED_DEADLINE_MS): Promise<void> {
    const primary = this.#record(this.#state.primary);
    const position = await this.#root(primary, (query) => this.#dialect.position(query));
    await Promise.all(
      this.#state.servers.map(async (server) => {
        if (server === primary || (await this.#host.state(server)) !== 'running') return;
        const level = await this.#root(server, (query) =>
          this.#dialect.waitFor(query, position, deadlineMs),
        );
        if (!level) {
          throw new LagwiseError(
            'lab',
            `${server.id} did not reach ${position} in ${deadlineMs} ms`,
          );
        }
      }),
    );
  }

  /** How every server is, asked of the servers themselves. */
  status(): Promise<LabServerStatus[]> {
    return Promise.all(this.#state.servers.map((server) => this.#statusOf(server)));
  }

  /** Ends all servers and deletes the folder. Does nothing the second time. */
  async down(): Promise<void> {
    if (this.#removed) return;
    this.#removed = true;
    await this.#host.remove();
    await this.#watchdog?.clean();
  }

  /** Lets the lab outlive this process; `attachLab` finds it by its folder. */
  async detach(): Promise<void> {
    await this.#watchdog?.release();
    this.#watchdog = null;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.down();
  }

  #record(id: string): ServerRecord {
    const found = this.#state.servers.find((server) => server.id === id);
    if (found !== undefined) return found;
    const known = this.#state.servers.map((server) => server.id).join(', ');
    throw new LagwiseError('lab', `There is no server ${id}: the lab has ${known}`);
  }

  #view(server: ServerRecord): LabServer {
    const paths = this.#host.paths(server);
    return {
      id: server.id,
      host: '127.0.0.1',
      port: server.port,
      role: server.id === this.#state.primary ? 'primary' : 'replica',
      pid: this.#host.pid(server),
      socketPath: paths?.socketPath ?? null,
      dataDir: paths?.dataDir ?? null,
    };
  }

  /** Lets a server take writes as the primary. */
  async #open(server: ServerRecord): Promise<void> {
    await this.#root(server, async (query) => {
      if (this.#state.semiSync) await this.#dialect.setSemiSyncSource(query, true);
      await this.#dialect.setReadOnly(query, false);
    });
  }

  async #follow(server: ServerRecord): Promise<void> {
    await this.#root(server, async (query) => {
      await this.#dialect.setReadOnly(query, true);
      if (this.#state.semiSync) await this.#dialect.setSemiSyncSource(query, false);
    });
    await this.#connect(server, 0);
    this.#say(`${server.id} follows ${this.#state.primary} by GTID, both threads run`);
  }

  async #connect(server: ServerRecord, lagMs: number, onTheWay = false): Promise<void> {
    const primary = this.#record(this.#state.primary);
    const delayS = onTheWay ? 0 : Math.floor(lagMs / 1000);
    const restMs = lagMs - delayS * 1000;
    if (restMs === 0) this.#host.endDetour(server);
    const source =
      restMs === 0 ? this.#host.source(primary) : await this.#host.detour(server, primary, restMs);
    await this.#root(server, async (query) => {
      await this.#dialect.follow(query, source, delayS);
      await waitThreadsRun(this.#dialect, query, THREADS_DEADLINE_MS);
    });
    if (restMs > 0) await sleep(RELAY_ENGAGED_MS);
  }

  async #statusOf(server: ServerRecord): Promise<LabServerStatus> {
    const state = await this.#host.state(server);
    const silent = {
      readOnly: null,
      sourcePort: null,
      receiver: null,
      applier: null,
      streaming: null,
    };
    const base = { ...this.#view(server), state, ...silent, position: null, error: null };
    if (state !== 'running') return base;
    try {
      return await this.#root(server, async (query) => {
        const [row] = await query('SELECT @@global.read_only AS readOnly');
        const threads = await this.#dialect.threads(query);
        const position = await this.#dialect.position(query);
        return { ...base, readOnly: Number(row?.['readOnly']) === 1, position, ...threads };
      });
    } catch (error) {
      // It died or hangs since the look at its process: that is its status, not a failure to get it.
      return { ...base, error: messageOf(error) };
    }
  }

  #root<T>(server: ServerRecord, work: (query: Query) => Promise<T>): Promise<T> {
    return withRoot(this.#host.rootAccess(server), work);
  }

  #save(): void {
    writeLabState(this.dir, this.#state);
  }
}
