import { LagwiseError } from '../lib/errors.ts';
import { sourceOf } from '../lib/error-policy.ts';
import type { ConnId } from '../lib/ids.ts';
import type { Logger } from '../lib/logger.ts';
import type { ByteStream } from '../net/byte-stream.ts';
import type { PoolAccount } from '../pool/account.ts';
import type { Identity } from '../pool/identity.ts';
import type { EndReason } from '../telemetry/labels.ts';
import type { Flavor } from '../topology/snapshot.ts';
import { COM } from '../wire/command.ts';
import { MalformedPacketError } from '../wire/malformed.ts';
import { encodeErr } from '../wire/packets/err.ts';
import { encodeOk } from '../wire/packets/ok.ts';
import { endLevel, errorPacket, UNANSWERED } from './client/client-errors.ts';
import { ClientInput, type CommandHandler } from './client/client-input.ts';
import type { Command } from './command/command.ts';
import { type CommandPlanner, PLAN, type Plan } from './command/command-planner.ts';
import type { CommandRunner, RunnerOwner } from './command/command-runner.ts';
import { localAnswer } from './command/local-answers.ts';
import { killAbandoned, killBackend, killedItself } from './command/kill.ts';
import type { PreparedStatements } from './prepared/prepared-statements.ts';
import { startReplication } from './client/replication-stream.ts';
import { closeStatement, describeSession, resetConnection } from './command/session-commands.ts';
import type { SessionDeps } from './session-deps.ts';
import { buildParts, type LoggedIn } from './session-parts.ts';
import type { Killer, RegisteredSession, SessionInfo, SessionPhase } from './session-registry.ts';
import type { SessionState } from './state/session-state.ts';
import { silenceOver } from './client/silence.ts';
import { StatementWaits } from './servers/statement-waits.ts';
import { slowAnswer } from './command/slow-answers.ts';
import type { StatementJudge } from './statement/statement-judge.ts';

/** Asks for another login on the connection (COM_CHANGE_USER). */
export type OnChangeUser = (session: ClientSession, payload: Buffer) => void;

/**
 * One client after its login: takes its commands one at a time, plans each, has it run, answers
 * what the proxy answers itself, and ends with one log line.
 */
export class ClientSession implements CommandHandler, RunnerOwner, RegisteredSession {
  readonly id: ConnId;
  readonly identity: Identity;
  readonly user: string;
  private readonly account: PoolAccount;
  readonly secured: boolean;
  readonly stream: ByteStream;
  readonly runner: CommandRunner;
  readonly state: SessionState;
  readonly prepared: PreparedStatements;
  readonly command: Command;
  readonly input: ClientInput;
  private readonly deps: SessionDeps;
  readonly clientAddr: string;
  readonly flavor: Flavor;
  readonly planner: CommandPlanner;
  readonly judge: StatementJudge;
  private readonly onChangeUser: OnChangeUser;
  readonly waits = new StatementWaits();
  private phase: SessionPhase = 'running';
  private draining = false;
  /** The command is done as soon as the server has taken its bytes. */
  private doneOnDrain = false;
  private lastActiveMs = performance.now();

  constructor(
    deps: SessionDeps,
    client: { id: ConnId; address: string; onChangeUser: OnChangeUser },
    login: LoggedIn,
  ) {
    this.deps = deps;
    this.id = client.id;
    this.clientAddr = client.address;
    this.onChangeUser = client.onChangeUser;
    this.stream = login.stream;
    this.identity = login.identity;
    this.user = login.identity.user;
    this.account = login.account;
    this.flavor = login.proof.server.flavor ?? 'mysql';
    this.secured = login.secured;
    this.input = new ClientInput(login.stream, this, deps.config.listen.gatherMaxBytes);
    const parts = buildParts(deps, login, {
      owner: this,
      gone: this.waits,
      clientAddr: client.address,
    });
    this.command = parts.command;
    this.state = parts.state;
    this.prepared = parts.prepared;
    this.planner = parts.planner;
    this.judge = parts.judge;
    this.runner = parts.runner;
  }

  /** Made when it is needed: most sessions write one line, at their end. */
  private get logger(): Logger {
    return this.deps.logger.child({ connId: this.id, clientAddr: this.clientAddr });
  }

  /** Begins to take commands. */
  start(rest: Buffer): void {
    this.phase = 'idle';
    this.stream.setSink(this.input);
    if (rest.length > 0) this.input.onBytes(rest);
    this.input.ready();
  }

  onCommand(packet: Buffer): void {
    this.begin(packet);
    if (this.pendingFailure()) return;
    try {
      this.execute(this.planner.plan(this.command));
    } catch (error) {
      // It may have a connection already, which nobody else would give back.
      this.runner.settle();
      this.commandFailed(error);
    }
  }

  onLongCommand(head: Buffer): void {
    this.begin(head);
    const lost = this.runner.changes.pendingError;
    try {
      // It cannot be refused before its end has come, and must not run outside its transaction.
      if (lost !== null) throw lost;
      const plan = this.planner.planLong(this.command);
      if (plan === PLAN.SEND) this.runner.run();
      else if (plan === PLAN.LONG_DATA) this.sendLongData(true);
      else throw new LagwiseError('limit', 'This command is too long');
    } catch (error) {
      this.end(error instanceof LagwiseError ? error.source : 'client-protocol', error);
    }
  }

  private begin(packet: Buffer): void {
    this.phase = 'running';
    this.lastActiveMs = performance.now();
    this.deps.metrics.traffic.clientInBytes += packet.length;
    this.command.begin(packet[4] ?? 0, packet, this.lastActiveMs);
  }

  /** A transaction that was lost while nobody asked is told of by the next command. */
  private pendingFailure(): boolean {
    const error = this.runner.changes.pendingError;
    if (error === null || UNANSWERED.has(this.command.com)) return false;
    this.runner.changes.pendingError = null;
    this.commandFailed(error);
    return true;
  }

  private execute(plan: Plan): void {
    switch (plan) {
      case PLAN.SEND:
        return this.runner.run();
      case PLAN.LONG_DATA:
        return this.sendLongData(false);
      case PLAN.CLOSE_STATEMENT:
        closeStatement(this);
        return this.commandDone();
      case PLAN.QUIT:
        return this.end('quit', null);
      case PLAN.KILL:
      case PLAN.PROCESS_LIST:
      case PLAN.SETTING:
        return this.answerBy(slowAnswer(plan, this.deps, this));
      case PLAN.CHANGE_USER:
        this.phase = 'login';
        return this.onChangeUser(this, this.command.bytes.subarray(4));
      case PLAN.RESET_CONNECTION:
        this.judge.policy.reset();
        this.judge.textPrepared.clear();
        return this.answerBy(resetConnection(this));
      case PLAN.REPLICATION:
        this.phase = 'replication';
        return this.answerBy(startReplication(this, this.stream, (why) => this.end('closed', why)));
      default:
        this.answer(localAnswer(plan, this));
    }
  }

  /** COM_STMT_SEND_LONG_DATA, which has no answer, or the head of one that is streamed. */
  private sendLongData(isHead: boolean): void {
    this.runner.sendLongData().then(
      ({ connection, flushed }) => {
        if (isHead) {
          this.runner.exchange.passThrough(connection);
          this.input.streamLong(this.command.bytes);
        } else if (flushed) {
          this.commandDone();
        } else {
          this.doneOnDrain = true;
        }
      },
      (error: unknown) => this.end('backend-network', error),
    );
  }

  /** Answers OK, what was made, or the error when the work is done; `no-answer` is not answered. */
  private answerBy(work: Promise<'ok' | 'no-answer' | Buffer>): void {
    const { identity, state, command } = this;
    const ok = () => encodeOk({ status: state.status }, command.replySeq, { caps: identity.caps });
    const onDone = (answer: 'ok' | 'no-answer' | Buffer) => {
      if (answer !== 'no-answer') this.answer(answer === 'ok' ? ok() : answer);
    };
    work.then(onDone, (error: unknown) => this.commandFailed(error));
  }

  commandDone(): void {
    if (this.phase === 'closed') return;
    this.command.end();
    this.doneOnDrain = false;
    this.phase = 'idle';
    if (this.runner.conclusions.released) this.end('quit', null);
    else if (this.draining && !this.state.inTransaction) this.end('shutdown', null);
    else this.input.ready();
  }

  answer(reply: Buffer): void {
    if (this.phase === 'closed') return;
    this.runner.conclusions.noteOwnAnswer(reply, this.identity.caps);
    this.stream.write(reply);
    this.commandDone();
  }

  commandFailed(error: unknown): void {
    if (this.phase === 'closed') return;
    if (error instanceof MalformedPacketError) return this.onClientMalformed(error.message);
    if (sourceOf(error) === 'internal') {
      this.logger.error({ err: error }, 'Command failed by a defect');
    }
    if (this.phase === 'replication') this.end('backend-network', error);
    else if (this.command.isLong) this.end('limit', error);
    else this.answer(encodeErr(errorPacket(error), this.command.replySeq));
  }

  sessionBroken(error: LagwiseError): void {
    this.end(error.source, error);
  }

  fileWanted(firstSeq: number): void {
    this.input.streamFile(firstSeq);
  }

  longCommandPlaced(): void {
    this.input.streamLong(this.command.bytes);
  }

  serverDrained(): void {
    if (this.doneOnDrain) this.commandDone();
    else this.input.resume();
  }

  onPart(part: Buffer, last: boolean): boolean {
    this.deps.metrics.traffic.clientInBytes += part.length;
    if (last) this.command.replySeq = this.input.seqAfterParts;
    // Behind the last one the next command may stand in what was read with it.
    const isWhole = !last && part.byteOffset === 0;
    const flushed = this.runner.exchange.sendMore(part, isWhole);
    if (last && this.command.com === COM.STMT_SEND_LONG_DATA) {
      this.runner.exchange.abandon();
      if (flushed) this.commandDone();
      else this.doneOnDrain = true;
    }
    return flushed;
  }

  onRaw(chunk: Buffer): void {
    if (!this.runner.exchange.sendMore(chunk, false)) this.stream.pause();
  }

  onClientDrain(): void {
    this.runner.exchange.clientDrained();
  }

  onClientClose(error: Error | null): void {
    if (this.phase === 'closed') return;
    killAbandoned(this.deps, this, this.logger);
    this.end(error === null ? 'closed' : 'client-network', error);
  }

  onClientMalformed(why: string): void {
    this.end('client-protocol', new LagwiseError('client-protocol', `Malformed packet: ${why}`));
  }

  onTopology(): void {
    if (this.phase !== 'closed') this.runner.onTopology();
  }

  async kill(what: 'QUERY' | 'CONNECTION', by: Killer): Promise<void> {
    await killBackend(this.deps, this, what, by);
    if (what === 'CONNECTION') this.end('killed', by.isOwn ? killedItself(this.flavor) : null);
  }

  drain(): void {
    this.draining = true;
    if (this.phase === 'idle' && !this.state.inTransaction) this.end('shutdown', null);
  }

  info(nowMs: number): SessionInfo {
    const idleMs = this.phase === 'idle' ? Math.round(nowMs - this.idleSinceMs) : 0;
    return describeSession(this, { phase: this.phase, idleMs });
  }

  /** When the last command came or was answered, whichever is later (monotonic ms). */
  private get idleSinceMs(): number {
    return Math.max(this.lastActiveMs, this.runner.conclusions.endedAtMs);
  }

  endIfSilent(nowMs: number): void {
    const idleSinceMs = this.phase === 'idle' ? this.idleSinceMs : null;
    const over = silenceOver(this.deps.config.listen, this, { idleSinceMs, nowMs });
    if (over?.words) this.stream.write(over.words);
    if (over !== null) this.end(over.reason, over.error);
  }

  /** Ends without touching the client's stream: another login goes on with it. */
  handOver(): Buffer {
    this.phase = 'closed';
    this.waits.end();
    this.runner.releaseAll();
    this.deps.pool.leave(this.account);
    this.deps.sessions.remove(this.id);
    const rest = this.input.takeRest();
    this.input.close();
    return rest;
  }

  end(reason: EndReason, error: unknown): void {
    if (this.phase === 'closed') return;
    const cutShort = this.phase === 'running' && !this.command.answered;
    this.phase = 'closed';
    this.waits.end();
    this.input.close();
    if (cutShort && error !== null && !this.stream.destroyed) {
      this.stream.write(encodeErr(errorPacket(error), this.command.replySeq));
    }
    // Half of a command may have gone there.
    if (this.command.isLong) this.runner.exchange.current?.destroy();
    this.runner.exchange.abandon();
    this.runner.releaseAll();
    this.deps.pool.leave(this.account);
    this.stream.end();
    this.deps.sessions.remove(this.id);
    this.deps.metrics.clients.closed(reason);
    this.logger[endLevel(reason)](
      { user: this.user, reason, err: error },
      'Client connection ended',
    );
  }
}
