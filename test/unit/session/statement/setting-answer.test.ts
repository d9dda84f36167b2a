import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../../src/config/load.ts';
import { POLICY_PROBLEMS, type PolicyProblem } from '../../../../src/routing/policy.ts';
import { settingAnswer } from '../../../../src/session/statement/setting-answer.ts';
import { StatementPolicies } from '../../../../src/session/statement/statement-policy.ts';
import { CHARSET_KIND } from '../../../../src/sql/charset-kind.ts';
import type { ClassifyContext } from '../../../../src/sql/classification.ts';
import { Classifier } from '../../../../src/sql/classify.ts';
import { ClosedCounter } from '../../../../src/telemetry/plain-counters.ts';
import { CAP } from '../../../../src/wire/capability.ts';
import { decodeErr } from '../../../../src/wire/packets/err.ts';
import { decodeOk } from '../../../../src/wire/packets/ok.ts';
import { encodeQuery } from '../../../../src/wire/packets/query.ts';
import { STATUS } from '../../../../src/wire/status.ts';
import { encodeTextResultset } from '../../../../src/wire/text-resultset.ts';
import { HEADER_BYTES } from '../../../../src/wire/writer.ts';

const CONTEXT: ClassifyContext = {
  noBackslashEscapes: false,
  ansiQuotes: false,
  ignoreSpace: false,
  charsetKind: CHARSET_KIND.UTF8,
  routines: null,
  flavor: 'mysql',
  serverVersion: 90_704,
};
const CAPS = CAP.DEPRECATE_EOF | CAP.PROTOCOL_41;
const STATUS_FLAGS = STATUS.AUTOCOMMIT;
const TEXT_AT = HEADER_BYTES + 1;

const CONFIG = parseConfig(
  { servers: [{ host: 'a' }], monitor: { user: 'm', password: 'x' } },
  { env: {} },
);

function session() {
  const problems = new ClosedCounter<PolicyProblem>(POLICY_PROBLEMS);
  const policy = new StatementPolicies(CONFIG, problems).forSession({
    user: 'app',
    clientAddr: '::1',
    state: { schema: null },
    context: CONTEXT,
  });
  const token = { read: async () => 'uuid:1-5', check: () => null, bring: () => null };
  const ask = async (sql: string): Promise<Buffer> =>
    await settingAnswer({
      policy,
      token,
      packet: encodeQuery(sql, 0),
      textAt: TEXT_AT,
      context: CONTEXT,
      caps: CAPS,
      status: STATUS_FLAGS,
    });
  return { policy, ask };
}

const ok = (answer: Buffer) => decodeOk(answer.subarray(HEADER_BYTES), CAPS);
const err = (answer: Buffer) => decodeErr(answer.subarray(HEADER_BYTES));
const result = (columns: string[], row: (string | null)[]) =>
  encodeTextResultset({ columns, rows: [row] }, { seq: 1, caps: CAPS, status: STATUS_FLAGS });

describe('the answer to a statement about @lagwise_ variables', () => {
  it('is OK for a SET, and takes effect', async () => {
    const { policy, ask } = session();
    const answer = await ask("SET @lagwise_consistency = 'strong', @`LAGWISE_MAX_LAG_MS` := 50;");
    expect(ok(answer)).toMatchObject({ status: STATUS_FLAGS, affectedRows: 0, warnings: 0 });
    expect(policy.settings).toMatchObject({ consistency: 'strong', maxLagMs: 50 });
    ok(await ask('SET @lagwise_consistency = NULL'));
    ok(await ask('SET @lagwise_max_lag_ms = DEFAULT'));
    expect(policy.settings).toMatchObject({ consistency: null, maxLagMs: null });
  });

  it('is the values for a SELECT, its columns called as they were written', async () => {
    const { ask } = session();
    await ask("SET @lagwise_tag = 'a b', @lagwise_target = Replica");
    expect(
      await ask('SELECT @lagwise_tag, @Lagwise_Target AS target, @lagwise_max_lag_ms'),
    ).toEqual(result(['@lagwise_tag', 'target', '@lagwise_max_lag_ms'], ['a b', 'replica', null]));
  });

  it.each([
    ["SET @lagwise_target = 'nowhere'", /^lagwise: Cannot set @lagwise_target: found "nowhere"/],
    ["SET @lagwise_consistency = 'total'", /found "total", expected eventual or session/],
    ["SET @lagwise_colour = 'red'", /there is no "colour"/],
    ['SET @lagwise_max_lag_ms = 1.5', /max_lag_ms is "1.5"/],
  ])('is an error with what is wrong for %s', async (sql, message) => {
    const { policy, ask } = session();
    const answer = err(await ask(sql));
    expect(answer).toMatchObject({ code: 1231, sqlState: '42000' });
    expect(answer.message).toMatch(message);
    expect(policy.get('lagwise_target')).toBe(null);
  });

  it('is one of these for whatever the classifier takes for such a statement', async () => {
    const classifier = new Classifier();
    const name = fc.constantFrom('@lagwise_target', '@`lagwise_tag`', "@'LAGWISE_x'", '@x', '@@a');
    const value = fc.constantFrom(
      "'primary'",
      '"a"',
      '5',
      '-5',
      '1.5',
      'NULL',
      'DEFAULT',
      'word',
      '(1)',
    );
    const noise = fc.constantFrom(
      '',
      '',
      '',
      '',
      ' ',
      ';',
      '/* c */',
      '-- c',
      ' AS a',
      ' b',
      ' FROM t',
    );
    const set = fc.tuple(name, fc.constantFrom('=', ' := '), value).map((parts) => parts.join(''));
    const statement = fc.oneof(
      fc.array(set, { minLength: 1, maxLength: 3 }).map((all) => `SET ${all.join(', ')}`),
      fc.array(name, { minLength: 1, maxLength: 3 }).map((all) => `SELECT ${all.join(' , ')}`),
    );
    const { ask } = session();
    let answered = 0;
    await fc.assert(
      fc.asyncProperty(noise, statement, noise, async (before, middle, after) => {
        const sql = before + middle + after;
        const packet = encodeQuery(sql, 0);
        const { reason } = classifier.classify(packet, TEXT_AT, packet.length, CONTEXT);
        if (reason !== 'lagwise-setting') return;
        answered += 1;
        const answer = await ask(sql);
        expect(answer.readUIntLE(0, 3)).toBeGreaterThan(0);
        expect(answer.toString('latin1')).not.toContain('anything but plain');
      }),
      { numRuns: 2000 },
    );
    expect(answered).toBeGreaterThan(200);
  });
});
