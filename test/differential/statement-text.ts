import * as fc from 'fast-check';
import type { Flavor } from '../../src/topology/snapshot.ts';

/**
 * Text of a statement. `#` in it stands for the number of the client that sends it, so that `t#` is
 * its own table.
 */
export type Sql = fc.Arbitrary<string>;

type Part = string | fc.Arbitrary<string | number>;

/** A statement with arbitrary parts. */
export function sql(strings: TemplateStringsArray, ...parts: readonly Part[]): Sql {
  const arbitraries = parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part));
  return fc
    .tuple(...arbitraries)
    .map((values) =>
      strings
        .map((text, index) => `${text}${index < values.length ? String(values[index]) : ''}`)
        .join(''),
    );
}

/** One of several fixed texts. */
export const oneOf = (...texts: string[]): Sql => fc.constantFrom(...texts);

/** Alternatives; one may stand in it several times to come more often. */
export const any = (...arbitraries: Sql[]): Sql => fc.oneof(...arbitraries);

/** What only one flavour knows; the other's error would only say so over and over. */
export const only = (flavor: Flavor, wanted: Flavor, statement: Sql): Sql[] =>
  flavor === wanted ? [statement] : [];

/** An id of the rows there are, and some that are not there. */
export const rowId = fc.integer({ min: 1, max: 8 });
/** A small number. */
export const small = fc.integer({ min: 0, max: 100 });
/** A short text literal. */
export const word = fc.constantFrom("'a'", "'BB'", "'é'", "''", "'it''s'", "'x\\\\y'", 'NULL');
