import type { UnknownReason } from '../telemetry/labels.ts';
import type { AcknowledgedPosition } from './acknowledged-position.ts';
import type { Challenges, Moment } from './challenges.ts';
import { termsOf } from './membership.ts';
import { RESTART } from './outbox.ts';
import type { MemberWord, QuestionReply } from './store.ts';

type Answered = Extract<QuestionReply, { readonly t: 'ok' }>;
type HeardMember = Pick<MemberWord, 'name' | 'join' | 'answer'>;

/**
 * What this proxy has read of the group: the acknowledged position, which memberships it is good
 * for, and how far it follows the publications. Pure but for its own state.
 */
export class GroupView {
  readonly #name: string;
  readonly #challenges: Challenges;
  readonly #acknowledged: AcknowledgedPosition;
  /** The contents' id and every membership: another one means that something may be missing. */
  #basis = '';
  #after = 0;

  constructor(options: {
    readonly name: string;
    readonly challenges: Challenges;
    readonly acknowledged: AcknowledgedPosition;
  }) {
    this.#name = options.name;
    this.#challenges = options.challenges;
    this.#acknowledged = options.acknowledged;
  }

  /** How many publications are read; ask for those behind. */
  get after(): number {
    return this.#after;
  }

  /** Whether the memberships are those that the position is good for. */
  isGoodFor(storeId: string, members: readonly HeardMember[]): boolean {
    return basisOf(storeId, members) === this.#basis;
  }

  /**
   * Takes an answer of the place. Where somebody has begun a membership since the answer before, or
   * publications are not kept any more, the position begins anew: with what the primary says to a
   * question that is asked from `nowMs` on. All that was acknowledged unpublished by a member
   * happened before its membership began, so that has it.
   */
  follow(reply: Answered, storeId: string, nowMs: number): void {
    const basis = basisOf(storeId, reply.members);
    if (basis !== this.#basis || reply.entries === null || reply.entries.includes(RESTART)) {
      this.#basis = basis;
      this.#acknowledged.restart(nowMs);
    } else {
      this.#addAll(reply.entries, nowMs);
    }
    this.#after = reply.published;
  }

  #addAll(entries: readonly string[], nowMs: number): void {
    if (entries.length === 0) return;
    try {
      this.#acknowledged.add(entries.join(','), nowMs);
    } catch {
      // Not as servers print it, or too long at once: the primary's own answer has it all.
      this.#acknowledged.restart(nowMs);
    }
  }

  /**
   * Why nobody can vouch for the position, or null.
   * @param join this proxy's own membership
   * @param askedAt before the question was sent
   */
  problem(reply: Answered, join: string, askedAt: Moment): UnknownReason | null {
    if (reply.isNameDuplicate) return 'duplicate-name';
    for (const member of reply.members) {
      const problem =
        member.name === this.#name
          ? ownProblem(member, join)
          : this.#problemOf(member, termsOf(join), askedAt);
      if (problem !== null) return problem;
    }
    return null;
  }

  #problemOf(member: HeardMember, terms: string, askedAt: Moment): UnknownReason | null {
    if (member.join === '') return 'member-absent';
    if (termsOf(member.join) !== terms) return 'member-differs';
    return this.#challenges.holds(member.answer, askedAt) ? null : 'member-silent';
  }
}

function ownProblem(member: HeardMember, join: string): UnknownReason | null {
  return member.join === join ? null : 'starting';
}

function basisOf(storeId: string, members: readonly HeardMember[]): string {
  return JSON.stringify([storeId, members.map(({ join }) => join)]);
}
