import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { LagwiseError } from '../../../src/lib/errors.ts';

const MINIMAL = { servers: [{ host: 'db1' }], monitor: { user: 'm', password: 'x' } };
const parse = (keys: object) => parseConfig({ ...MINIMAL, ...keys }, { env: {} });

function problems(rules: unknown): string[] {
  try {
    parse({ rules });
  } catch (thrown) {
    if (!(thrown instanceof LagwiseError)) throw thrown;
    return thrown.message.split('\n  ').slice(1);
  }
  throw new Error('the rules were accepted');
}

describe('rules', () => {
  test('there are none unless they are given', () => {
    expect(parse({}).rules).toEqual([]);
  });

  test('one word is a list of one, and what is not said is null', () => {
    const { rules } = parse({
      rules: [{ match: { user: 'report', clientAddr: ['10.0.0.0/8', '::1'] }, maxLagMs: 500 }],
    });
    expect(rules).toEqual([
      {
        name: null,
        match: {
          user: ['report'],
          schema: [],
          clientAddr: ['10.0.0.0/8', '::1'],
          digest: [],
          tablePrefix: [],
          tag: [],
        },
        target: null,
        consistency: null,
        maxLagMs: 500,
        replicaTags: null,
        poolMode: null,
        assumeRead: false,
      },
    ]);
    expect(Object.isFrozen(rules[0]?.match.user)).toBe(true);
  });

  test('a listed account may have a pool mode of its own', () => {
    const { users } = parse({
      users: [
        { user: 'a', password: 'x', poolMode: 'session' },
        { user: 'b', password: 'x' },
      ],
    });
    expect(users).toMatchObject([{ poolMode: 'session' }, { poolMode: null }]);
  });

  test.each<[unknown, string]>([
    ['all', 'rules: found "all" (string), expected a list of 0 to 256 items'],
    [
      [{ match: { user: 'a' } }],
      'rules[0]: gives nothing, expected at least one of "target", "consistency", "maxLagMs", "replicaTags", "poolMode", "assumeRead"',
    ],
    [
      [{ replicaTags: ['analytics', 'ssd'] }],
      'rules[0].replicaTags: found "analytics", "ssd", which no server has together; the servers have no tags',
    ],
    [
      [{ replicaTags: [] }],
      'rules[0].replicaTags: found a list of 0 items, expected a list of 1 to 32 items',
    ],
    [
      [{ match: { clientAddr: '10.0.0.0/33' }, target: 'primary' }],
      'rules[0].match.clientAddr: found "10.0.0.0/33" (string), expected an IP address or a block of them such as "10.0.0.0/8" or "fd00::/8", or a list of 0 to 1000 of them',
    ],
    [
      [{ match: { digest: ['xyz'] }, target: 'primary' }],
      'rules[0].match.digest[0]: found "xyz" (string), expected 16 hexadecimal digits as `lagwise classify` prints them',
    ],
    [
      [{ match: { usr: 'a' }, target: 'primary' }],
      'rules[0].match.usr: unknown key, did you mean "user"?',
    ],
    [
      [{ target: 'primray' }],
      'rules[0].target: found "primray" (string), expected "primary" or "replica"',
    ],
    [
      [{ consistency: 'total' }],
      'rules[0].consistency: found "total" (string), expected "eventual" or "session" or "global" or "strong"',
    ],
    [
      [{ maxLagMs: -1 }],
      'rules[0].maxLagMs: found -1 (number), expected milliseconds, an integer from 0 to 2147483647',
    ],
    [
      [{ match: { user: 'a' }, assumeRead: true }],
      'rules[0].match.digest: missing, expected the digests that "assumeRead" is about (see lagwise explain)',
    ],
    [
      [{ maxLagMs: 1 }, { name: 'a', maxLagMs: 1 }, { name: 'a', maxLagMs: 2 }],
      'rules[2].name: "a" is also the name of rules[1]',
    ],
  ])('%j are refused with path, found and expected', (rules, expected) => {
    expect(problems(rules)).toEqual([expected]);
  });
});
