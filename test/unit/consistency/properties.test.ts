import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { check, PROMISED, type ViolationKind } from '../../consistency/checks.ts';
import { History, LEVELS, type Level, type Operation } from '../../consistency/history.ts';
import { SESSIONS, simulate, type Step } from './simulated.ts';

const RUNS = 300;
/** Of properties that also count how often something came about. */
const SEED = 20;

const steps = fc.array(
  fc.record<Step>({
    session: fc.nat({ max: SESSIONS - 1 }),
    writes: fc.boolean(),
    key: fc.nat({ max: SESSIONS - 1 }),
    freshness: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    outcome: fc.constantFrom('ok', 'ok', 'ok', 'ok', 'failed', 'unknown'),
  }),
  { minLength: 30, maxLength: 400, size: 'max' },
);
const levels = fc.constantFrom<Level>(...LEVELS);

function historyWith(operations: readonly Operation[]): History {
  const history = new History({ registers: SESSIONS, counters: 0 }, operations.length + 1);
  for (const operation of operations) history.add(operation);
  return history;
}

/**
 * The promises in their plainest words, each read compared with each operation: what `check` has to
 * find by its indexes.
 */
function brokenPlainly(operations: readonly Operation[], at: number): Set<ViolationKind> {
  const broken = new Set<ViolationKind>();
  const read = operations[at];
  if (read === undefined || read.kind !== 'read' || read.outcome !== 'ok') return broken;
  operations.forEach((other, index) => {
    if (other.outcome !== 'ok') return;
    const newer = other.key === read.key && other.value > read.value;
    const before = other.completedMs < read.invokedMs;
    if (other.session === read.session && index < at) {
      if (newer) broken.add(other.kind === 'write' ? 'read-your-writes' : 'monotonic-reads');
      const write = other.kind === 'write' ? other : writeOf(operations, other);
      if (write !== undefined && acknowledgedNewer(operations, read, write.invokedMs)) {
        broken.add('causal-reads');
      }
    }
    if (newer && before) broken.add(other.kind === 'write' ? 'stale-global' : 'stale-strong');
  });
  return broken;
}

function writeOf(operations: readonly Operation[], read: Operation): Operation | undefined {
  return operations.find(
    ({ kind, key, value }) => kind === 'write' && key === read.key && value === read.value,
  );
}

function acknowledgedNewer(operations: readonly Operation[], read: Operation, ms: number): boolean {
  return operations.some(
    ({ kind, key, value, outcome, completedMs }) =>
      kind === 'write' &&
      outcome === 'ok' &&
      key === read.key &&
      value > read.value &&
      completedMs < ms,
  );
}

describe('the check of a history', () => {
  it('finds nothing in what a correct cluster does', () => {
    fc.assert(
      fc.property(levels, steps, (level, plan) => {
        const judgement = check(historyWith(simulate(level, plan)), null);
        expect(judgement.examples.map(({ text }) => text)).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });

  it('finds in a weaker cluster what plain comparison of all operations finds', () => {
    const seen = new Set<ViolationKind>();
    fc.assert(
      fc.property(levels, levels, steps, (level, judgedAs, plan) => {
        const operations = simulate(level, plan);
        const expected: Partial<Record<ViolationKind, number>> = {};
        operations.forEach((_, at) => {
          for (const kind of brokenPlainly(operations, at)) {
            if (!PROMISED[judgedAs].has(kind)) continue;
            expected[kind] = (expected[kind] ?? 0) + 1;
            seen.add(kind);
          }
        });
        const { counts } = check(historyWith(operations), null, judgedAs);
        for (const kind of PROMISED.strong) expect(counts[kind]).toBe(expected[kind] ?? 0);
      }),
      { numRuns: RUNS, seed: SEED },
    );
    // Otherwise the property would say nothing of that kind.
    expect(seen).toEqual(PROMISED.strong);
  });

  it('finds any one read that is made staler than its level promises', () => {
    let corrupted = 0;
    fc.assert(
      fc.property(levels, steps, fc.nat(), (level, plan, choice) => {
        const operations = simulate(level, plan);
        const candidates = operations.flatMap((operation, at) => {
          if (operation.kind !== 'read' || operation.outcome !== 'ok') return [];
          const zero = operations.with(at, { ...operation, value: 0 });
          const kinds = [...brokenPlainly(zero, at)].filter((kind) => PROMISED[level].has(kind));
          return kinds.length === 0 ? [] : [{ zero, at, kinds }];
        });
        if (candidates.length === 0) return;
        corrupted += 1;
        const { zero, at, kinds } = candidates[choice % candidates.length] ?? {};
        if (zero === undefined || at === undefined) throw new Error('There is a candidate');
        const { examples } = check(historyWith(zero), null);
        const blamed = examples.filter(({ operations: of }) => of.at(-1) === at);
        expect(blamed.map(({ kind }) => kind).toSorted()).toEqual(kinds?.toSorted());
      }),
      { numRuns: RUNS, seed: SEED },
    );
    expect(corrupted).toBeGreaterThan(RUNS / 4);
  });

  it('finds any one acknowledged write that the end state lacks', () => {
    fc.assert(
      fc.property(levels, steps, fc.nat({ max: SESSIONS - 1 }), (level, plan, key) => {
        const operations = simulate(level, plan);
        const values = Array.from({ length: SESSIONS }, (_, at) => {
          const writes = operations.filter((each) => each.kind === 'write' && each.key === at);
          const ok = writes.filter(({ outcome }) => outcome === 'ok');
          return { value: ok.at(-1)?.value ?? 0, writes: ok.length };
        });
        const history = historyWith(operations);
        expect(check(history, { primary: values, replicas: {} }).total).toBe(0);
        const held = values[key];
        if (held === undefined || held.writes === 0) return;
        const lacking = values.with(key, { ...held, writes: held.writes - 1 });
        expect(check(history, { primary: lacking, replicas: {} }).counts['lost-write']).toBe(1);
      }),
      { numRuns: RUNS },
    );
  });
});
