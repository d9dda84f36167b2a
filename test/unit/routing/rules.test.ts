import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { RuleSet } from '../../../src/routing/rules.ts';
import type { NamedTable } from '../../../src/routing/rules-match.ts';

const MINIMAL = { servers: [{ host: 'db1' }], monitor: { user: 'm', password: 'x' } };
const ruleSet = (rules: readonly object[], keys: object = {}) =>
  new RuleSet(parseConfig({ ...MINIMAL, rules, ...keys }, { env: {} }));

interface Statement {
  readonly user?: string;
  readonly clientAddr?: string;
  readonly schema?: string | null;
  readonly digest?: readonly [hi: number, lo: number];
  readonly tag?: string | null;
  readonly tables?: readonly NamedTable[] | null;
}

function ask(set: RuleSet, statement: Statement = {}) {
  const { user = 'app', clientAddr = '127.0.0.1', tables = [] } = statement;
  // The same digest means the same tables.
  const { digest = [0, JSON.stringify(tables).length] } = statement;
  const session = set.forSession(user, clientAddr);
  return session
    .inSchema(statement.schema ?? null)
    .outcomeOf({ digestHi: digest[0], digestLo: digest[1] }, statement.tag ?? null, {
      tables: () => tables,
    });
}

const PRIMARY = { target: 'primary' } as const;

describe('rules', () => {
  it('say nothing, and the same nothing, where there are none', () => {
    const set = ruleSet([]);
    const outcome = ask(set);
    expect(outcome.layers).toEqual([]);
    expect(outcome.policy).toBe(ask(set, { user: 'other', schema: 'x' }).policy);
    expect(outcome.policy).toMatchObject({ target: null, consistency: 'session' });
  });

  it.each<[string, object, Statement, Statement]>([
    ['user', { user: ['report', 'etl'] }, { user: 'etl' }, { user: 'Etl' }],
    [
      'client address',
      { clientAddr: ['10.0.0.0/8', '::1'] },
      { clientAddr: '::ffff:10.9.8.7' },
      { clientAddr: '127.0.0.1' },
    ],
    ['no address at all', { clientAddr: '0.0.0.0/0' }, {}, { clientAddr: 'unknown' }],
    ['schema', { schema: 'audit' }, { schema: 'audit' }, { schema: null }],
    [
      'digest',
      { digest: '0000000AffffFFFF' },
      { digest: [10, 0xffff_ffff] },
      { digest: [10, 0xffff_fffe] },
    ],
    ['tag', { tag: 'checkout' }, { tag: 'checkout' }, { tag: 'Checkout' }],
    [
      'table prefix',
      { tablePrefix: 'Audit_' },
      {
        tables: [
          { schema: null, table: 'users' },
          { schema: null, table: 'AUDIT_log' },
        ],
      },
      { tables: [{ schema: 'audit_', table: 'users' }] },
    ],
    [
      'table prefix with the schema it is in',
      { tablePrefix: 'audit.l' },
      { tables: [{ schema: 'Audit', table: 'log' }], schema: 'app' },
      { tables: [{ schema: null, table: 'log' }], schema: 'app' },
    ],
    [
      'table prefix with the schema that the session is in',
      { tablePrefix: 'audit.' },
      { tables: [{ schema: null, table: 'log' }], schema: 'audit' },
      { tables: [{ schema: null, table: 'log' }], schema: null },
    ],
  ])('match by %s', (_, match, yes, no) => {
    const set = ruleSet([{ match, ...PRIMARY }]);
    expect(ask(set, yes).policy).toMatchObject({ target: 'primary', forcedBy: 'rule' });
    expect(ask(set, no).policy.target).toBe(null);
  });

  it('match only where all of their keys do', () => {
    const set = ruleSet([{ match: { user: 'a', schema: 's', tag: 't' }, ...PRIMARY }]);
    const all = { user: 'a', schema: 's', tag: 't' };
    expect(ask(set, all).policy.target).toBe('primary');
    for (const other of [{ user: 'b' }, { schema: 'x' }, { tag: null }]) {
      expect(ask(set, { ...all, ...other }).policy.target).toBe(null);
    }
  });

  it('the first that gives a setting wins, for each setting by itself', () => {
    const set = ruleSet([
      { name: 'lag', match: { tag: 'a' }, maxLagMs: 1 },
      { match: { user: 'app' }, maxLagMs: 2, consistency: 'eventual' },
      { name: 'all', maxLagMs: 3, consistency: 'strong', target: 'replica' },
      { name: 'late', target: 'primary' },
    ]);
    expect(ask(set, { tag: 'a' })).toMatchObject({
      policy: { maxLagMs: 1, consistency: 'eventual', target: 'replica' },
      rules: ['lag', 'rules[1]', 'all'],
    });
    expect(ask(set).policy).toMatchObject({ maxLagMs: 2, consistency: 'eventual' });
    // Of one source, strong is stronger than a replica.
    expect(ask(set, { user: 'x' }).policy).toMatchObject({ maxLagMs: 3, forcedBy: 'strong' });
  });

  it('keep to the primary what names tables that cannot be told, and do no more', () => {
    const match = { tablePrefix: 'audit_' };
    expect(ask(ruleSet([{ match, ...PRIMARY }]), { tables: null }).policy.forcedBy).toBe('rule');
    const set = ruleSet([{ match, consistency: 'eventual', maxLagMs: 60_000 }]);
    expect(ask(set, { tables: null }).policy.sources).toMatchObject({ maxLagMs: 'config' });
  });

  it('make what names tables that cannot be told more consistent, never less', () => {
    const maybe = { match: { tablePrefix: 'audit_' }, consistency: 'global' };
    const given = (...rules: object[]) => ask(ruleSet(rules), { tables: null }).policy.consistency;
    expect(given(maybe)).toBe('global');
    expect(given(maybe, { consistency: 'eventual' })).toBe('global');
    expect(given(maybe, { consistency: 'strong' })).toBe('strong');
    expect(given({ consistency: 'eventual' }, maybe)).toBe('eventual');
    expect(given({ ...maybe, consistency: 'eventual' })).toBe('session');
  });

  it('the mode of an account stands behind rules and before the default', () => {
    const users = [
      { user: 'a', password: 'x', poolMode: 'session' },
      { user: 'b', password: 'x' },
    ];
    const set = ruleSet([{ match: { tag: 't' }, poolMode: 'transaction' }], { users });
    expect(ask(set, { user: 'a' }).policy).toMatchObject({
      poolMode: 'session',
      sources: { poolMode: 'user' },
    });
    expect(ask(set, { user: 'a', tag: 't' }).policy.sources.poolMode).toBe('rule');
    expect(ask(set, { user: 'b' }).policy.sources.poolMode).toBe('config');
  });

  it('vouch for a digest', () => {
    const set = ruleSet([{ match: { digest: '00000001'.repeat(2) }, assumeRead: true }]);
    expect(ask(set, { digest: [1, 1] }).policy.assumeRead).toBe(true);
    expect(ask(set, { digest: [1, 2] }).policy.assumeRead).toBe(false);
  });

  it('look at the tables of a statement once', () => {
    const set = ruleSet([{ match: { tablePrefix: 'a' }, ...PRIMARY }]);
    let asked = 0;
    const source = {
      tables: () => {
        asked += 1;
        return [{ schema: null, table: 'a' }];
      },
    };
    const facts = { digestHi: 1, digestLo: 2 };
    const one = set.forSession('x', '::1').inSchema('s').outcomeOf(facts, 'any tag', source);
    const two = set.forSession('y', '::2').inSchema('t').outcomeOf(facts, null, source);
    expect(asked).toBe(1);
    expect(two).toBe(one);
  });

  it('tell apart what shares a place in their memory, and forget the oldest', () => {
    const set = ruleSet([{ match: { digest: '0000000100000800', tag: 't' }, ...PRIMARY }]);
    const statement = { digest: [1, 0x800], tag: 't' } as const;
    // The lowest 11 bits are no part of the key.
    for (const lo of [0x801, 0x800, 0x802, 0x800]) {
      const expected = lo === 0x800 ? 'primary' : null;
      expect(ask(set, { ...statement, digest: [1, lo] }).policy.target).toBe(expected);
    }
    for (let index = 0; index < 10_000; index += 1) ask(set, { digest: [index, index] });
    expect(ask(set, statement).policy.target).toBe('primary');
    expect(ask(set, { ...statement, tag: null }).policy.target).toBe(null);
  });

  it('follow the schema of a session', () => {
    const session = ruleSet([{ match: { schema: 'audit' }, ...PRIMARY }]).forSession('a', '::1');
    const targets = ['audit', null, 'audit', 'app'].map(
      (schema) => session.inSchema(schema).constant?.policy.target,
    );
    expect(targets).toEqual(['primary', null, 'primary', null]);
  });

  it('stay within bounds when sessions use very many schemas', () => {
    const set = ruleSet([{ match: { tablePrefix: 's.t' }, ...PRIMARY }]);
    const tables = [{ schema: null, table: 't' }];
    for (let index = 0; index < 3000; index += 1) {
      expect(ask(set, { schema: `x${index}`, tables }).policy.target).toBe(null);
    }
    expect(ask(set, { schema: 's', tables }).policy.target).toBe('primary');
  });
});
