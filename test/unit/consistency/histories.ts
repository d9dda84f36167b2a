import {
  History,
  type Keys,
  type Level,
  NO_VALUE,
  type Operation,
} from '../../consistency/history.ts';

/** An operation with what a test does not care about left out. */
export type Sketch = Partial<Operation> & Pick<Operation, 'kind' | 'invokedMs' | 'completedMs'>;

/** The history of the sketches; keys 0 and 1 are registers, 2 and 3 counters. */
export function historyOf(
  sketches: readonly Sketch[],
  level: Level = 'session',
  keys: Keys = { registers: 2, counters: 2 },
): History {
  const history = new History(keys, Math.max(1, sketches.length));
  for (const sketch of sketches) {
    history.add({
      client: 1,
      session: 1,
      key: 0,
      value: NO_VALUE,
      level,
      outcome: 'ok',
      server: 0,
      proxy: 0,
      ...sketch,
    });
  }
  return history;
}

/** A write of register 0 in session 1, from `at` to `at + 1`. */
export function wrote(value: number, at: number, rest: Partial<Operation> = {}): Sketch {
  return { kind: 'write', value, invokedMs: at, completedMs: at + 1, ...rest };
}

/** A read of register 0 in session 1, from `at` to `at + 1`. */
export function read(value: number, at: number, rest: Partial<Operation> = {}): Sketch {
  return { kind: 'read', value, invokedMs: at, completedMs: at + 1, ...rest };
}
