import { describe, expect, test } from 'vitest';
import { aProfile, vars } from '../../support/fake-backend.ts';

describe('equal states', () => {
  test('are one object, in whatever order they came to be', () => {
    const one = aProfile({ schema: 'shop', variables: vars({ a: '1', b: '2' }) });
    const two = aProfile({ schema: 'shop', variables: vars({ b: '2', a: '1' }) });
    expect(two).toBe(one);
  });

  test.each([
    ['schema', { schema: 'other' }],
    ['no schema', { schema: null }],
    ['a value', { variables: vars({ a: '2' }) }],
    ['a name', { variables: vars({ b: '1' }) }],
    ['a variable more', { variables: vars({ a: '1', b: '' }) }],
    ['one less', { variables: vars({}) }],
    ['several statements in a query', { multiStatements: true }],
  ])('are not those that differ in %s', (_, given) => {
    const base = { schema: 'shop', variables: vars({ a: '1' }), multiStatements: false };
    expect(aProfile({ ...base, ...given })).not.toBe(aProfile(base));
    expect(aProfile({ ...base, ...given }).id).not.toBe(aProfile(base).id);
  });

  test('are not those that only read alike when they are written down', () => {
    expect(aProfile({ schema: 'null' })).not.toBe(aProfile({ schema: null }));
    expect(aProfile({ schema: '' })).not.toBe(aProfile({ schema: null }));
    expect(aProfile({ variables: vars({ a: '1","b":"2' }) })).not.toBe(
      aProfile({ variables: vars({ a: '1', b: '2' }) }),
    );
  });

  test('do not change with what they were made of', () => {
    const variables = new Map([['time_zone', '+01:00']]);
    const profile = aProfile({ variables });
    variables.set('time_zone', '+02:00');
    expect(profile.variables.get('time_zone')).toBe('+01:00');
  });
});

test.each([
  ['shop', null, true],
  ['shop', 'other', true],
  ['shop', 'shop', true],
  [null, null, true],
  [null, 'shop', false],
])('a connection gets to schema %s from %s: %s', (to, from, expected) => {
  expect(aProfile({ schema: to }).isReachableFrom(aProfile({ schema: from }))).toBe(expected);
});
