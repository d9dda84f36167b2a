import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  EMPTY_LAYER,
  isAssumedRead,
  POLICY_FIELDS,
  POLICY_SOURCES,
  type PolicyLayer,
  type PolicySource,
  resolvePolicy,
} from '../../../src/routing/policy.ts';
import { type LayerDraft, POLICY_WORDS, setPolicyWord } from '../../../src/routing/policy-words.ts';
import { EFFECT } from '../../../src/sql/classification.ts';

const DEFAULTS = { consistency: 'session', maxLagMs: 10_000, poolMode: 'transaction' } as const;
const layer = (source: PolicySource, given: Partial<PolicyLayer>) => ({
  source,
  layer: { ...EMPTY_LAYER, ...given },
});

const anyLayer: fc.Arbitrary<PolicyLayer> = fc.record({
  target: fc.constantFrom('primary', 'replica', null),
  consistency: fc.constantFrom('eventual', 'session', 'global', 'strong', null),
  maxLagMs: fc.constantFrom(0, 500, null),
  replicaTags: fc.constantFrom(['a'], [], null),
  poolMode: fc.constantFrom('transaction', 'session', null),
  tag: fc.constantFrom('a', 'b', null),
});
const anyLayers = fc
  .tuple(anyLayer, anyLayer, anyLayer, anyLayer)
  .map((layers) =>
    layers.map((each, index) => ({ source: POLICY_SOURCES[index] ?? 'config', layer: each })),
  );

describe('a policy', () => {
  it('is the defaults where nobody says anything', () => {
    expect(resolvePolicy([], DEFAULTS)).toMatchObject({
      target: null,
      ...DEFAULTS,
      tag: null,
      forcedBy: null,
      asksReplica: false,
      sources: { target: 'config', consistency: 'config', maxLagMs: 'config' },
    });
  });

  it('takes each field from its strongest source', () => {
    const policy = resolvePolicy(
      [
        layer('hint', { maxLagMs: 5 }),
        layer('setting', { maxLagMs: 50, consistency: 'eventual' }),
        layer('rule', { consistency: 'strong', target: 'primary', poolMode: 'session' }),
      ],
      DEFAULTS,
    );
    expect(policy).toMatchObject({
      target: 'primary',
      consistency: 'eventual',
      maxLagMs: 5,
      poolMode: 'session',
      forcedBy: 'rule',
      sources: { target: 'rule', consistency: 'setting', maxLagMs: 'hint', poolMode: 'rule' },
    });
  });

  it('keeps reads on the primary where strong is the default', () => {
    expect(resolvePolicy([], { ...DEFAULTS, consistency: 'strong' }).forcedBy).toBe('strong');
  });

  it('strong beats a replica that is asked for no more strongly', () => {
    for (const source of ['hint', 'setting'] as const) {
      const policy = resolvePolicy(
        [layer(source, { consistency: 'strong' }), layer('setting', { target: 'replica' })],
        DEFAULTS,
      );
      expect(policy).toMatchObject({ target: null, forcedBy: 'strong', asksReplica: false });
    }
  });

  it('a replica asked for more strongly beats strong, and gives what a replica can', () => {
    const policy = resolvePolicy(
      [layer('hint', { target: 'replica' }), layer('setting', { consistency: 'strong' })],
      DEFAULTS,
    );
    expect(policy).toMatchObject({
      target: 'replica',
      consistency: 'global',
      forcedBy: null,
      asksReplica: true,
      sources: { consistency: 'hint' },
    });
  });

  it('a replica may be asked for together with global', () => {
    const both = layer('hint', { target: 'replica', consistency: 'global' });
    expect(resolvePolicy([both], DEFAULTS)).toMatchObject({
      target: 'replica',
      consistency: 'global',
      forcedBy: null,
    });
  });

  it('is frozen, names a source for each field, and never promises strong on a replica', () => {
    fc.assert(
      fc.property(anyLayers, (layers) => {
        const policy = resolvePolicy(layers, DEFAULTS);
        expect(Object.isFrozen(policy) && Object.isFrozen(policy.sources)).toBe(true);
        expect(Object.keys(policy.sources).sort()).toEqual([...POLICY_FIELDS].sort());
        expect(policy.forcedBy === null).toBe(
          policy.consistency !== 'strong' && policy.target !== 'primary',
        );
        if (policy.asksReplica) expect(policy.forcedBy).toBe(null);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('an assumed read', () => {
  const trusting = resolvePolicy([], DEFAULTS, true);
  const call = { cls: 'unknown', reason: 'unknown-function', effects: EFFECT.OPAQUE } as const;

  it('is a statement that is unknown for its functions alone', () => {
    expect(isAssumedRead(call, trusting)).toBe(true);
    expect(isAssumedRead(call, resolvePolicy([], DEFAULTS))).toBe(false);
  });

  it.each([
    { ...call, cls: 'write', reason: 'dml' } as const,
    { ...call, cls: 'write', reason: 'for-update' } as const,
    { ...call, reason: 'multi-statement' } as const,
    { ...call, reason: 'not-lexed' } as const,
    { ...call, reason: 'unknown-statement' } as const,
    { ...call, effects: EFFECT.OPAQUE | EFFECT.SETS_USER_VARIABLE },
    { ...call, effects: EFFECT.TAKES_USER_LOCK },
  ])('is never $cls for $reason with effects $effects', (statement) => {
    expect(isAssumedRead(statement, trusting)).toBe(false);
  });
});

describe('words of clients', () => {
  const draft = (given: Partial<PolicyLayer> = {}): LayerDraft => ({ ...EMPTY_LAYER, ...given });

  it.each([
    ['target', 'PRIMARY', { target: 'primary' }],
    ['Consistency', 'strong', { consistency: 'strong' }],
    ['consistency', 'GLOBAL', { consistency: 'global' }],
    ['max_lag_ms', '0', { maxLagMs: 0 }],
    ['max_lag_ms', '2147483647', { maxLagMs: 2_147_483_647 }],
    ['replica_tags', 'a+b.c', { replicaTags: ['a', 'b.c'] }],
    ['replica_tags', 'a, b', { replicaTags: ['a', 'b'] }],
    ['replica_tags', '', { replicaTags: [] }],
    ['tag', 'Check out', { tag: 'Check out' }],
  ])('%s=%s is taken', (name, value, expected) => {
    const layerDraft = draft();
    expect(setPolicyWord(layerDraft, name, value)).toBe(null);
    expect(layerDraft).toEqual({ ...EMPTY_LAYER, ...expected });
  });

  it.each(POLICY_WORDS)('NULL takes %s back', (name) => {
    const full = {
      target: 'primary',
      consistency: 'strong',
      maxLagMs: 1,
      replicaTags: ['a'],
      tag: 'a',
    } as const;
    const layerDraft = draft(full);
    expect(setPolicyWord(layerDraft, name, null)).toBe(null);
    const fields: Readonly<Record<string, string>> = {
      max_lag_ms: 'maxLagMs',
      replica_tags: 'replicaTags',
    };
    const field = fields[name] ?? name;
    expect(layerDraft).toEqual({ ...EMPTY_LAYER, ...full, [field]: null });
  });

  it.each([
    ['target', 'master', /expected primary or replica/],
    ['consistency', '', /expected eventual or session or global or strong/],
    ['max_lag_ms', '-1', /an integer from 0 to 2147483647/],
    ['max_lag_ms', '2147483648', /an integer/],
    ['max_lag_ms', '1e3', /an integer/],
    ['replica_tags', 'a++b', /expected up to 32 tags/],
    ['replica_tags', 'a b', /"a b"/],
    ['tag', '', /0 characters/],
    ['tag', 'x'.repeat(65), /65 characters/],
    ['pool_mode', 'session', /there is no "pool_mode"/],
    ['x'.repeat(5000), 'y', /there is no "x+…"/],
  ])('%s=%s is told to be wrong and changes nothing', (name, value, problem) => {
    const layerDraft = draft({ target: 'replica', tag: 'kept' });
    expect(setPolicyWord(layerDraft, name, value)).toMatch(problem);
    expect(layerDraft).toEqual(draft({ target: 'replica', tag: 'kept' }));
  });
});
