import { describe, expect, test } from 'vitest';
import { parseLagwiseSelect, parseLagwiseSetting } from '../../../src/sql/lagwise-setting.ts';
import { effectNames, judge, MYSQL } from './helpers.ts';

function settings(text: string): Record<string, string | null> | null {
  const bytes = Buffer.from(text);
  const list = parseLagwiseSetting(bytes, 0, bytes.length, MYSQL);
  return list === null ? null : Object.fromEntries(list.map(({ name, value }) => [name, value]));
}

function columns(text: string): [string, string][] | null {
  const bytes = Buffer.from(text);
  const list = parseLagwiseSelect(bytes, 0, bytes.length, MYSQL);
  return list === null ? null : list.map(({ name, title }) => [name, title]);
}

describe('SET of nothing but variables of the proxy is its own matter', () => {
  test.each([
    ["SET @lagwise_consistency = 'strong'", { lagwise_consistency: 'strong' }],
    ['set @LAGWISE_Target:="replica";', { lagwise_target: 'replica' }],
    ["SET @lagwise_a = 'x', @lagwise_b := 5", { lagwise_a: 'x', lagwise_b: '5' }],
    ['SET @lagwise_max_lag_ms = 500', { lagwise_max_lag_ms: '500' }],
    ['SET @lagwise_tag = NULL, @lagwise_x = DEFAULT', { lagwise_tag: null, lagwise_x: null }],
    ["SET @`lagwise_tag` = 'it''s'", { lagwise_tag: "it's" }],
    ["/* x */ SET /* y */ @lagwise_tag /* z */ = 'a' -- b", { lagwise_tag: 'a' }],
    ['SET @lagwise_consistency = strong', { lagwise_consistency: 'strong' }],
    ['SET @lagwise_consistency = session', { lagwise_consistency: 'session' }],
  ])('%s', (text, expected) => {
    expect(settings(text)).toEqual(expected);
    expect(judge(text)).toBe('local/lagwise-setting');
    expect(effectNames(text)).toEqual([]);
  });

  test.each([
    ["SET @lagwise_a = 'x', @b = 1", 'session/set', ['SETS_USER_VARIABLE']],
    ["SET @b = 1, @lagwise_a = 'x'", 'session/set', ['SETS_USER_VARIABLE']],
    [
      "SET @lagwise_a = 'x', autocommit = 0",
      'session/set',
      ['SETS_AUTOCOMMIT_OFF', 'SETS_SESSION_VARIABLE', 'SETS_USER_VARIABLE'],
    ],
    ['SET @lagwise_a = 1 + 1', 'session/set-expression', ['SETS_USER_VARIABLE']],
    ['SET @lagwise_a = f()', 'unknown/unknown-function', ['SETS_USER_VARIABLE', 'OPAQUE']],
    ['SET @lagwise_a = ?', 'session/set', ['SETS_USER_VARIABLE']],
    ['SET @lagwise_a = @b', 'session/set-expression', ['SETS_USER_VARIABLE', 'USES_USER_VARIABLE']],
    ["SET @lagwise_a = 'a\\nb'", 'session/set', ['SETS_USER_VARIABLE']],
    ["SET @lagwise = 'x'", 'session/set', ['SETS_USER_VARIABLE']],
    ["SET @xlagwise_a = 'x'", 'session/set', ['SETS_USER_VARIABLE']],
    ["SET @lagwise_a = 'x'; SELECT 1", 'unknown/multi-statement', ['SETS_USER_VARIABLE']],
  ])('%s stays as it is', (text, verdict, effects) => {
    expect(judge(text)).toBe(verdict);
    expect(effectNames(text)).toEqual(effects);
    expect(settings(text)).toBeNull();
  });
});

describe('SELECT of nothing but variables of the proxy is answered by it', () => {
  test.each([
    ['SELECT @lagwise_target', [['lagwise_target', '@lagwise_target']]],
    ['select @LAGWISE_Target ;', [['lagwise_target', '@LAGWISE_Target']]],
    [
      "SELECT @lagwise_a AS a, @lagwise_b `b c`, @lagwise_c AS 'd'",
      [
        ['lagwise_a', 'a'],
        ['lagwise_b', 'b c'],
        ['lagwise_c', 'd'],
      ],
    ],
    ['SELECT @`lagwise_a`', [['lagwise_a', '@`lagwise_a`']]],
  ])('%s', (text, expected) => {
    expect(columns(text)).toEqual(expected);
    expect(judge(text)).toBe('local/lagwise-setting');
    expect(effectNames(text)).toEqual([]);
  });

  test.each([
    ['SELECT @lagwise_a, 1', 'read/select'],
    ['SELECT @lagwise_a FROM t', 'read/select'],
    ['SELECT @lagwise_a LIMIT 1', 'read/select'],
    ['SELECT @lagwise_a + 1', 'read/select'],
    ['SELECT @a, @lagwise_a', 'read/select'],
    ['SELECT @lagwise_a AS', 'read/select'],
    ['SELECT @lagwise_a INTO @b', 'write/into'],
    ['SELECT @lagwise_a := 1', 'write/user-variable-assignment'],
    ['SELECT 1 WHERE @lagwise_a = 1', 'read/select'],
  ])('%s stays as it is', (text, verdict) => {
    expect(columns(text)).toBeNull();
    expect(judge(text)).toBe(verdict);
  });
});
