import { describe, expect, it } from 'vitest';
import * as fc from 'fast-check';
import {
  EMPTY_LAYER,
  type PolicyLayer,
  type PolicySource,
  resolvePolicy,
} from '../../../src/routing/policy.ts';
import { ROUTE_REASONS, ROUTES, type RouteInput, route } from '../../../src/routing/route.ts';
import { STATEMENT_CLASSES } from '../../../src/sql/classification.ts';

const plain: RouteInput = {
  cls: 'read',
  isAboutOneServer: false,
  startsReadOnlyTransaction: false,
  inTransaction: false,
  readOnlyTransaction: false,
  autocommit: true,
  serializable: false,
  pinned: false,
};

const DEFAULTS = { consistency: 'session', maxLagMs: 10_000, poolMode: 'transaction' } as const;
const said = (source: PolicySource, layer: Partial<PolicyLayer>) =>
  resolvePolicy([{ source, layer: { ...EMPTY_LAYER, ...layer } }], DEFAULTS);

const anyPolicy = fc
  .record({
    source: fc.constantFrom('hint', 'attribute', 'setting', 'rule'),
    target: fc.constantFrom('primary', 'replica', null),
    consistency: fc.constantFrom('eventual', 'session', 'global', 'strong', null),
  })
  .map(({ source, ...layer }) => said(source, layer));

const anyInput: fc.Arbitrary<RouteInput> = fc.record({
  cls: fc.constantFrom(...STATEMENT_CLASSES),
  isAboutOneServer: fc.boolean(),
  startsReadOnlyTransaction: fc.boolean(),
  inTransaction: fc.boolean(),
  readOnlyTransaction: fc.boolean(),
  autocommit: fc.boolean(),
  serializable: fc.boolean(),
  pinned: fc.boolean(),
  policy: fc.option(anyPolicy, { nil: undefined }),
});

describe('route', () => {
  it.each([
    ['a read', {}, 'replica', 'read'],
    ['a read about one server', { isAboutOneServer: true }, 'primary', 'about-one-server'],
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

  it.each([
    ['a read by a comment', 'hint', { target: 'primary' }, {}, 'primary', 'hint'],
    ['a read by an attribute', 'attribute', { target: 'primary' }, {}, 'primary', 'attribute'],
    ['a read by a variable', 'setting', { target: 'primary' }, {}, 'primary', 'setting'],
    ['a read by a rule', 'rule', { target: 'primary' }, {}, 'primary', 'rule'],
    ['a strong read', 'setting', { consistency: 'strong' }, {}, 'primary', 'strong'],
    ['a read that asks for a replica', 'hint', { target: 'replica' }, {}, 'replica', 'read'],
    [
      'a read about one server that asks for a replica',
      'hint',
      { target: 'replica' },
      { isAboutOneServer: true },
      'replica',
      'read',
    ],
    [
      'a read about one server of a session whose reads go to replicas',
      'setting',
      { target: 'replica' },
      { isAboutOneServer: true },
      'primary',
      'about-one-server',
    ],
    [
      'a write that asks for a replica',
      'hint',
      { target: 'replica' },
      { cls: 'write' },
      'primary',
      'not-a-read',
    ],
    [
      'an unknown statement that asks for a replica',
      'attribute',
      { target: 'replica' },
      { cls: 'unknown' },
      'primary',
      'not-a-read',
    ],
    [
      'a write of a session whose reads go to replicas',
      'setting',
      { target: 'replica' },
      { cls: 'write' },
      'primary',
      'write',
    ],
    [
      'START TRANSACTION READ ONLY of a session kept on the primary',
      'setting',
      { target: 'primary' },
      { cls: 'transaction', startsReadOnlyTransaction: true },
      'primary',
      'setting',
    ],
    [
      'a read that asks for a replica in a transaction',
      'hint',
      { target: 'replica' },
      { inTransaction: true },
      'same',
      'transaction',
    ],
    [
      'a read that asks for a replica with autocommit=0',
      'hint',
      { target: 'replica' },
      { autocommit: false },
      'primary',
      'autocommit-off',
    ],
  ] as const)('%s', (_, source, layer, given, ...[target, reason]) => {
    expect(route({ ...plain, ...given, policy: said(source, layer) })).toEqual({ target, reason });
  });

  it('sends to a replica what would not go there without a word only if it asks about one', () => {
    fc.assert(
      fc.property(anyInput, ({ policy, ...input }) => {
        if (route({ ...input, policy }).target !== 'replica') return;
        const isAsked = input.isAboutOneServer && policy?.asksReplica === true;
        expect(route(isAsked ? { ...input, isAboutOneServer: false } : input).target).toBe(
          'replica',
        );
      }),
      { numRuns: 20_000 },
    );
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
