import type { Flavor } from '../../src/topology/snapshot.ts';
import { accounts } from './corpus/accounts.ts';
import { administration } from './corpus/administration.ts';
import { aggregates } from './corpus/aggregates.ts';
import { ddlObjects } from './corpus/ddl-objects.ts';
import { ddlTables } from './corpus/ddl-tables.ts';
import { disguises } from './corpus/disguises.ts';
import { dml } from './corpus/dml.ts';
import { expressions } from './corpus/expressions.ts';
import { hidden } from './corpus/hidden.ts';
import { programs } from './corpus/programs.ts';
import { queries } from './corpus/queries.ts';
import { routines } from './corpus/routines.ts';
import { show } from './corpus/show.ts';
import { transactions } from './corpus/transactions.ts';
import { variables } from './corpus/variables.ts';
import { bytesOf } from './connection.ts';
import type { Chapter, Statement } from './statement.ts';

/** The chapters by name. */
const CHAPTERS = {
  expressions,
  aggregates,
  queries,
  dml,
  'ddl-tables': ddlTables,
  'ddl-objects': ddlObjects,
  transactions,
  accounts,
  show,
  variables,
  administration,
  programs,
  routines,
  hidden,
  disguises,
} as const satisfies Record<string, Chapter>;

/** Every statement of every chapter for one flavor, each text once. */
export function corpus(flavor: Flavor): Statement[] {
  const byText = new Map<string, Statement>();
  for (const chapter of Object.values(CHAPTERS)) {
    for (const statement of chapter(flavor)) {
      const { mode = 'plain', setup = [] } = statement;
      const key = JSON.stringify([mode, setup, bytesOf(statement.sql).toString('latin1')]);
      if (!byText.has(key)) byText.set(key, statement);
    }
  }
  return [...byText.values()];
}
