import { describe, expect, it } from 'vitest';
import * as fc from 'fast-check';
import { ROUTE_REASONS, ROUTES, type RouteInput, route } from '../../../src/routing/route.ts';
import { STATEMENT_CLASSES } from '../../../src/sql/classification.ts';

const plain: RouteInput = {
  cls: 'read',
  startsReadOnlyTransaction: false,
  inTransaction: false,
  readOnlyTransaction: false,
  autocommit: true,
  serializable: false,
  pinned: false,
};

const anyInput: fc.Arbitrary<RouteInput> = fc.record({
  cls: fc.constantFrom(...STATEMENT_CLASSES),
  startsReadOnlyTransaction: fc.boolean(),
  inTransaction: fc.boolean(),
  readOnlyTransaction: fc.boolean(),
  autocommit: fc.boolean(),
  serializable: fc.boolean(),
  pinned: fc.boolean(),
});

describe('route', () => {
  it.each([
    ['a read', {}, 'replica', 'read'],
    ['a write', { cls: 'write' }, 'primary', 'write'],
    ['an unknown statement', { cls: 'unknown' }, 'primary', 'unknown'],
    ['BEGIN', { cls: 'transaction' }, 'primary', 'transaction'],
    [
      'START TRANSACTION READ ONLY',
      { cls: 'transaction', startsReadOnlyTransaction: true },
      'replica',
      'read-only-transaction',
    ],
    [
      'START TRANSACTION READ ONLY under SERIALIZABLE',
      { cls: 'transaction', startsReadOnlyTransaction: true, serializable: true },
      'primary',
      'serializable',
    ],
    [
      'START TRANSACTION READ ONLY with autocommit=0',
      { cls: 'transaction', startsReadOnlyTransaction: true, autocommit: false },
      'primary',
      'transaction',
    ],
    ['a read with autocommit=0', { autocommit: false }, 'primary', 'autocommit-off'],
    ['a read under SERIALIZABLE', { serializable: true }, 'primary', 'serializable'],
    ['a read in a transaction', { inTransaction: true }, 'same', 'transaction'],
    [
      'a read in a read-only transaction',
      { inTransaction: true, readOnlyTransaction: true },
      'same',
      'read-only-transaction',
    ],
    ['COMMIT', { cls: 'transaction', inTransaction: true }, 'same', 'transaction'],
    ['a read of a pinned session', { pinned: true }, 'same', 'pinned'],
    ['a write of a pinned session', { cls: 'write', pinned: true }, 'same', 'pinned'],
    ['SET', { cls: 'session' }, 'same', 'session'],
    ['KILL', { cls: 'local' }, 'same', 'local'],
    ['SHOW WARNINGS', { cls: 'same-server' }, 'same', 'same-server'],
  ] as const)('%s', (_, given, target, reason) => {
    expect(route({ ...plain, ...given })).toEqual({ target, reason });
  });

  it('sends only a plain read or a read-only transaction to a replica', () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        const { target } = route(input);
        if (target !== 'replica') return;
        expect(input.inTransaction || input.pinned || !input.autocommit).toBe(false);
        expect(input.serializable).toBe(false);
        expect(input.cls === 'read' || input.startsReadOnlyTransaction).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('hands out the same frozen objects each time', () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        expect(ROUTES).toContain(route(input));
        expect(route(input)).toBe(route({ ...input }));
      }),
    );
    expect(ROUTES.every((each) => Object.isFrozen(each))).toBe(true);
    expect(new Set(ROUTES.map((each) => each.reason))).toEqual(new Set(ROUTE_REASONS));
  });
});
