import type { Flavor } from '../../src/topology/snapshot.ts';

/** True reads that stay at the primary for one reason. */
interface KnownMisses {
  readonly why: string;
  readonly flavors: readonly Flavor[];
  /** As `textOf` gives them. */
  readonly statements: readonly string[];
}

const BOTH = ['mysql', 'mariadb'] as const;

/** A miss that is not listed fails the test, and so does one that is no miss anymore. */
const KNOWN_MISSES: readonly KnownMisses[] = [
  {
    why: 'The session’s schema is not known, and in another schema a function of that name writes',
    flavors: BOTH,
    statements: ['SELECT f_same(1)'],
  },
  {
    why: 'A name with a quote inside is not looked up, and the fixture has views that write',
    flavors: BOTH,
    statements: ['SELECT id AS `a``b` FROM item', '[ansi] SELECT id AS "a""b" FROM item'],
  },
  {
    why: 'DO locks what it reads, and of a function that only reads it is not known if it does',
    flavors: ['mysql'],
    statements: ['DO f_pure(1)'],
  },
  {
    why: 'PROCEDURE ANALYSE is of another age; nobody balances it',
    flavors: ['mariadb'],
    statements: ['SELECT id, name FROM item PROCEDURE ANALYSE()'],
  },
];

/** The texts of one flavor's misses, sorted. */
export function knownMisses(flavor: Flavor): string[] {
  return KNOWN_MISSES.filter(({ flavors }) => flavors.includes(flavor))
    .flatMap(({ statements }) => statements)
    .toSorted();
}
