import { describe, expect, it } from 'vitest';
import { check, type EndState, type Judgement, PROMISED } from '../../consistency/checks.ts';
import { LEVELS, type Level, NO_VALUE } from '../../consistency/history.ts';
import { historyOf, read, type Sketch, wrote } from './histories.ts';

/** What a check found, without the kinds that it did not. */
function found({ counts }: Judgement): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

function judged(level: Level, ...sketches: Sketch[]): Record<string, number> {
  return found(check(historyOf(sketches, level), null));
}

const OTHER = { client: 2, session: 2 };

describe('read-your-writes', () => {
  const stale = [wrote(1, 0), wrote(2, 2), read(1, 4)];

  it.each(['session', 'global', 'strong'] as const)('is promised at level %s', (level) => {
    expect(judged(level, ...stale)).toMatchObject({ 'read-your-writes': 1 });
  });

  it('is not promised at level eventual, unless the reads are judged so', () => {
    expect(judged('eventual', ...stale)).toEqual({});
    const history = historyOf(stale, 'eventual');
    expect(check(history, null, 'session').counts['read-your-writes']).toBe(1);
  });

  it('is broken by a value that was never there as well', () => {
    expect(judged('session', wrote(1, 0), read(0, 2))).toMatchObject({ 'read-your-writes': 1 });
  });

  it('does not ask for the writes of another session', () => {
    expect(judged('session', wrote(1, 0), read(0, 2, OTHER))).toEqual({});
  });

  it('does not ask for writes of failed or unknown outcome', () => {
    expect(judged('session', wrote(1, 0, { outcome: 'failed' }), read(0, 2))).toEqual({});
    expect(judged('session', wrote(1, 0, { outcome: 'unknown' }), read(0, 2))).toEqual({});
    expect(judged('session', wrote(1, 0, { outcome: 'unknown' }), read(1, 2))).toEqual({});
  });

  it('is shown with the operations that break it', () => {
    const [example] = check(historyOf(stale), null).examples;
    expect(example).toMatchObject({ kind: 'read-your-writes', key: 0, operations: [1, 2] });
    expect(example?.text).toContain('#2 read 0 = 1');
  });

  it('does not ask for anything of a read that failed', () => {
    expect(judged('strong', wrote(1, 0), read(NO_VALUE, 2, { outcome: 'failed' }))).toEqual({});
  });
});

describe('monotonic reads', () => {
  const writes = [wrote(1, 0, OTHER), wrote(2, 2, OTHER)];

  it('are broken when a session sees a register go back', () => {
    expect(judged('session', ...writes, read(2, 4), read(1, 6))).toMatchObject({
      'monotonic-reads': 1,
    });
  });

  it('hold across sessions only at level strong', () => {
    const back = [...writes, read(2, 2.5, { completedMs: 2.6 }), read(1, 2.7, { session: 3 })];
    expect(judged('session', ...back)).toEqual({});
    expect(judged('global', ...back)).toEqual({});
    expect(judged('strong', ...back)).toEqual({ 'stale-strong': 1 });
  });

  it('allow what two reads at the same time saw in any order', () => {
    const together = [
      ...writes,
      read(2, 2.5, { completedMs: 2.8 }),
      read(1, 2.6, { session: 3, completedMs: 2.9 }),
    ];
    expect(judged('strong', ...together)).toEqual({});
  });

  it('do not ask one register to be as new as another', () => {
    const both = [wrote(1, 0, { ...OTHER, key: 1 }), wrote(1, 0.5, OTHER)];
    expect(judged('session', ...both, read(1, 4), read(0, 6, { key: 1 }))).toEqual({});
  });
});

describe('causal reads', () => {
  it('are broken when a session sees a write, but not what was acknowledged before it began', () => {
    const writes = [wrote(1, 0, { ...OTHER, key: 1 }), wrote(1, 2, OTHER)];
    expect(judged('session', ...writes, read(1, 4), read(0, 6, { key: 1 }))).toEqual({
      'causal-reads': 1,
    });
  });

  it('hold after a write of the session itself', () => {
    const writes = [wrote(1, 0, { ...OTHER, key: 1 }), wrote(1, 2)];
    expect(judged('session', ...writes, read(0, 6, { key: 1 }))).toEqual({ 'causal-reads': 1 });
  });

  it('hold after a write of unknown outcome that was seen', () => {
    const writes = [
      wrote(1, 0, { ...OTHER, key: 1 }),
      wrote(1, 2, { ...OTHER, outcome: 'unknown' }),
    ];
    expect(judged('session', ...writes, read(1, 4), read(0, 6, { key: 1 }))).toEqual({
      'causal-reads': 1,
    });
  });
});

describe('levels mixed in one session', () => {
  const EVENTUAL = { level: 'eventual' } as const;
  const writes = [wrote(1, 0, OTHER), wrote(2, 2, OTHER)];

  it('let a read of level eventual bind no later one', () => {
    expect(judged('session', ...writes, read(2, 4, EVENTUAL), read(1, 6))).toEqual({});
  });

  it('do not let it lower what a stronger read has shown', () => {
    const sketches = [...writes, read(2, 4), read(1, 6, EVENTUAL), read(1, 8)];
    expect(judged('session', ...sketches)).toMatchObject({ 'monotonic-reads': 1 });
  });

  it('let a strong read not see what only a replica has shown to another session', () => {
    const under = wrote(1, 0, { ...OTHER, completedMs: 9 });
    const strong = { level: 'strong' } as const;
    expect(judged('session', under, read(1, 2), read(0, 4, { ...strong, session: 3 }))).toEqual({});
    expect(
      judged('session', under, read(1, 2, strong), read(0, 4, { ...strong, session: 3 })),
    ).toEqual({ 'stale-strong': 1 });
  });

  it('hold each read to its own', () => {
    const reads = [read(0, 4), read(0, 6, { level: 'global' }), read(0, 8, EVENTUAL)];
    expect(judged('session', ...writes, ...reads)).toEqual({ 'stale-global': 1 });
  });
});

describe('a session that follows another on its connection', () => {
  const NEXT = { session: 3 };

  function following(...sketches: Sketch[]): Record<string, number> {
    const history = historyOf(sketches);
    history.succeed(3, 1);
    return found(check(history, null));
  }

  it('has to see what that one wrote', () => {
    expect(following(wrote(1, 0), read(0, 2, NEXT))).toMatchObject({ 'read-your-writes': 1 });
    expect(judged('session', wrote(1, 0), read(0, 2, NEXT))).toEqual({});
  });

  it('has to see what was acknowledged before that one wrote', () => {
    const sketches = [
      wrote(1, 0, { ...OTHER, key: 1 }),
      wrote(1, 2),
      read(0, 6, { ...NEXT, key: 1 }),
    ];
    expect(following(...sketches)).toEqual({ 'causal-reads': 1 });
  });

  it('need not see what that one read', () => {
    const sketches = [
      wrote(1, 0, { ...OTHER, key: 1 }),
      wrote(1, 2, OTHER),
      read(1, 4),
      read(0, 6, NEXT),
      read(0, 8, { ...NEXT, key: 1 }),
    ];
    expect(following(...sketches)).toEqual({});
  });

  it('hands on what its own predecessor wrote, though it has done nothing itself', () => {
    const history = historyOf([wrote(1, 0), read(0, 4, { session: 4 })]);
    history.succeed(3, 1);
    history.succeed(4, 3);
    expect(check(history, null).counts['read-your-writes']).toBe(1);
  });
});

describe('global visibility', () => {
  const write = wrote(1, 0, OTHER);

  it('is broken by a read that began after anybody had the acknowledgement', () => {
    expect(judged('global', write, read(0, 2))).toEqual({ 'stale-global': 1 });
    expect(judged('strong', write, read(0, 2))).toEqual({ 'stale-global': 1 });
    expect(judged('session', write, read(0, 2))).toEqual({});
  });

  it('does not ask for a write whose acknowledgement came later', () => {
    expect(judged('strong', write, read(0, 0.5))).toEqual({});
    expect(judged('strong', write, read(0, 1, { completedMs: 9 }))).toEqual({});
  });

  it('is satisfied by a newer value', () => {
    const newer = [write, wrote(2, 2, { ...OTHER, completedMs: 9 }), read(2, 3)];
    expect(judged('strong', ...newer)).toEqual({});
  });
});

describe('values', () => {
  it('that nobody wrote are found at every level', () => {
    for (const level of LEVELS) expect(judged(level, read(7, 0))).toEqual({ 'unwritten-value': 1 });
  });

  it('of a write that is said to have failed are found', () => {
    const failed = wrote(1, 0, { outcome: 'failed' });
    expect(judged('eventual', failed, read(1, 2))).toEqual({ 'unwritten-value': 1 });
  });

  it('that are read before they are written are found', () => {
    expect(judged('eventual', read(1, 0), wrote(1, 2))).toEqual({ 'unwritten-value': 1 });
    expect(judged('eventual', read(1, 0, { completedMs: 4 }), wrote(1, 2))).toEqual({});
  });

  it('of a counter are at most the increments that had begun', () => {
    const counted = (value: number) => [
      wrote(1, 0, { key: 2 }),
      wrote(NO_VALUE, 2, { key: 2, outcome: 'unknown' }),
      read(value, 4, { key: 2 }),
    ];
    expect(judged('session', ...counted(2))).toEqual({});
    expect(judged('session', ...counted(3))).toEqual({ 'unwritten-value': 1 });
  });
});

describe('lost writes', () => {
  const end = (value: number, writes: number, replica = { value, writes }): EndState => ({
    primary: [{ value, writes }, ...NOTHING],
    replicas: { db2: [replica, ...NOTHING] },
  });
  const NOTHING = Array.from({ length: 3 }, () => ({ value: 0, writes: 0 }));
  const three = historyOf([wrote(1, 0), wrote(2, 2), wrote(3, 4)]);

  it('are none when the end state has all', () => {
    expect(found(check(three, end(3, 3)))).toEqual({});
  });

  it('are found when the newest is missing', () => {
    expect(found(check(three, end(2, 2)))).toEqual({ 'lost-write': 1 });
  });

  it('are found when a later write hides that one is missing', () => {
    expect(found(check(three, end(3, 2)))).toEqual({ 'lost-write': 1 });
  });

  it('of unknown outcome may be there or not', () => {
    const unknown = historyOf([wrote(1, 0), wrote(2, 2, { outcome: 'unknown' })]);
    expect(found(check(unknown, end(1, 1)))).toEqual({});
    expect(found(check(unknown, end(2, 2)))).toEqual({});
    expect(found(check(unknown, end(2, 3)))).toEqual({ 'repeated-write': 1 });
  });

  it('are found when two increments come to the same value, or do not build on each other', () => {
    const key = 2;
    expect(judged('eventual', wrote(1, 0, { key }), wrote(1, 0.5, { key }))).toEqual({
      'lost-write': 1,
    });
    expect(judged('eventual', wrote(2, 0, { key }), wrote(1, 5, { key }))).toEqual({
      'lost-write': 1,
    });
  });

  it('are not found in increments that overlap', () => {
    const key = 2;
    expect(judged('eventual', wrote(2, 0, { key }), wrote(1, 0.5, { key }))).toEqual({});
  });

  it('have a counterpart: writes that happened twice', () => {
    expect(judged('eventual', wrote(1, 0, { outcome: 'void' }))).toEqual({ 'repeated-write': 1 });
    expect(found(check(three, end(3, 4)))).toEqual({ 'repeated-write': 1 });
  });

  it('on a replica are found, too', () => {
    expect(found(check(three, end(3, 3, { value: 2, writes: 2 })))).toEqual({
      'replica-differs': 1,
    });
    expect(found(check(three, { ...end(3, 3), replicas: { db2: [] } }))).toEqual({
      'replica-differs': 4,
    });
  });
});

describe('findings', () => {
  it('are counted all, and shown in part', () => {
    const stale = Array.from({ length: 50 }, (_, at) => read(0, 2 + at));
    const { counts, examples, total } = check(historyOf([wrote(1, 0), ...stale]), null);
    expect(counts['read-your-writes']).toBe(50);
    expect(examples.filter(({ kind }) => kind === 'read-your-writes')).toHaveLength(5);
    expect(total).toBe(50);
  });

  it('promise more at each stronger level', () => {
    const promised = LEVELS.map((level) => PROMISED[level]);
    promised.reduce((weaker, stronger) => {
      expect(stronger.isSupersetOf(weaker)).toBe(true);
      expect(stronger.size).toBeGreaterThan(weaker.size);
      return stronger;
    });
  });
});
