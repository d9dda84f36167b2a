import type { BackendConnection } from '../../pool/backend-connection.ts';
import { ServerRefusedError } from '../../pool/server-refused-error.ts';
import { EFFECT } from '../../sql/classification.ts';
import { decodeErr, type ErrPacket } from '../../wire/packets/err.ts';
import { encodeQuery } from '../../wire/packets/query.ts';
import { REPLY } from '../../wire/reply-kinds.ts';
import { readOnlyTransaction } from '../client/client-errors.ts';
import type { Command } from '../command/command.ts';
import { verdictOnError } from './retry-policy.ts';
import type { SessionBackends } from './session-backends.ts';
import type { SessionDeps } from '../session-deps.ts';
import type { StatementJudge } from '../statement/statement-judge.ts';

/** What a server's error means beyond its text: that the command belongs elsewhere, or runs again. */
export class ErrorReplies {
  private readonly deps: SessionDeps;
  private readonly command: Command;
  private readonly backends: SessionBackends;
  private readonly judge: StatementJudge;
  /** A server closed this connection for idleness just as the command was sent. */
  private expired: BackendConnection | null = null;
  /** A write that the primary refused as read-only: it waits for what the next probe says. */
  private refusal: ServerRefusedError | null = null;
  /** A replica with a read-only transaction that the command, which goes to the primary, commits. */
  private ending: BackendConnection | null = null;
  /** What the client is told in place of a server's error. */
  private replacement: ErrPacket | null = null;

  constructor(parts: {
    deps: SessionDeps;
    command: Command;
    backends: SessionBackends;
    judge: StatementJudge;
  }) {
    this.deps = parts.deps;
    this.command = parts.command;
    this.backends = parts.backends;
    this.judge = parts.judge;
  }

  /** The refusal that must be waited out before the command is sent again; null for none. */
  takeRefusal(): ServerRefusedError | null {
    const { refusal } = this;
    this.refusal = null;
    return refusal;
  }

  /**
   * What a server does before a statement that commits by itself, in a read-only transaction too.
   * @returns where the transaction was; null where there is none to be committed
   * @throws ServerRefusedError with the error of the server
   */
  async endTransaction(): Promise<BackendConnection | null> {
    const { ending } = this;
    this.ending = null;
    if (ending === null) return null;
    const query = encodeQuery('COMMIT AND NO CHAIN NO RELEASE', ending.caps);
    const [done] = await this.backends.swallow(ending, query, [REPLY.SIMPLE]);
    if (done?.error) throw new ServerRefusedError(ending.server.id, done.error);
    return ending;
  }

  /** What the client is told instead of the error that was kept from it; null: run it again. */
  takeReplacement(): ErrPacket | null {
    const { replacement } = this;
    this.replacement = null;
    return replacement;
  }

  /** Lets go of a connection that its server has closed. */
  dropExpired(): void {
    if (this.expired !== null) this.backends.release(this.expired, 'discard');
    this.expired = null;
  }

  /**
   * The server that was taken for the primary says that it is read-only, or its commits do not end:
   * what the probes say next is waited for, and if it is the primary still, the client is told.
   */
  noteDemoted({ server }: BackendConnection): void {
    this.deps.topology.suspect();
    this.command.attempts += 1;
    const message = `lagwise: Server ${server.id} is read-only or its commits do not end, and no other is known to be the primary: try again`;
    this.refusal = new ServerRefusedError(server.id, { code: 1290, sqlState: 'HY000', message });
  }

  /** Whether the error is kept from the client. */
  keeps(connection: BackendConnection, error: Buffer): boolean {
    const { command, deps } = this;
    const onReplica = connection === this.backends.replicaConnection;
    const verdict = verdictOnError(command, error, onReplica);
    if (verdict === 'pass') return false;
    // The primary is not to carry the reads of a replica that fails.
    if (verdict === 'server-fault' && deps.config.routing.fallback === 'error') return false;
    if (verdict === 'not-run' || verdict === 'not-prepared' || verdict === 'too-many-statements') {
      this.repair(connection, verdict);
      return true;
    }
    if (verdict === 'read-only-transaction') {
      if ((command.effects & EFFECT.IMPLICIT_COMMIT) !== 0) {
        this.ending = connection;
        this.leave(connection);
        return true;
      }
      // The primary would have said it so: that this is a replica is not the client's matter.
      this.replacement = readOnlyTransaction(connection.flavor);
      return true;
    }
    if (verdict === 'demoted') {
      if (deps.config.failover.holdMs === 0) return false;
      deps.topology.suspect();
      this.refusal = new ServerRefusedError(connection.server.id, decodeErr(error));
      command.attempts += 1;
    } else {
      if (verdict === 'read-only') {
        connection.statements.misroutes += 1;
        // From now on it counts as what it is: it is not repeated, and reads wait for it.
        command.cls = 'write';
        command.effects |= EFFECT.OPAQUE;
        command.misrouted = true;
      }
      if (verdict === 'server-fault') connection.load.faults += 1;
      else this.judge.learn(command, verdict);
      deps.metrics.statements.fallbacks.inc(verdict);
    }
    this.leave(connection);
    return true;
  }

  /** The command goes to the primary, and nobody is told of the error here. */
  private leave(connection: BackendConnection): void {
    this.command.target = 'primary';
    // It would stay there until somebody's statement reads a table, and be shown to them.
    if (connection.flavor === 'mariadb') connection.tainted = true;
  }

  /** The server has not run the command, for a reason that the client need not know. */
  private repair(
    connection: BackendConnection,
    verdict: 'not-run' | 'not-prepared' | 'too-many-statements',
  ): void {
    const { command } = this;
    command.attempts += 1;
    if (verdict === 'not-run') this.expired = connection;
    else if (verdict === 'too-many-statements') this.deps.pool.lowerStatementLimit(connection);
    else if (command.statement !== null) connection.prepared.remove(command.statement.shape);
  }
}
