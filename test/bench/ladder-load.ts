import { setTimeout as sleep } from 'node:timers/promises';
import type { Consistency } from '../../src/config/rule-schema.ts';
import { READ_RUNGS, type ReadRung } from '../../src/telemetry/labels.ts';
import type { CrowdClient } from '../support/crowd-client.ts';
import { seeded } from '../support/crowd.ts';

/** The levels that are compared: what is promised, and what it would cost without. */
export const COMPARED = ['session', 'eventual'] as const satisfies readonly Consistency[];
export type Compared = (typeof COMPARED)[number];

/** What clients met. */
export interface Reads {
  /** Milliseconds from the statement to its answer, of each read. */
  readonly tookMs: number[];
  /** Reads that did not show the client's own last write. */
  stale: number;
}

/** Reads by how the proxy reached what they had to see, as it counts them itself. */
export type RungFigures = Readonly<Record<ReadRung, RungFigure>>;
export interface RungFigure {
  readonly reads: number;
  readonly sumSeconds: number;
  /** Bounds in seconds with the reads at or below each. */
  readonly buckets: readonly (readonly [number, number])[];
}

/** Each client writes its row, reads it back, pauses. Until the time is over. */
export async function writeThenRead(
  clients: readonly CrowdClient[],
  { seconds, pauseMs, signal }: { seconds: number; pauseMs: number; signal: AbortSignal },
): Promise<Reads> {
  const reads: Reads = { tookMs: [], stale: 0 };
  const endMs = performance.now() + seconds * 1000;
  await Promise.all(
    clients.map(async (client, id) => {
      const random = seeded(id + 1);
      const read = `SELECT n FROM ladder WHERE id = ${id}`;
      while (performance.now() < endMs) {
        signal.throwIfAborted();
        const n = Math.floor(random() * 2 ** 31);
        await run(client, `UPDATE ladder SET n = ${n} WHERE id = ${id}`);
        const beganMs = performance.now();
        const shown = await run(client, read);
        reads.tookMs.push(performance.now() - beganMs);
        if (shown !== String(n)) reads.stale += 1;
        // Not in step with each other, and not with the probes.
        await sleep(pauseMs * (0.5 + random()));
      }
    }),
  );
  return reads;
}

/** Reads one after the other, all of which a replica may serve at once. */
export async function readOnly(
  clients: readonly CrowdClient[],
  { count, signal }: { count: number; signal: AbortSignal },
): Promise<Float64Array> {
  const tookMs = new Float64Array(clients.length * count);
  await Promise.all(
    clients.map(async (client, id) => {
      const read = `SELECT n FROM ladder WHERE id = ${id}`;
      for (let at = 0; at < count; at += 1) {
        signal.throwIfAborted();
        const beganMs = performance.now();
        await run(client, read);
        tookMs[id * count + at] = performance.now() - beganMs;
      }
    }),
  );
  return tookMs;
}

/** Runs a statement that must not fail. @returns its first value */
export async function run(client: CrowdClient, sql: string): Promise<string | null> {
  const { error, values } = await client.query(sql);
  if (error !== null) throw new Error(`${sql}: ${error}`);
  return values[0] ?? null;
}

/** Takes the reads of a level, and the times of all reads, from a page of metrics. */
export function rungFigures(page: string, level: Consistency): RungFigures {
  const figureOf = (rung: ReadRung): RungFigure => {
    const value = (sample: string) => {
      const line = page.split('\n').find((each) => each.startsWith(`${sample} `));
      return line === undefined ? 0 : Number(line.slice(sample.length + 1));
    };
    const pattern = new RegExp(
      `^lagwise_read_duration_seconds_bucket\\{(?=[^}]*rung="${rung}")[^}]*le="([\\d.e-]+)"[^}]*\\} (\\d+)`,
      'gm',
    );
    return {
      reads: value(`lagwise_reads_total{consistency="${level}",rung="${rung}"}`),
      sumSeconds: value(`lagwise_read_duration_seconds_sum{rung="${rung}"}`),
      buckets: [...page.matchAll(pattern)].map(([, le, count]) => [Number(le), Number(count)]),
    };
  };
  return { known: figureOf('known'), waited: figureOf('waited'), primary: figureOf('primary') };
}

/** What came on top since `before`. */
export function since(after: RungFigures, before: RungFigures): RungFigures {
  const one = (rung: ReadRung): RungFigure => ({
    reads: after[rung].reads - before[rung].reads,
    sumSeconds: after[rung].sumSeconds - before[rung].sumSeconds,
    buckets: after[rung].buckets.map(([bound, count], at) => [
      bound,
      count - (before[rung].buckets[at]?.[1] ?? 0),
    ]),
  });
  return { known: one('known'), waited: one('waited'), primary: one('primary') };
}

/** Both together. */
export function sum(left: RungFigures, right: RungFigures): RungFigures {
  const one = (rung: ReadRung): RungFigure => ({
    reads: left[rung].reads + right[rung].reads,
    sumSeconds: left[rung].sumSeconds + right[rung].sumSeconds,
    buckets: left[rung].buckets.map(([bound, count], at) => [
      bound,
      count + (right[rung].buckets[at]?.[1] ?? 0),
    ]),
  });
  return { known: one('known'), waited: one('waited'), primary: one('primary') };
}

/** All reads of all rungs. */
export const readsOf = (figures: RungFigures): number =>
  READ_RUNGS.reduce((all, rung) => all + figures[rung].reads, 0);

/** The time that a share of the reads of a rung stayed below: a bound of the histogram, a power of two. */
export function boundMs({ buckets }: RungFigure, share: number): number | null {
  const all = buckets.at(-1)?.[1] ?? 0;
  if (all === 0) return null;
  const bound = buckets.find(([, count]) => count >= all * share)?.[0];
  return bound === undefined ? null : bound * 1000;
}

/** The time that a share of them stayed below; null of none. */
export function quantile(values: ArrayLike<number>, share: number): number | null {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;
}
