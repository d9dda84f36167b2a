import * as fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { Classifier } from '../../../src/sql/classify.ts';
import { type Hint, parseHint } from '../../../src/sql/hint.ts';
import { judge, MARIADB, MYSQL } from './helpers.ts';

// A busy machine is slow at making random texts.
vi.setConfig({ testTimeout: 60_000 });

const NONE: Hint = {
  target: null,
  consistency: null,
  maxLagMs: null,
  replicaTags: null,
  tag: null,
  problems: [],
};

/** The hint of a statement, `null` if the classifier sees none. */
function hintOf(text: string, ctx = MYSQL): Hint | null {
  const bytes = Buffer.from(text);
  const { hintStart, hintEnd } = new Classifier().classify(bytes, 0, bytes.length, ctx);
  return hintStart < 0 ? null : { ...parseHint(bytes, hintStart, hintEnd) };
}

describe('a comment in front of the first token is a hint', () => {
  test.each<[string, Partial<Hint>]>([
    ['/* lagwise: target=primary */ SELECT 1', { target: 'primary' }],
    ['/*lagwise:target=replica*/SELECT 1', { target: 'replica' }],
    ['/* LAGWISE : Target = PRIMARY */ SELECT 1', { target: 'primary' }],
    [
      '/* lagwise: target=primary, consistency=strong, max_lag_ms=500, tag=checkout */ SELECT 1',
      { target: 'primary', consistency: 'strong', maxLagMs: 500, tag: 'checkout' },
    ],
    [
      '/* lagwise: max_lag_ms=5 tag=a\ttarget=replica */ SELECT 1',
      { maxLagMs: 5, tag: 'a', target: 'replica' },
    ],
    ['/* lagwise:tag=a,,tag=b */ SELECT 1', { tag: 'b' }],
    ['/* lagwise: */ SELECT 1', {}],
    ['/* app=shop */ /* lagwise: tag=x */ SELECT 1', { tag: 'x' }],
    ['-- app\n/* lagwise: tag=x */ SELECT 1', { tag: 'x' }],
    [' \n /* lagwise: consistency=eventual */ SELECT 1', { consistency: 'eventual' }],
    ['/* lagwise: tag=x */ INSERT INTO t VALUES (1)', { tag: 'x' }],
    ['/* lagwise: tag=x */ /* lagwise: tag=y */ SELECT 1', { tag: 'x' }],
  ])('%s', (text, hint) => {
    expect(hintOf(text)).toEqual({ ...NONE, ...hint });
  });

  test.each([
    ['SELECT 1'],
    ['SELECT 1 /* lagwise: target=primary */'],
    ['SELECT /* lagwise: target=primary */ 1'],
    ['/* lagwise target=primary */ SELECT 1'],
    ['/* not lagwise: target=primary */ SELECT 1'],
    ['/*! lagwise: target=primary */ SELECT 1'],
    ['/*!50100 SELECT */ /* lagwise: target=primary */ 1'],
    ['/*M!100000 SELECT */ /* lagwise: target=primary */ 1'],
    ['/* lagwise: target=primary'],
    ['-- lagwise: target=primary\nSELECT 1'],
    ["'/* lagwise: target=primary */'"],
    ['/* lagwise'],
    [''],
  ])('%s has none', (text) => {
    expect(hintOf(text)).toBeNull();
    expect(hintOf(text, MARIADB)).toBeNull();
  });

  test('it changes nothing of the class', () => {
    expect(judge('/* lagwise: target=replica */ DELETE FROM t')).toBe('write/dml');
    expect(judge('/* lagwise: target=primary */ SELECT 1')).toBe('read/select');
  });

  test('what is left of a hint is not taken for the next statement', () => {
    const classifier = new Classifier();
    const hinted = Buffer.from('/* lagwise: tag=x */ SELECT 1');
    classifier.classify(hinted, 0, hinted.length, MYSQL);
    const plain = Buffer.from('SELECT 1');
    const { hintStart, hintEnd } = classifier.classify(plain, 0, plain.length, MYSQL);
    expect([hintStart, hintEnd]).toEqual([-1, -1]);
  });
});

describe('what is wrong in a hint is told, and the rest counts', () => {
  test.each<[string, Partial<Hint>]>([
    ['target=moon tag=a', { tag: 'a', problems: ['target is one of primary, replica'] }],
    [
      'consistency=maybe, target=primary',
      { target: 'primary', problems: ['consistency is one of eventual, session, global, strong'] },
    ],
    ['max_lag_ms=-1', { problems: ['max_lag_ms is a number of milliseconds up to 86400000'] }],
    ['max_lag_ms=1e3', { problems: ['max_lag_ms is a number of milliseconds up to 86400000'] }],
    [
      'max_lag_ms=99999999',
      { problems: ['max_lag_ms is a number of milliseconds up to 86400000'] },
    ],
    ['colour=red tag=a', { tag: 'a', problems: ["'colour' is not a key of hints"] }],
    ['primary', { problems: ["'primary' is not key=value"] }],
    ['= tag=a', { tag: 'a', problems: ["'=' is not key=value"] }],
    ['tag=', { problems: ['tag has 1 to 64 characters'] }],
    [`tag=${'x'.repeat(65)}`, { problems: ['tag has 1 to 64 characters'] }],
    ['x'.repeat(2000), { problems: ['The hint is longer than 1024 bytes'] }],
  ])('%s', (text, hint) => {
    expect(hintOf(`/* lagwise: ${text} */ SELECT 1`)).toEqual({ ...NONE, ...hint });
  });

  test('any text ends in a hint with few problems', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        const bytes = Buffer.from(text);
        expect(parseHint(bytes, 0, bytes.length).problems.length).toBeLessThanOrEqual(8);
      }),
    );
  });
});
