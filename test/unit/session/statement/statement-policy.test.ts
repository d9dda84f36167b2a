import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../../src/config/load.ts';
import { POLICY_PROBLEMS, type PolicyProblem } from '../../../../src/routing/policy.ts';
import {
  type StatementPolicy,
  StatementPolicies,
} from '../../../../src/session/statement/statement-policy.ts';
import { CHARSET_KIND } from '../../../../src/sql/charset-kind.ts';
import type { ClassifyContext } from '../../../../src/sql/classification.ts';
import { Classifier } from '../../../../src/sql/classify.ts';
import { ClosedCounter } from '../../../../src/telemetry/plain-counters.ts';
import { CAP } from '../../../../src/wire/capability.ts';
import { encodeQuery, queryTextOffset } from '../../../../src/wire/packets/query.ts';
import { HEADER_BYTES, PacketWriter } from '../../../../src/wire/writer.ts';

const CONTEXT: ClassifyContext = {
  noBackslashEscapes: false,
  ansiQuotes: false,
  ignoreSpace: false,
  charsetKind: CHARSET_KIND.UTF8,
  routines: null,
  flavor: 'mysql',
  serverVersion: 90_704,
};
const MINIMAL = { servers: [{ host: 'db1' }], monitor: { user: 'm', password: 'x' } };
const classifier = new Classifier();

function session(rules: readonly object[] = [], keys: object = {}) {
  const problems = new ClosedCounter<PolicyProblem>(POLICY_PROBLEMS);
  const config = parseConfig({ ...MINIMAL, rules, ...keys }, { env: {} });
  const state: { schema: string | null } = { schema: 'app' };
  const policies = new StatementPolicies(config, problems);
  const client = { user: 'app', clientAddr: '127.0.0.1', state, context: CONTEXT };
  return { policy: policies.forSession(client), problems, state, policies, client };
}

/** The policy of a statement that comes as COM_QUERY, without query attributes. */
function ask(policy: StatementPolicy, sql: string, caps = 0) {
  return askPacket(policy, encodeQuery(sql, caps), caps);
}

function askPacket(policy: StatementPolicy, packet: Buffer, caps: number) {
  const textAt = queryTextOffset(packet, HEADER_BYTES, packet.length, caps);
  const found = classifier.classify(packet, textAt, packet.length, CONTEXT);
  return policy.forQuery(packet, textAt, found);
}

/** COM_QUERY with attributes that are strings. */
function withAttributes(attributes: Readonly<Record<string, string>>, sql: string): Buffer {
  const entries = Object.entries(attributes);
  const writer = new PacketWriter(100).u8(3).lenenc(entries.length).lenenc(1);
  writer.bytes(Buffer.alloc(Math.ceil(entries.length / 8))).u8(1);
  for (const [name] of entries) {
    writer.u8(0xfe).u8(0).lenenc(name.length).string(name);
  }
  for (const [, value] of entries) writer.lenenc(value.length).string(value);
  return writer.string(sql).finish(0);
}

describe('the policy of a statement', () => {
  it('is one object where nobody says anything', () => {
    const { policy, policies, client } = session();
    const plain = ask(policy, 'SELECT 1');
    expect(plain).toMatchObject({ target: null, consistency: 'session', forcedBy: null });
    expect(ask(policy, 'SELECT 2 FROM t', CAP.QUERY_ATTRIBUTES)).toBe(plain);
    expect(ask(policies.forSession({ ...client, user: 'b' }), '/* plain */ DELETE FROM t')).toBe(
      plain,
    );
    expect(policy.forOther()).toBe(plain);
  });

  it('is what its comment says', () => {
    const { policy, problems } = session();
    const sql =
      '/* lagwise: target=primary, consistency=eventual, max_lag_ms=500 tag=a */ SELECT 1';
    expect(ask(policy, sql)).toMatchObject({
      target: 'primary',
      consistency: 'eventual',
      maxLagMs: 500,
      tag: 'a',
      forcedBy: 'hint',
    });
    expect(problems.total).toBe(0);
  });

  it('of a comment that is half wrong is its other half, and the rest is counted', () => {
    const { policy, problems } = session();
    const sql = '/* lagwise: target=master, consistency=total, max_lag_ms=500 */ SELECT 1';
    expect(ask(policy, sql)).toMatchObject({
      target: null,
      consistency: 'session',
      maxLagMs: 500,
    });
    expect(problems.get('hint')).toBe(1);
    // Each statement that bears it, not each different one.
    ask(policy, sql);
    expect(problems.get('hint')).toBe(2);
  });

  it('is what its query attributes say, unless its comment says otherwise', () => {
    const { policy, problems } = session();
    const attributes = {
      traceparent: '00-1',
      'Lagwise.Target': 'primary',
      'lagwise.max_lag_ms': '7',
      'lagwise.nope': 'x',
    };
    const packet = withAttributes(attributes, 'SELECT 1');
    expect(askPacket(policy, packet, CAP.QUERY_ATTRIBUTES)).toMatchObject({
      target: 'primary',
      maxLagMs: 7,
      forcedBy: 'attribute',
    });
    const both = withAttributes(attributes, '/*lagwise:max_lag_ms=8*/SELECT 1');
    expect(askPacket(policy, both, CAP.QUERY_ATTRIBUTES)).toMatchObject({
      maxLagMs: 8,
      sources: { maxLagMs: 'hint', target: 'attribute' },
    });
    expect(problems.get('attribute')).toBe(2);
  });

  it('of a prepared statement is that of its text and of the session as it is now', () => {
    const { policy } = session();
    const sql = '/* lagwise: max_lag_ms=9 */ SELECT ?';
    const packet = new PacketWriter(50).u8(0x16).string(sql).finish(0);
    const found = classifier.classify(packet, HEADER_BYTES + 1, packet.length, CONTEXT);
    const { digestHi, digestLo, hintStart, hintEnd } = found;
    const facts = { digestHi, digestLo, hintStart, hintEnd };
    expect(policy.forPrepared(packet, facts)).toMatchObject({ maxLagMs: 9, target: null });
    policy.set([{ name: 'lagwise_target', value: 'primary' }]);
    expect(policy.forPrepared(packet, facts)).toMatchObject({ maxLagMs: 9, forcedBy: 'setting' });
  });
});

describe('settings of a session', () => {
  it('hold until they are taken back, each by itself', () => {
    const { policy } = session();
    const plain = ask(policy, 'SELECT 1');
    const set = (name: string, value: string | null) => policy.set([{ name, value }]);
    expect(set('lagwise_consistency', 'strong')).toBe(null);
    expect(set('@LAGWISE_MAX_LAG_MS', '50')).toBe(null);
    const strong = ask(policy, 'SELECT 1');
    expect(strong).toMatchObject({ consistency: 'strong', maxLagMs: 50, forcedBy: 'strong' });
    expect(ask(policy, 'SELECT 2')).toBe(strong);
    expect(policy.get('lagwise_consistency')).toBe('strong');
    expect(policy.get('lagwise_max_lag_ms')).toBe('50');
    expect(policy.get('lagwise_tag')).toBe(null);
    expect(policy.get('lagwise_other')).toBe(null);
    set('lagwise_consistency', null);
    expect(ask(policy, 'SELECT 1')).toMatchObject({ consistency: 'session', maxLagMs: 50 });
    set('lagwise_max_lag_ms', null);
    expect(ask(policy, 'SELECT 1')).toBe(plain);
  });

  it('are set all or none, and what is wrong is told', () => {
    const { policy, problems } = session();
    const problem = policy.set([
      { name: 'lagwise_target', value: 'primary' },
      { name: 'lagwise_consistency', value: 'total' },
    ]);
    expect(problem).toMatch(/^Cannot set @lagwise_consistency: found "total", expected/);
    expect(policy.get('lagwise_target')).toBe(null);
    expect(policy.set([{ name: 'lagwise_colour', value: 'red' }])).toMatch(/no "colour", expected/);
    expect(problems.get('setting')).toBe(2);
  });

  it('may ask for tags of replicas, which a comment overrules', () => {
    const { policy } = session();
    expect(policy.set([{ name: '@lagwise_replica_tags', value: 'bi, ssd' }])).toBe(null);
    expect(policy.get('lagwise_replica_tags')).toBe('bi+ssd');
    expect(ask(policy, 'SELECT 1').replicaTags).toEqual(['bi', 'ssd']);
    expect(ask(policy, '/* lagwise: replica_tags=gpu */ SELECT 1').replicaTags).toEqual(['gpu']);
    expect(ask(policy, '/* lagwise: replica_tags= */ SELECT 1').replicaTags).toEqual([]);
    policy.reset();
    expect(ask(policy, 'SELECT 1').replicaTags).toEqual([]);
  });

  it('go with a reset', () => {
    const { policy } = session();
    const plain = ask(policy, 'SELECT 1');
    policy.set([{ name: 'lagwise_target', value: 'primary' }]);
    policy.reset();
    expect(ask(policy, 'SELECT 1')).toBe(plain);
  });

  it('stand behind comments and before rules', () => {
    const { policy } = session([{ maxLagMs: 1, consistency: 'eventual' }]);
    policy.set([{ name: 'lagwise_max_lag_ms', value: '2' }]);
    expect(ask(policy, 'SELECT 1')).toMatchObject({
      maxLagMs: 2,
      consistency: 'eventual',
      sources: { maxLagMs: 'setting', consistency: 'rule' },
    });
    expect(ask(policy, '/* lagwise: max_lag_ms=3 */ SELECT 1')).toMatchObject({ maxLagMs: 3 });
  });
});

describe('rules', () => {
  it('look at the tables of a statement', () => {
    const { policy } = session([{ match: { tablePrefix: 'audit_' }, target: 'primary' }]);
    expect(ask(policy, 'SELECT * FROM audit_log').forcedBy).toBe('rule');
    expect(ask(policy, 'SELECT * FROM users JOIN `audit_log` USING (id)').forcedBy).toBe('rule');
    expect(ask(policy, 'SELECT * FROM users').forcedBy).toBe(null);
  });

  it('follow the schema of the session', () => {
    const { policy, state } = session([{ match: { schema: 'audit' }, target: 'primary' }]);
    expect(ask(policy, 'SELECT 1').forcedBy).toBe(null);
    state.schema = 'audit';
    expect(ask(policy, 'SELECT 1').forcedBy).toBe('rule');
  });

  it('take tags from comments, attributes and settings', () => {
    const { policy } = session([{ match: { tag: 'checkout' }, target: 'primary' }]);
    expect(ask(policy, '/* lagwise: tag=checkout */ SELECT 1').forcedBy).toBe('rule');
    const packet = withAttributes({ 'lagwise.tag': 'checkout' }, 'SELECT 1');
    expect(askPacket(policy, packet, CAP.QUERY_ATTRIBUTES).forcedBy).toBe('rule');
    policy.set([{ name: 'lagwise_tag', value: 'checkout' }]);
    expect(ask(policy, 'SELECT 1').forcedBy).toBe('rule');
    expect(ask(policy, '/* lagwise: tag=other */ SELECT 1').forcedBy).toBe(null);
  });

  it('remember a statement, so that the next one is the same object', () => {
    const { policy } = session([{ match: { tablePrefix: 't' }, maxLagMs: 5 }]);
    const first = ask(policy, 'SELECT * FROM t WHERE id = 1');
    expect(first.maxLagMs).toBe(5);
    expect(ask(policy, 'SELECT * FROM t WHERE id = 2')).toBe(first);
  });

  it('vouch for a digest, as classify prints it', () => {
    const sql = 'SELECT app_total(5)';
    const found = classifier.classify(Buffer.from(sql), 0, sql.length, CONTEXT);
    const hex = (half: number) => half.toString(16).padStart(8, '0');
    const digest = hex(found.digestHi) + hex(found.digestLo);
    const { policy } = session([{ match: { digest }, assumeRead: true }]);
    expect(ask(policy, 'SELECT app_total(6)').assumeRead).toBe(true);
    expect(ask(policy, 'SELECT app_other(6)').assumeRead).toBe(false);
  });
});
