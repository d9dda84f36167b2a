import { LagwiseError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { type BackendConnection, LEFT } from '../../pool/backend-connection.ts';
import type { BackendPool } from '../../pool/pool.ts';
import { ServerRefusedError } from '../../pool/server-refused-error.ts';
import { encodeStatementClose } from '../../pool/statement-cache.ts';
import { runSwallowed, type Swallowed } from '../../pool/swallow.ts';
import type { ServerView } from '../../topology/snapshot.ts';
import { encodeQuery } from '../../wire/packets/query.ts';
import { REPLY, type ReplyKind } from '../../wire/reply-kinds.ts';
import { setStatementId } from '../prepared/execute-packet.ts';
import { restorationOf } from '../state/restore.ts';
import { type RowsSum, sumRows } from './staleness-checksum.ts';
import type { StalenessSubject } from './staleness-subject.ts';

const NOTHING = Buffer.alloc(0);
/** A first look takes a connection only where clients could have so many at once. */
const MIN_ROOM_SHARE = 0.25;
const MIN_ROOM = 2;
/**
 * Around two reads of one and the same data. The session's own isolation level may be one without
 * snapshots. Whatever `completion_type` says, COMMIT must end it here.
 */
const BEFORE_TWO = [
  'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ',
  'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY',
];
const AFTER_TWO = 'COMMIT AND NO CHAIN NO RELEASE';

/** Commands of ours, and what each is answered with. */
interface Batch {
  readonly packets: Buffer[];
  readonly kinds: ReplyKind[];
}

/** Runs reads again on the primary, on connections of the account that ran them. */
export class PrimaryLooks {
  private readonly pool: BackendPool;
  private readonly logger: Logger;
  private readonly limits: { readonly maxPerServer: number; readonly timeoutMs: number };
  private readonly stopped: AbortSignal;

  constructor(
    parts: { pool: BackendPool; logger: Logger; stopped: AbortSignal },
    limits: { maxPerServer: number; timeoutMs: number },
  ) {
    this.pool = parts.pool;
    this.logger = parts.logger;
    this.stopped = parts.stopped;
    this.limits = limits;
  }

  /**
   * What the read shows there now. Written before this returns where a connection lies ready.
   * @returns `busy` where clients need the connections themselves; null where it cannot be summed
   * @throws LagwiseError when the primary cannot be asked, refuses, or takes too long
   */
  async once(subject: StalenessSubject, primary: ServerView): Promise<RowsSum | 'busy' | null> {
    const { account, profile } = subject;
    const pool = this.pool.of(primary.id);
    const { maxPerServer } = this.limits;
    const room = maxPerServer - pool.size + pool.idle.size;
    if (room < Math.max(MIN_ROOM, maxPerServer * MIN_ROOM_SHARE)) return 'busy';
    const free = pool.take(account, profile);
    if (free === null && pool.mustWait(account)) return 'busy';
    const connection = free ?? (await this.acquire(subject, primary));
    const [sum] = await this.lookOn(connection, subject, 1);
    return sum ?? null;
  }

  /**
   * What two runs show on one and the same data; waits its turn where the pool is used up.
   * @throws LagwiseError as `once` does, or when no connection becomes free in time
   */
  async twice(
    subject: StalenessSubject,
    primary: ServerView,
  ): Promise<readonly (RowsSum | null)[]> {
    return await this.lookOn(await this.acquire(subject, primary), subject, 2);
  }

  private async acquire(
    { account, profile }: StalenessSubject,
    server: ServerView,
  ): Promise<BackendConnection> {
    return await this.pool.acquire({ server, account, profile, gone: this.stopped, fresh: null });
  }

  private async lookOn(
    connection: BackendConnection,
    subject: StalenessSubject,
    times: 1 | 2,
  ): Promise<readonly (RowsSum | null)[]> {
    try {
      const results = await this.run(connection, subject, times);
      const sums = results.map(({ result }) => sumRows(result, connection.caps));
      connection.profile = subject.profile;
      connection.leftovers |= LEFT.DIAGNOSTICS;
      this.pool.release(connection, 'reuse', performance.now());
      return sums;
    } catch (error) {
      // A refused read leaves who knows what behind; one that was too slow still runs there.
      this.pool.release(connection, 'reset', performance.now());
      const isLate = error instanceof LagwiseError && error.source === 'backend-timeout';
      if (isLate && !this.stopped.aborted) this.kill(connection);
      throw error;
    }
  }

  /** The answers to the read itself. */
  private async run(
    connection: BackendConnection,
    subject: StalenessSubject,
    times: 1 | 2,
  ): Promise<readonly Swallowed[]> {
    const { caps } = connection;
    const restoration = restorationOf(connection.profile, subject.profile, connection);
    connection.profile = null;
    const batch: Batch = { packets: [restoration.bytes], kinds: [] };
    for (let reply = 0; reply < restoration.replies; reply += 1) batch.kinds.push(REPLY.SIMPLE);
    // Without a promise where that can be: what is written at once is of this moment.
    const { packet, close } =
      subject.prepare === null
        ? { packet: subject.bytes, close: NOTHING }
        : await this.prepare(connection, subject.prepare, { batch, execute: subject.bytes });
    const around = times === 2;
    const ask = (text: string) => add(batch, encodeQuery(text, caps), REPLY.SIMPLE);
    if (around) BEFORE_TWO.forEach(ask);
    for (let run = 0; run < times; run += 1) add(batch, packet, REPLY.RESULT);
    if (around) ask(AFTER_TWO);
    // It has no answer.
    batch.packets.push(close);
    const results = await this.send(connection, batch);
    return results.filter((_, index) => batch.kinds[index] === REPLY.RESULT);
  }

  /** Sends what stands in `batch` with the PREPARE; the statement is nobody else's. */
  private async prepare(
    connection: BackendConnection,
    prepare: Buffer,
    { batch, execute }: { batch: Batch; execute: Buffer },
  ): Promise<{ packet: Buffer; close: Buffer }> {
    add(batch, prepare, REPLY.PREPARE);
    const id = (await this.send(connection, batch)).at(-1)?.statementId ?? 0;
    batch.packets.length = 0;
    batch.kinds.length = 0;
    const packet = Buffer.from(execute);
    setStatementId(packet, id);
    return { packet, close: encodeStatementClose(id) };
  }

  private async send(
    connection: BackendConnection,
    { packets, kinds }: Batch,
  ): Promise<readonly Swallowed[]> {
    const { timeoutMs } = this.limits;
    const results = await runSwallowed(connection, Buffer.concat(packets), kinds, timeoutMs);
    const failed = results.find(({ error }) => error !== null)?.error;
    if (failed) throw new ServerRefusedError(connection.server.id, failed);
    return results;
  }

  /** Its socket is closed, which a server at work does not notice. */
  private kill({ server, account, threadId }: BackendConnection): void {
    this.pool.kill(server, account.identity, 'CONNECTION', threadId).catch((error: unknown) => {
      this.logger.debug({ err: error, server: server.id }, 'Could not end a sampled read');
    });
  }
}

function add({ packets, kinds }: Batch, packet: Buffer, kind: ReplyKind): void {
  packets.push(packet);
  kinds.push(kind);
}
