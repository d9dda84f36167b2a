import {
  type Position,
  parsePosition,
  positionContains,
  unitePositions,
} from '../../gtid/position.ts';
import { countIntervals } from '../../gtid/mysql-set.ts';
import type { ServerId } from '../../lib/ids.ts';
import type { Requirement } from '../../routing/visibility.ts';
import type { Flavor, ServerView } from '../../topology/snapshot.ts';

/**
 * Other sessions' transactions lie between those of one session, so its set is all holes. Past so
 * many intervals it is rounded up to what the primary has, which is more and short.
 */
const MAX_INTERVALS = 32;

/** What a session's reads must be able to see: what it wrote, what it read, what it was told. */
export class Horizon {
  /** Its own commits, by their GTIDs; null before the first. */
  private own: Position | null = null;
  /** A commit did not tell its GTID: `own` is not all. */
  private isPartial = false;
  /** When it last wrote (monotonic ms); -1 never. */
  private wroteAtMs = -1;
  /** A token that its client brought along; null for none. */
  private brought: Position | null = null;
  /** When the primary was first seen with it (monotonic ms); `Infinity` as long as it was not. */
  private broughtByMs = Number.POSITIVE_INFINITY;
  /** A replica that said that it has all of `own` and `brought`, and when (monotonic ms). */
  private confirmed: { readonly server: ServerId; readonly atMs: number } | null = null;
  /** Where it last read rows, and when (monotonic ms); null before the first. */
  private readOn: ServerId | null = null;
  private readAtMs = -1;

  /**
   * A commit on the primary was acknowledged.
   * @param gtids as the server told them; null where it did not
   */
  noteWrite(nowMs: number, gtids: string | null, flavor: Flavor): void {
    this.wroteAtMs = nowMs;
    this.confirmed = null;
    if (gtids === null) {
      this.isPartial = true;
      return;
    }
    const position = parsePosition(flavor, gtids);
    this.own = this.own === null ? position : unitePositions(this.own, position);
  }

  /** Rows of this server went to the client. Runs for each statement. */
  noteRead(server: ServerId, nowMs: number): void {
    this.readOn = server;
    this.readAtMs = nowMs;
  }

  /** The primary had this after a moment (monotonic ms): what it did not tell before is in it. */
  complete(position: Position, atMs: number): void {
    if (!this.isPartial || atMs < this.wroteAtMs) return;
    this.isPartial = false;
    this.own = this.own === null ? position : unitePositions(this.own, position);
  }

  /** A replica was waited for, and has what was written. */
  confirm(server: ServerId, nowMs: number): void {
    this.confirmed = { server, atMs: nowMs };
  }

  /** The client says what it has to see besides; null takes that back. */
  bring(position: Position | null): void {
    this.confirmed = null;
    this.brought = position === null ? null : this.broughtWith(position);
    this.broughtByMs = Number.POSITIVE_INFINITY;
  }

  /** What it would have been told if this were brought along too. */
  broughtWith(position: Position): Position {
    return this.brought === null ? position : unitePositions(this.brought, position);
  }

  /** Another user begins: what was read does not concern it; what was written may. */
  forgetReads(): void {
    this.readOn = null;
    this.readAtMs = -1;
  }

  /**
   * Its client has brought a token that the primary was not seen with: what it has to see may have
   * gone through another proxy.
   */
  get hasToken(): boolean {
    return this.brought !== null && this.broughtByMs === Number.POSITIVE_INFINITY;
  }

  /**
   * It may have to see what a primary is only about to show: replicas get a commit, and show it,
   * while the primary still waits for one of them to confirm it (semi-synchronous replication).
   */
  mayOvertake(primary: ServerId): boolean {
    return this.hasToken || (this.readOn !== null && this.readOn !== primary);
  }

  /** What a replica must be known to show; empty for whatever it has. */
  requirements(primary: ServerView | null): readonly Requirement[] {
    this.shorten(primary);
    const list: Requirement[] = [];
    const { confirmed } = this;
    if (this.wroteAtMs !== -1) {
      const position = this.isPartial ? null : this.own;
      list.push({ t: 'commits', byMs: this.wroteAtMs, position, confirmed });
    }
    if (this.brought !== null) {
      const byMs = this.broughtByMs;
      list.push({ t: 'commits', byMs, position: this.brought, confirmed });
    }
    if (this.readOn !== null) list.push({ t: 'seen', server: this.readOn, atMs: this.readAtMs });
    return list;
  }

  /** There is a new primary, and a history that may lack what was acknowledged before. */
  dropLost(primary: ServerView): boolean {
    const { position } = primary;
    const isLost = (known: Position | null) =>
      known !== null && (position === null || !positionContains(position, known));
    const lost = isLost(this.own) || isLost(this.brought);
    if (isLost(this.own)) this.own = null;
    if (isLost(this.brought)) this.brought = null;
    return lost;
  }

  /** What the primary was seen with, after the last write at that, stands for all before. */
  private shorten(primary: ServerView | null): void {
    const position = primary?.position ?? null;
    if (primary === null || position === null || primary.positionAtMs < 0) return;
    // Kept apart from what was written: its client may take it back.
    if (this.hasToken && this.brought !== null && positionContains(position, this.brought)) {
      this.broughtByMs = primary.positionAtMs;
    }
    this.complete(position, primary.positionAtMs);
    this.own = shortened(this.own, position);
    if (!this.hasToken) this.brought = shortened(this.brought, position);
  }
}

/** Rounded up to what the primary has where it has become long. */
function shortened(known: Position | null, position: Position): Position | null {
  const isLong = known?.t === 'mysql' && countIntervals(known.set) > MAX_INTERVALS;
  return isLong ? unitePositions(known, position) : known;
}
