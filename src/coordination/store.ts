/**
 * What a group needs of the shared place. `redis-store.ts` is it; tests have one that loses,
 * delays and forgets as told.
 *
 * Each call is one atomic step in the place. Each rejects with LagwiseError within
 * `commandTimeoutMs`, and may then still be carried out, at any later time.
 */
export interface StoreConnection {
  /** Which run of the place this is: another value means that what it had may be lost. */
  readonly runId: string;
  tick(tick: Tick): Promise<TickReply>;
  /** @returns false where the place does not know of `join` (any more) */
  publish(publication: Publication): Promise<boolean>;
  newest(question: Question): Promise<QuestionReply>;
  /** Drops the connection at once. */
  close(): void;
}

/** Opens connections to the shared place. */
export interface Store {
  /**
   * Rejects with LagwiseError within `connectTimeoutMs`.
   * @param onClosed called once if the connection ends other than by `close`
   */
  open(onClosed: (why: Error) => void): Promise<StoreConnection>;
}

/** The regular word of a proxy: that it lives, what it challenges others with, what it answers. */
export interface Tick {
  readonly name: string;
  /** This process; no other has the same. */
  readonly instance: string;
  /** The first word of this process on this connection: it takes the name over. */
  readonly isClaim: boolean;
  /** The id of the place's contents as last heard; empty at first. */
  readonly storeId: string;
  readonly challenge: string;
  readonly wants: boolean;
  /** Begins a membership of this id; empty for none. */
  readonly enter: string;
  /** The membership that the answers belong to. */
  readonly join: string;
  /** To each member the last challenge heard of it; empty for one who promises nothing. */
  readonly answers: readonly { readonly to: string; readonly challenge: string }[];
}

export type TickReply =
  /** Another process has this name. */
  | { readonly t: 'replaced' }
  | {
      readonly t: 'ok';
      readonly storeId: string;
      /** How many publications there were. */
      readonly published: number;
      readonly members: readonly MemberWord[];
    };

/** What the place has of a member; empty strings for what it never said. */
export interface MemberWord {
  readonly name: string;
  readonly challenge: string;
  readonly wants: boolean;
  readonly join: string;
  /** The challenge of the asker that it has answered last in this membership. */
  readonly answer: string;
}

/** GTIDs that are about to be acknowledged. */
export interface Publication {
  readonly storeId: string;
  readonly name: string;
  readonly join: string;
  /** Each one text, bounded in size. */
  readonly entries: readonly string[];
}

/** Asks for everything behind the first `after` publications. */
export interface Question {
  readonly storeId: string;
  readonly after: number;
}

export type QuestionReply =
  /** The contents are others than those of `storeId`. */
  | { readonly t: 'forgotten' }
  | {
      readonly t: 'ok';
      readonly published: number;
      /** Publications behind `after`, or null where some of them are not kept any more. */
      readonly entries: readonly string[] | null;
      /** Two live processes have claimed one name. */
      readonly isNameDuplicate: boolean;
      readonly members: readonly Pick<MemberWord, 'name' | 'join' | 'answer'>[];
    };
