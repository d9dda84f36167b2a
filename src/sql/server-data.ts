import { SERVER_DATA } from './system-variables.ts';
import { KW, SERVER_DATA_OF } from './word-table.ts';

/** Which tables of a schema tell of the server that is asked: a value of `SERVER_DATA`. */
export function serverTablesOf(schema: number): number {
  if (schema === KW.INFORMATION_SCHEMA) return SERVER_DATA.TABLE;
  if (schema === KW.MYSQL) return SERVER_DATA.MYSQL_TABLE;
  return SERVER_DATA_OF[schema] === SERVER_DATA.SCHEMA ? SERVER_DATA.SCHEMA : SERVER_DATA.NONE;
}

/** Whether the word names one of those tables. */
export function isServerTable(word: number, ofSchema: number): boolean {
  return ofSchema !== SERVER_DATA.NONE && SERVER_DATA_OF[word] === ofSchema;
}
