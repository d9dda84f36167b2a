import { describe, expect, test } from 'vitest';
import {
  blockedError,
  ERROR_POLICY,
  sourceOf,
  toClientError,
} from '../../../src/lib/error-policy.ts';
import { ERROR_SOURCES, LagwiseError } from '../../../src/lib/errors.ts';

describe('the table of errors', () => {
  test.each(ERROR_SOURCES)('%s has a number that a server may send and a SQL state', (source) => {
    const { code, sqlState } = ERROR_POLICY[source];
    // 2000 to 2999 are of client libraries: on the wire they would be taken for something else.
    expect(code < 2000 || code >= 3000).toBe(true);
    expect(sqlState).toMatch(/^[0-9A-Z]{5}$/);
  });

  test('errors after which the session lives on are not of class 08', () => {
    for (const source of ['no-eligible-server', 'backend-connect', 'topology-change'] as const) {
      expect(ERROR_POLICY[source].sqlState).not.toMatch(/^08/);
    }
  });

  test('a transaction that a change of the primary ended asks to be retried', () => {
    expect(ERROR_POLICY['topology-change']).toMatchObject({ code: 1213, sqlState: '40001' });
  });
});

describe('toClientError', () => {
  test('says who made the error, once', () => {
    const made = toClientError(new LagwiseError('limit', 'Too many connections'));
    expect(made).toEqual({
      code: 1040,
      sqlState: '08004',
      message: 'lagwise: Too many connections',
    });
    expect(toClientError(new LagwiseError('limit', 'lagwise: Full')).message).toBe('lagwise: Full');
  });

  test('shows nothing of an error that is not ours', () => {
    const made = toClientError(new TypeError('cannot read /etc/secret of undefined'));
    expect(made.code).toBe(1105);
    expect(made.message).not.toContain('secret');
    expect(sourceOf('a string')).toBe('internal');
  });

  test('cuts a message at what clients take', () => {
    const made = toClientError(new LagwiseError('no-eligible-server', 'x'.repeat(5000)));
    expect(made.message.length).toBe(512);
  });
});

test('a blocked address is told for how long, in whole seconds', () => {
  expect(blockedError(1500)).toMatchObject({ code: 1129, sqlState: 'HY000' });
  expect(blockedError(1500).message).toContain('for 2 more seconds');
  expect(blockedError(0).message).toContain('for 1 more');
});
