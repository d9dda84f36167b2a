import type { ServerId } from '../../src/lib/ids.ts';
import { serverId } from '../../src/lib/ids.ts';
import type { BackendConnection } from '../../src/pool/backend-connection.ts';
import type { BackendPool, Fate } from '../../src/pool/pool.ts';
import type { Wish } from '../../src/pool/pool-waiter.ts';
import { ServerLoad } from '../../src/pool/server-load.ts';
import { type PoolLimits, ServerPool } from '../../src/pool/server-pool.ts';
import { Framer } from '../../src/wire/framer.ts';
import { COM } from '../../src/wire/command.ts';
import { encodeOk } from '../../src/wire/packets/ok.ts';
import { STATUS } from '../../src/wire/status.ts';
import { fakeBackend } from './fake-backend.ts';
import type { FakeStream } from './fake-stream.ts';
import { NEW_CAPS } from './replies.ts';

/** Bounds that no test meets by chance. */
export const WIDE: PoolLimits = {
  maxPerServer: 100,
  maxPerAccount: 0,
  minIdle: 0,
  idleMs: 60_000,
  maxAgeMs: 0,
  waitMs: 5_000,
  keepMs: 1_000,
};

const OK = encodeOk({ status: STATUS.AUTOCOMMIT }, 1, { caps: NEW_CAPS });
const WITHOUT_ANSWER: ReadonlySet<number> = new Set([COM.QUIT, COM.STMT_CLOSE]);

/** A connection that a {@link FakePool} opened. */
export interface Opened {
  readonly connection: BackendConnection;
  readonly stream: FakeStream;
}

/**
 * Real pools of servers that are nobody: each answers OK to every command, at once, unless told
 * otherwise.
 */
export class FakePool {
  readonly limits: PoolLimits;
  readonly opened: Opened[] = [];
  readonly resting = new Map<ServerId, string>();
  /** Why servers cannot be reached, by id. */
  readonly failing = new Map<string, unknown>();
  /** What servers say in place of OK, by id. */
  readonly answers = new Map<string, Buffer | 'silence'>();
  /** What was given back, and how. */
  readonly released: [string, Fate][] = [];
  readonly #servers = new Map<ServerId, ServerPool>();

  constructor(limits: Partial<PoolLimits> = {}) {
    this.limits = { ...WIDE, ...limits };
  }

  /** As what takes a pool takes it. */
  get asPool(): BackendPool {
    return this as unknown as BackendPool;
  }

  of(id: ServerId): ServerPool {
    let pool = this.#servers.get(id);
    if (pool === undefined) {
      pool = new ServerPool(new ServerLoad(id), this.limits, (wish, home) =>
        this.#open(wish, home),
      );
      this.#servers.set(id, pool);
    }
    return pool;
  }

  loadOf(id: ServerId | string): ServerLoad {
    return this.of(serverId(id)).load;
  }

  async acquire(wish: Wish): Promise<BackendConnection> {
    return await this.of(wish.server.id).acquire(wish);
  }

  release(connection: BackendConnection, fate: Fate, nowMs: number): void {
    if (connection.isClosed) return;
    this.released.push([connection.server.id, fate]);
    if (fate === 'reuse') this.of(connection.server.id).giveBack(connection, nowMs);
    else connection.destroy();
  }

  makeRoomForStatement(): void {}

  lowerStatementLimit(): void {}

  /** Servers that a connection was opened to, in order. */
  get servers(): string[] {
    return this.opened.map(({ connection }) => connection.server.id);
  }

  /** The connection that was opened as number `index`. */
  at(index: number): Opened {
    const found = this.opened[index];
    if (found === undefined) throw new Error(`No connection ${index} was opened`);
    return found;
  }

  /** Command byte and text of each packet that a connection was sent. */
  sent(index: number): string[] {
    return commandsIn(this.at(index).stream.bytes);
  }

  close(): void {
    for (const { connection } of this.opened) connection.destroy();
  }

  async #open(wish: Wish, home: ServerPool): Promise<BackendConnection> {
    await Promise.resolve();
    const { server, account } = wish;
    const failure = this.failing.get(server.id);
    if (failure !== undefined) throw failure;
    const { load, budget } = home;
    const bornMs = performance.now();
    const made = fakeBackend({ server, account, load, budget, home, bornMs });
    const { connection, stream } = made;
    const write = stream.write.bind(stream);
    stream.write = (bytes) => {
      for (const command of commandsIn(bytes)) {
        if (WITHOUT_ANSWER.has(Number.parseInt(command, 10))) continue;
        const answer = this.answers.get(server.id) ?? OK;
        if (answer !== 'silence') queueMicrotask(() => stream.sink?.onBytes(Buffer.from(answer)));
      }
      return write(bytes);
    };
    this.opened.push({ connection, stream });
    home.opened(connection);
    return connection;
  }
}

/** Command byte and text of each packet. */
export function commandsIn(bytes: Buffer): string[] {
  const framer = new Framer(1 << 20);
  framer.push(bytes);
  const packets: string[] = [];
  for (let next = framer.next(); next !== null; next = framer.next()) {
    packets.push(`${next.payload[0]} ${next.payload.toString('utf8', 1)}`);
  }
  return packets;
}
