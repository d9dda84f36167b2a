import type { Flavor } from '../../src/topology/snapshot.ts';

/** The flavors that a file's tests run against: both, or the one of `LAGWISE_TEST_FLAVOR`. */
export const FLAVORS: readonly Flavor[] = flavors();

function flavors(): readonly Flavor[] {
  const asked = process.env['LAGWISE_TEST_FLAVOR'];
  if (asked === undefined || asked === '') return ['mysql', 'mariadb'];
  if (asked === 'mysql' || asked === 'mariadb') return [asked];
  throw new Error(`LAGWISE_TEST_FLAVOR is mysql or mariadb, not ${asked}`);
}
