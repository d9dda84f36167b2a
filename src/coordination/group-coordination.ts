import type { Logger } from '../lib/logger.ts';
import type { CoordinationMetrics } from '../telemetry/coordination-metrics.ts';
import type { UnknownReason } from '../telemetry/labels.ts';
import type { Snapshot } from '../topology/snapshot.ts';
import { AcknowledgedPosition } from './acknowledged-position.ts';
import { Challenges, type Moment } from './challenges.ts';
import { type Coordination, type CoordinationState, type Newest, unknown } from './coordination.ts';
import { FreshAnswer } from './fresh-answer.ts';
import { GroupView } from './group-view.ts';
import { Membership } from './membership.ts';
import { PrimaryWatch } from './primary-watch.ts';
import { Publisher } from './publisher.ts';
import type { MemberWord, Store, StoreConnection, Tick, TickReply } from './store.ts';
import { StoreLink } from './store-link.ts';
import { WANTED_MS } from './wanted.ts';

/**
 * Ticks in a lease. An answer is at most three ticks old when the next one comes (one until the
 * other hears the challenge, one until it answers, one until it answers the next), so two are left
 * for delays.
 */
const TICKS_PER_LEASE = 5;
/** From this many unread publications on a tick reads them, so that the next question is short. */
const FOLLOW_AT = 512;

/** What a group coordination is made of. */
export interface GroupOptions {
  readonly name: string;
  /** All proxies of the group, this one too. */
  readonly members: readonly string[];
  readonly leaseMs: number;
  /** No other process has the same, now or before. */
  readonly instance: string;
  /** A digest of what all members must have configured alike. */
  readonly agreement: string;
  readonly store: Store;
  readonly logger: Logger;
  readonly metrics: CoordinationMetrics;
  readonly now: () => Moment;
}

/**
 * Several proxies over a shared place. docs/coordination.md has the protocol; the names here are
 * its names.
 */
export class GroupCoordination implements Coordination {
  readonly #options: GroupOptions;
  readonly #link: StoreLink;
  readonly #membership: Membership;
  readonly #publisher: Publisher;
  readonly #challenges: Challenges;
  readonly #acknowledged: AcknowledgedPosition;
  readonly #view: GroupView;
  readonly #primary = new PrimaryWatch();
  readonly #fresh = new FreshAnswer(() => this.#ask());
  /** Id of the place's contents as last heard; empty: this process has to claim its name. */
  #storeId = '';
  #heard: readonly MemberWord[] = [];
  #isWanted = false;
  #wantedUntilMs = Number.NEGATIVE_INFINITY;
  #tickTimer: NodeJS.Timeout | null = null;
  #isTicking = false;
  #isTickDue = false;
  #isStopping = false;
  #complaint: UnknownReason | null = null;

  constructor(options: GroupOptions) {
    this.#options = options;
    const nowMs = this.#nowMs();
    this.#membership = new Membership(options.instance, options.leaseMs, nowMs);
    this.#challenges = new Challenges(options.instance, options.leaseMs);
    this.#acknowledged = new AcknowledgedPosition(nowMs);
    this.#view = new GroupView({
      name: options.name,
      challenges: this.#challenges,
      acknowledged: this.#acknowledged,
    });
    this.#link = new StoreLink({
      store: options.store,
      logger: options.logger,
      nowMs: () => this.#nowMs(),
      onUp: (connection) => this.#connected(connection),
    });
    this.#publisher = new Publisher({
      name: options.name,
      membership: this.#membership,
      metrics: options.metrics,
      nowMs: () => this.#nowMs(),
      target: () => {
        const { connection } = this.#link;
        return connection === null ? null : { connection, storeId: this.#storeId };
      },
      onFailed: (connection, error) => this.#link.drop(connection, error),
      onRefused: () => this.#forgotten(),
    });
    this.#link.start();
  }

  observe(snapshot: Snapshot): void {
    const nowMs = this.#nowMs();
    const lastPrimary = this.#primary.id;
    const isOtherHistory = this.#primary.observe(snapshot);
    if (isOtherHistory) this.#acknowledged.changeHistory(nowMs);
    if (isOtherHistory || this.#primary.id !== lastPrimary) {
      // The others learn of it by the id of the next membership, and begin anew.
      this.#membership.leave();
      this.#scheduleTick(0);
    }
    this.#options.metrics.lost(this.#primary.feed(this.#acknowledged, nowMs));
  }

  acknowledged(gtid: string | null): Promise<void> | null {
    const nowMs = this.#nowMs();
    const canPublish =
      this.#link.connection !== null && this.#membership.join !== null && this.#isWanted;
    if (!canPublish && nowMs >= this.#membership.promisedUntilMs) {
      // Unpublished: a membership that has not noticed yet is over.
      this.#membership.leave();
      return null;
    }
    return this.#publisher.add(gtid);
  }

  newest(): Newest | Promise<Newest> {
    const nowMs = this.#nowMs();
    const isFirst = nowMs > this.#wantedUntilMs;
    this.#wantedUntilMs = nowMs + WANTED_MS;
    if (isFirst) this.#scheduleTick(0);
    const refusal = this.#refusal();
    if (refusal === null) return this.#asked(nowMs);
    this.#options.metrics.answered(refusal);
    return unknown(refusal);
  }

  state(): CoordinationState {
    const { isAway, sinceMs } = this.#link.status;
    const now = this.#options.now();
    const { name } = this.#options;
    const join = this.#membership.join;
    return {
      t: isAway ? 'away' : 'connected',
      sinceMs,
      name,
      isWanted: this.#isWanted,
      members: this.#options.members.map((member) => {
        const answer = this.#heard.find((word) => word.name === member)?.answer ?? '';
        const isPublishing = member === name ? join !== null : this.#challenges.holds(answer, now);
        return { name: member, isPublishing: !isAway && isPublishing };
      }),
    };
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#tickTimer !== null) clearTimeout(this.#tickTimer);
    await this.#publisher.drained();
    this.#link.stop();
  }

  #nowMs(): number {
    return this.#options.now().monotonicMs;
  }

  async #asked(startMs: number): Promise<Newest> {
    const newest = await this.#fresh.get();
    this.#options.metrics.answered(newest.t === 'unknown' ? newest.why : 'position');
    this.#options.metrics.questionTook(this.#nowMs() - startMs);
    return newest;
  }

  #refusal(): UnknownReason | null {
    if (this.#link.connection === null) return 'away';
    return this.#membership.join === null || this.#isStopping ? 'starting' : null;
  }

  /** One question to the place. Never rejects. */
  async #ask(): Promise<Newest> {
    const connection = this.#link.connection;
    const join = this.#membership.join;
    if (connection === null) return unknown('away');
    if (join === null) return unknown('starting');
    const askedAt = this.#options.now();
    try {
      const storeId = this.#storeId;
      const reply = await connection.newest({ storeId, after: this.#view.after });
      if (this.#link.connection !== connection || this.#membership.join !== join) {
        return unknown('starting');
      }
      if (reply.t === 'forgotten') {
        this.#forgotten();
        return unknown('starting');
      }
      this.#view.follow(reply, storeId, this.#nowMs());
      const problem = this.#view.problem(reply, join, askedAt);
      this.#complain(problem);
      if (problem !== null) return unknown(problem);
    } catch (error) {
      this.#link.drop(connection, error);
      return unknown('away');
    }
    const { position } = this.#acknowledged;
    return position === null ? unknown('no-base') : { t: 'position', position };
  }

  /** Says once what an operator has to mend; the rest passes. */
  #complain(problem: UnknownReason | null): void {
    if (problem === this.#complaint) return;
    this.#complaint = problem;
    const { logger, name } = this.#options;
    if (problem === 'duplicate-name') {
      logger.error({ name }, 'Two proxies of the group have the same name: give each its own');
    } else if (problem === 'member-differs') {
      logger.warn(
        { name },
        'Proxies of the group differ on the primary, the members or the lease: global reads ask the primary',
      );
    }
  }

  #forgotten(): void {
    this.#storeId = '';
    this.#membership.leave();
    this.#scheduleTick(0);
  }

  #connected(connection: StoreConnection): void {
    if (!this.#storeId.startsWith(`${connection.runId}/`)) this.#forgotten();
    // One that may still be waiting for an answer over the former connection does not count.
    this.#isTicking = false;
    this.#scheduleTick(0);
  }

  /** The next tick; at once if something new is to be said. */
  #scheduleTick(delayMs: number): void {
    if (this.#isStopping) return;
    if (this.#isTicking) {
      this.#isTickDue = true;
      return;
    }
    this.#isTickDue = false;
    if (this.#tickTimer !== null) clearTimeout(this.#tickTimer);
    this.#tickTimer = setTimeout(() => {
      this.#tickTimer = null;
      const { connection } = this.#link;
      if (connection !== null) void this.#tick(connection);
    }, delayMs);
  }

  async #tick(connection: StoreConnection): Promise<void> {
    this.#isTicking = true;
    const tick = this.#compose();
    try {
      const reply = await connection.tick(tick);
      if (this.#link.connection !== connection) return;
      this.#link.answered();
      this.#take(reply, tick);
    } catch (error) {
      // A new connection ticks on its own account.
      if (this.#link.connection === connection) this.#isTicking = false;
      this.#link.drop(connection, error);
      return;
    }
    this.#isTicking = false;
    this.#scheduleTick(this.#isTickDue ? 0 : this.#options.leaseMs / TICKS_PER_LEASE);
  }

  /** What to say now. Whatever is promised with it is promised from here on. */
  #compose(): Tick {
    const now = this.#options.now();
    const nowMs = now.monotonicMs;
    const { name, instance, agreement, leaseMs } = this.#options;
    const membership = this.#membership;
    const waitsSinceMs = this.#publisher.oldestSinceMs;
    // While a write has waited for long no word is given: it ends at last, and the write goes on.
    const mayPromise =
      this.#isWanted && (waitsSinceMs === null || nowMs - waitsSinceMs < leaseMs / 2);
    const terms = `${agreement}|${this.#primary.id ?? ''}`;
    const enters =
      mayPromise &&
      membership.join === null &&
      this.#storeId !== '' &&
      this.#primary.id !== null &&
      !membership.isCoolingDown(nowMs);
    const enter = enters ? membership.enter(terms, nowMs) : '';
    const join = membership.join ?? '';
    const answers = mayPromise && join !== '' ? this.#answers() : [];
    if (answers.length > 0) membership.promise(nowMs);
    return {
      name,
      instance,
      isClaim: this.#storeId === '',
      storeId: this.#storeId,
      challenge: this.#challenges.issue(now),
      wants: nowMs <= this.#wantedUntilMs,
      enter,
      join,
      answers,
    };
  }

  #answers(): Tick['answers'] {
    return this.#heard
      .filter(({ name, challenge }) => name !== this.#options.name && challenge !== '')
      .map(({ name, challenge }) => ({ to: name, challenge }));
  }

  #take(reply: TickReply, tick: Tick): void {
    if (reply.t === 'replaced') {
      this.#storeId = '';
      this.#membership.leave();
      this.#complain('duplicate-name');
      return;
    }
    if (reply.storeId !== tick.storeId) this.#membership.leave();
    this.#storeId = reply.storeId;
    this.#heard = reply.members;
    const wasWanted = this.#isWanted;
    this.#isWanted = tick.wants || reply.members.some(({ wants }) => wants);
    const hasEntered =
      tick.enter !== '' && reply.storeId === tick.storeId && this.#membership.entered(tick.enter);
    const isNew = tick.storeId !== reply.storeId || (this.#isWanted && !wasWanted);
    // There is something new to say: membership, or answers.
    if (isNew || hasEntered) this.#scheduleTick(0);
    this.#publisher.flush();
    this.#keepUp(reply.published);
  }

  /** A reader keeps up between questions, so that the next one finds an answer, and a short one. */
  #keepUp(published: number): void {
    if (this.#nowMs() > this.#wantedUntilMs || this.#membership.join === null) return;
    const isFar = published - this.#view.after >= FOLLOW_AT;
    if (isFar || !this.#view.isGoodFor(this.#storeId, this.#heard)) void this.#fresh.get();
  }
}
