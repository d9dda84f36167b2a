import type { Config } from '../../config/schema.ts';
import { LagwiseError } from '../../lib/errors.ts';
import type { BackendConnection } from '../../pool/backend-connection.ts';
import type { BackendPool } from '../../pool/pool.ts';
import type { StalenessOutcome } from '../../telemetry/labels.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { ServerView, Snapshot } from '../../topology/snapshot.ts';
import { MalformedPacketError } from '../../wire/malformed.ts';
import type { Command } from '../command/command.ts';
import type { ReadSampler, ReplyTap } from '../reply/reply-tap.ts';
import { sameRows, sumRows } from './staleness-checksum.ts';
import { PrimaryLooks } from './staleness-looks.ts';
import { type StalenessSubject, subjectOf } from './staleness-subject.ts';
import { StalenessTap } from './staleness-tap.ts';

/** What a sampler works with. */
export interface SamplerParts {
  readonly config: Config;
  readonly pool: BackendPool;
  readonly topology: { current(): Snapshot };
  readonly telemetry: Telemetry;
  /** [0, 1); seeded in tests. */
  readonly random: () => number;
}

/** Samples at a time: each may hold a connection to the primary and two replies. */
const MAX_AT_ONCE = 4;
const SECOND_MS = 1000;

/** The sampler that the configuration asks for; null for none. */
export function createSampler(parts: SamplerParts): ReadSampler | null {
  return parts.config.routing.stalenessSample > 0 ? new StalenessSampler(parts) : null;
}

/**
 * Finds out how many reads by replicas were stale: runs a small share of them on the primary too, at
 * the moment when they are sent to the replica, and compares. docs/staleness.md says what the figure
 * means. Nothing of it is in the client's way, and none of its failures reaches a client.
 */
class StalenessSampler implements ReadSampler {
  private readonly parts: SamplerParts;
  private readonly looks: PrimaryLooks;
  private readonly stopping = new AbortController();
  /** Those that are being looked at. */
  private readonly taps = new Set<StalenessTap>();
  /** Reads until the next sample. */
  private untilNext: number;
  /** The second that `usedInSecond` counts samples of. */
  private second = -1;
  private usedInSecond = 0;

  constructor(parts: SamplerParts) {
    this.parts = parts;
    const { pool, config } = parts;
    const { logger } = parts.telemetry;
    this.looks = new PrimaryLooks(
      { pool, logger, stopped: this.stopping.signal },
      {
        maxPerServer: config.pool.maxPerServer,
        timeoutMs: config.routing.stalenessSampleTimeoutMs,
      },
    );
    this.untilNext = this.gap();
  }

  sample(command: Command, connection: BackendConnection): ReplyTap | null {
    // In a read-only transaction what is seen is of the moment when that began.
    if (command.reason !== 'read' || command.isPartial) return null;
    this.untilNext -= 1;
    if (this.untilNext > 0) return null;
    this.untilNext = this.gap();
    return this.begin(command, connection);
  }

  stop(): void {
    this.stopping.abort();
    for (const tap of this.taps) tap.close();
  }

  /** How many reads on the next sample is: geometric, so that each has the same chance. */
  private gap(): number {
    const { random, config } = this.parts;
    const share = config.routing.stalenessSample;
    return 1 + Math.floor(Math.log1p(-random()) / Math.log1p(-share));
  }

  private begin(command: Command, connection: BackendConnection): ReplyTap | null {
    const { telemetry, topology, config } = this.parts;
    const level = command.policy?.consistency ?? config.routing.consistency;
    const { id } = connection.server;
    const count = (outcome: StalenessOutcome) =>
      telemetry.metrics.staleness.noted({ server: id, level }, outcome, performance.now());
    const subject = this.subjectOf(command, connection);
    const { primary } = topology.current();
    if (subject === null || primary === null || primary.id === id) {
      count('skipped');
      return null;
    }
    if (!this.takeTurn()) {
      count('dropped');
      return null;
    }
    const tap = new StalenessTap(config.routing.stalenessSampleTimeoutMs);
    this.taps.add(tap);
    this.examine(subject, primary, tap)
      .then(count, (error: unknown) => {
        count('failed');
        telemetry.logger.debug({ err: error, server: primary.id }, 'A sampled read failed');
      })
      .finally(() => {
        tap.close();
        this.taps.delete(tap);
      });
    return tap;
  }

  private subjectOf(command: Command, connection: BackendConnection): StalenessSubject | null {
    try {
      return subjectOf(command, connection);
    } catch (error) {
      if (!(error instanceof LagwiseError || error instanceof MalformedPacketError)) throw error;
      return null;
    }
  }

  private takeTurn(): boolean {
    if (this.taps.size >= MAX_AT_ONCE || this.stopping.signal.aborted) return false;
    const second = Math.floor(performance.now() / SECOND_MS);
    if (second !== this.second) {
      this.second = second;
      this.usedInSecond = 0;
    }
    if (this.usedInSecond >= this.parts.config.routing.stalenessSamplesPerSecond) return false;
    this.usedInSecond += 1;
    return true;
  }

  /** @throws LagwiseError when the primary cannot be asked; MalformedPacketError */
  private async examine(
    subject: StalenessSubject,
    primary: ServerView,
    tap: StalenessTap,
  ): Promise<StalenessOutcome> {
    const first = await this.looks.once(subject, primary);
    if (first === 'busy') return 'dropped';
    const reply = await tap.reply;
    const shown = reply === null ? null : sumRows(reply, subject.account.identity.caps);
    if (first === null || shown === null) return 'skipped';
    if (sameRows(shown, first)) return 'fresh';
    if (this.parts.topology.current().primary?.id !== primary.id) return 'skipped';
    const [second = null, third = null] = await this.looks.twice(subject, primary);
    if (second === null || third === null) return 'skipped';
    if (!sameRows(second, third)) return 'unstable';
    // A write came in between, which the replica showed already.
    return sameRows(shown, second) ? 'fresh' : 'stale';
  }
}
