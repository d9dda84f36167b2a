import { describe, expect, test } from 'vitest';
import { PoolAccounts } from '../../../src/pool/account.ts';
import type { Identity } from '../../../src/pool/identity.ts';
import { CAP, union } from '../../../src/wire/capability.ts';
import { anIdentity } from '../../support/fake-backend.ts';

const app = (given: Partial<Identity> = {}) =>
  anIdentity({ password: Buffer.from('the-s3cret'), ...given });

describe('sessions share connections', () => {
  test.each([
    ['schema', { schema: 'shop' }],
    ['character set', { collationId: 8 }],
    ['attributes', { attributes: Buffer.from('x') }],
    ['compression and TLS', { caps: union(app().caps, CAP.COMPRESS, CAP.SSL) }],
  ])('that differ in %s only', (_, given) => {
    const accounts = new PoolAccounts();
    expect(accounts.of(app(given))).toBe(accounts.of(app()));
  });

  test.each([
    ['user', { user: 'other' }],
    ['password', { password: Buffer.from('another') }],
    ['password by its end alone', { password: Buffer.from('the-s3cret\0') }],
    ['CLIENT_FOUND_ROWS', { caps: union(app().caps, CAP.FOUND_ROWS) }],
    ['CLIENT_INTERACTIVE', { caps: union(app().caps, CAP.INTERACTIVE) }],
    ['query attributes', { caps: union(app().caps, CAP.QUERY_ATTRIBUTES) }],
  ])('but never where they differ in %s', (_, given) => {
    const accounts = new PoolAccounts();
    expect(accounts.of(app(given))).not.toBe(accounts.of(app()));
  });

  test('nor by a name that reads like the key of another', () => {
    const accounts = new PoolAccounts();
    const one = accounts.of(app({ user: 'a:b', password: Buffer.from('x') }));
    const two = accounts.of(app({ user: 'b', password: Buffer.from('x') }));
    expect(one).not.toBe(two);
  });
});

test('no key tells a password', () => {
  const { key } = new PoolAccounts().of(app());
  expect(key).not.toContain('the-s3cret');
  expect(key).not.toContain(Buffer.from('the-s3cret').toString('base64'));
});

test('an account is forgotten with its last use', () => {
  const accounts = new PoolAccounts();
  const account = accounts.of(app());
  accounts.use(account);
  accounts.use(account);
  accounts.unuse(account);
  expect(accounts.of(app())).toBe(account);
  accounts.unuse(account);
  expect(accounts.of(app())).not.toBe(account);
});
