import { LagwiseError } from '../lib/errors.ts';
import type { BackendConnection, BackendUser } from './backend-connection.ts';
import { decodeErr, type ErrPacket } from '../wire/packets/err.ts';
import { decodeOk } from '../wire/packets/ok.ts';
import { REPLY, type ReplyKind, STEP } from '../wire/reply-kinds.ts';
import { ReplyTracker } from '../wire/reply-tracker.ts';
import { HEADER_BYTES } from '../wire/writer.ts';

/** The outcome of a command whose reply no client sees. */
export interface Swallowed {
  /** The server's error, null if it succeeded. */
  readonly error: ErrPacket | null;
  /** Of a PREPARE. */
  readonly statementId: number;
  /** Session state that came with it, null for none. */
  readonly sessionState: Buffer | null;
  /** Of a result set, all of its packets; empty for other replies, and where it is `tooLong`. */
  readonly result: Buffer;
  readonly tooLong: boolean;
}

/** The proxy asks for single values and warnings: of these servers list 1024 unless told otherwise. */
const MAX_RESULT_BYTES = 256 * 1024;

/**
 * Sends commands of the proxy's own (state to restore, a statement to prepare) on a session's
 * connection and takes their replies.
 * @param kinds the kind of each reply, in order
 * @throws LagwiseError when the server is lost or late
 */
export async function runSwallowed(
  connection: BackendConnection,
  bytes: Buffer,
  kinds: readonly ReplyKind[],
  timeoutMs: number,
): Promise<readonly Swallowed[]> {
  const run = new SwallowRun(connection, kinds, timeoutMs);
  connection.setUser(run);
  connection.busy = true;
  connection.load.inFlight += 1;
  connection.stream.write(bytes);
  return await run.promise;
}

class SwallowRun implements BackendUser {
  readonly promise: Promise<readonly Swallowed[]>;
  private readonly resolve: (results: readonly Swallowed[]) => void;
  private readonly reject: (error: LagwiseError) => void;
  private readonly tracker = new ReplyTracker();
  private readonly results: Swallowed[] = [];
  private readonly timer: NodeJS.Timeout;
  private readonly connection: BackendConnection;
  private readonly kinds: readonly ReplyKind[];
  private sessionState: Buffer | null = null;
  private result: Buffer[] = [];
  private resultBytes = 0;

  constructor(connection: BackendConnection, kinds: readonly ReplyKind[], timeoutMs: number) {
    this.connection = connection;
    this.kinds = kinds;
    const { promise, resolve, reject } = Promise.withResolvers<readonly Swallowed[]>();
    this.promise = promise;
    this.resolve = resolve;
    this.reject = reject;
    this.timer = setTimeout(() => {
      this.fail('backend-timeout', `did not answer within ${timeoutMs} ms`);
    }, timeoutMs);
    this.next();
  }

  onBackendBytes(_connection: BackendConnection, chunk: Buffer): void {
    try {
      this.advance(chunk);
    } catch (error) {
      this.fail('backend-protocol', 'sent a malformed reply', error);
    }
  }

  onBackendDrain(): void {}

  onBackendClose(_connection: BackendConnection, error: Error | null): void {
    this.fail('backend-network', 'closed the connection', error);
  }

  private advance(chunk: Buffer): void {
    let from = 0;
    while (this.results.length < this.kinds.length) {
      const step = this.tracker.advance(chunk, from);
      if (step === STEP.HELD && this.tracker.heldHasState) {
        const payload = this.tracker.held.subarray(HEADER_BYTES);
        this.sessionState = decodeOk(payload, this.connection.caps).sessionState;
      }
      this.keepResult(chunk.subarray(from, this.tracker.forwardTo));
      // A packet that was cut by the network comes whole behind it.
      if (step === STEP.HELD) this.keepResult(this.tracker.held);
      from = this.tracker.position;
      if (step === STEP.MORE) return;
      if (step === STEP.DONE) {
        const isLast = this.results.length + 1 === this.kinds.length;
        // A server that goes on speaking says that it closes: nothing of the client's was sent yet.
        if (isLast && from < chunk.length) {
          this.onBackendClose(this.connection, null);
          return;
        }
        this.finishOne();
      }
      if (step === STEP.FILE) throw new LagwiseError('backend-protocol', 'Unexpected file request');
    }
  }

  private keepResult(bytes: Buffer): void {
    if (this.kinds[this.results.length] !== REPLY.RESULT) return;
    this.resultBytes += bytes.length;
    if (this.resultBytes > MAX_RESULT_BYTES) {
      this.result = [];
      return;
    }
    // A copy: the chunk's memory is used again for the next read.
    this.result.push(Buffer.from(bytes));
  }

  private finishOne(): void {
    const { sessionState } = this;
    const result = Buffer.concat(this.result);
    const tooLong = this.resultBytes > MAX_RESULT_BYTES;
    this.result = [];
    this.resultBytes = 0;
    const { error: packet } = this.tracker.facts;
    const error = packet === null ? null : decodeErr(packet);
    const { statementId } = this.tracker;
    this.results.push({ error, sessionState, result, tooLong, statementId });
    this.sessionState = null;
    if (this.results.length < this.kinds.length) {
      this.next();
      return;
    }
    clearTimeout(this.timer);
    this.connection.setUser(null);
    this.connection.busy = false;
    this.connection.load.inFlight -= 1;
    this.resolve(this.results);
  }

  private next(): void {
    const kind = this.kinds[this.results.length] ?? REPLY.SIMPLE;
    this.tracker.begin(kind, this.connection.caps, true);
  }

  private fail(
    source: 'backend-timeout' | 'backend-protocol' | 'backend-network',
    what: string,
    cause?: unknown,
  ): void {
    clearTimeout(this.timer);
    this.connection.destroy();
    this.reject(new LagwiseError(source, `Server ${this.connection.server.id} ${what}`, { cause }));
  }
}
