import type { RoutineWatch } from '../../monitor/routine-watch.ts';
import { mayChangeRoutines } from '../../monitor/routine-ddl.ts';
import { type DigestTable, RUN } from '../../routing/digest-table.ts';
import type { LearnedStatements } from '../../routing/learned-statements.ts';
import { isAssumedRead, type Policy } from '../../routing/policy.ts';
import {
  type Classification,
  type ClassifyContext,
  EFFECT,
  type ReasonCode,
} from '../../sql/classification.ts';
import { digestSample } from '../../routing/digest-sample.ts';
import { COM } from '../../wire/command.ts';
import { HEADER_BYTES } from '../../wire/writer.ts';
import { TRAIT } from './cause-traits.ts';
import type { Command } from '../command/command.ts';
import {
  type Judgement,
  judgementOf,
  type PreparedStatement,
} from '../prepared/prepared-statements.ts';
import type { StatementPolicy } from './statement-policy.ts';
import { TextPrepared } from '../prepared/text-prepared.ts';

/** The part of the classifier that the session uses. */
export interface StatementClassifier {
  classify(bytes: Buffer, start: number, end: number, context: ClassifyContext): Classification;
}

/** What all sessions know of statements beyond their text. */
export interface Knowledge {
  readonly digests: DigestTable;
  readonly learned: LearnedStatements;
  readonly routines: Pick<RoutineWatch, 'facts' | 'noteDdl' | 'noteUnknown'>;
}

const PREPARED_TEXT_AT = HEADER_BYTES + 1;
/** Statements that are opaque because they call something unknown. */
const CALLS: ReadonlySet<ReasonCode> = new Set(['call', 'unknown-function']);

/**
 * Judges the statements of one session: what the text says, what clients and rules say of it, and
 * what servers have taught. Fills in the command; makes nothing for a statement whose digest is
 * known.
 */
export class StatementJudge {
  readonly policy: StatementPolicy;
  readonly context: ClassifyContext;
  readonly textPrepared: TextPrepared;
  private readonly classifier: StatementClassifier;
  private readonly knowledge: Knowledge;

  constructor(parts: {
    classifier: StatementClassifier;
    context: ClassifyContext;
    policy: StatementPolicy;
    knowledge: Knowledge;
  }) {
    this.classifier = parts.classifier;
    this.context = parts.context;
    this.textPrepared = new TextPrepared(parts.classifier);
    this.policy = parts.policy;
    this.knowledge = parts.knowledge;
  }

  /** A COM_QUERY whose text begins at `command.textAt`. */
  judgeQuery(command: Command): Classification {
    const { bytes, textAt } = command;
    const found = this.classify(command, textAt);
    this.apply(command, found, this.policy.forQuery(bytes, textAt, found));
    return found;
  }

  /** A COM_STMT_PREPARE. */
  judgePrepare(command: Command): Classification {
    const found = this.classify(command, PREPARED_TEXT_AT);
    this.apply(command, found, this.policy.forPrepared(command.bytes, found));
    return found;
  }

  /** A command about a prepared statement: as it was classified, but by the rules of now. */
  judgePrepared(command: Command, statement: PreparedStatement): void {
    const { packet } = statement.shape;
    // What a function does may have changed since, or become known.
    if (statement.judgement.facts !== this.context.routines) {
      const found = this.classifyPrepared(statement);
      statement.judgement = judgementOf(found, this.context.routines);
    }
    this.apply(command, statement.judgement, this.policy.forPrepared(packet, statement.judgement));
  }

  /** What the classifier says of a prepared statement now; good until it is asked again. */
  classifyPrepared({ shape }: PreparedStatement): Classification {
    const { packet } = shape;
    return this.classifier.classify(packet, PREPARED_TEXT_AT, packet.length, this.context);
  }

  /** A replica refused the command as a write: from now on its like go to the primary. */
  learn(command: Command, why: 'read-only' | 'missing-object'): void {
    const { digestHi, digestLo } = command;
    const text = command.statement?.shape.packet ?? command.bytes;
    const textAt = command.statement === null ? command.textAt : PREPARED_TEXT_AT;
    const sample = digestSample(text, textAt, text.length, this.context);
    this.knowledge.learned.learn(digestHi, digestLo, why, performance.now(), sample);
  }

  /** The command is about to be sent, or has ended: others must not trust what it may change. */
  noteDdl(command: Command): void {
    if (!command.is(TRAIT.MAY_BE_DDL)) return;
    const { bytes, statement } = command;
    const text = statement?.shape.packet ?? bytes;
    const textAt = statement === null ? command.textAt : PREPARED_TEXT_AT;
    if (command.isLong || mayChangeRoutines(text, textAt, text.length, this.context)) {
      this.knowledge.routines.noteDdl();
    }
  }

  /** A statement was run: it is counted with its like. */
  noteRun(command: Command, ended: { onReplica: boolean; failed: boolean; nowMs: number }): void {
    if (command.com !== COM.QUERY && command.com !== COM.STMT_EXECUTE) return;
    const run =
      (ended.onReplica ? RUN.ON_REPLICA : 0) |
      (ended.failed ? RUN.FAILED : 0) |
      (command.misrouted ? RUN.MISROUTED : 0);
    const us = (ended.nowMs - command.startedAtMs) * 1000;
    const { digestHi, digestLo } = command;
    this.knowledge.digests.note(digestHi, digestLo, us, run, ended.nowMs);
  }

  private classify(command: Command, textAt: number): Classification {
    const { bytes, startedAtMs } = command;
    const found = this.classifier.classify(bytes, textAt, bytes.length, this.context);
    const { digests } = this.knowledge;
    if (digests.wants(found.digestHi, found.digestLo, startedAtMs)) {
      digests.admit(found, digestSample(bytes, textAt, bytes.length, this.context), startedAtMs);
    }
    if ((found.effects & EFFECT.OPAQUE) !== 0 && CALLS.has(found.reason)) {
      this.knowledge.routines.noteUnknown();
    }
    return found;
  }

  private apply(command: Command, found: Omit<Judgement, 'facts'>, policy: Policy): void {
    const { digestHi, digestLo } = found;
    command.policy = policy;
    command.cls = found.cls;
    command.cause = found.reason;
    command.effects = found.effects;
    command.digestHi = digestHi;
    command.digestLo = digestLo;
    const assumed = policy.assumeRead && isAssumedRead(found, policy);
    if (!assumed && found.cls !== 'read') return;
    if (this.knowledge.learned.isLearned(digestHi, digestLo)) {
      // It has proved to write; what else it does its text does not show.
      command.cls = 'unknown';
      command.effects |= EFFECT.OPAQUE;
    } else if (assumed) {
      command.cls = 'read';
      command.effects &= ~EFFECT.OPAQUE;
    }
  }
}
