import { describe, expect, it } from 'vitest';
import { Command } from '../../../../src/session/command/command.ts';
import type { ReasonCode } from '../../../../src/sql/classification.ts';
import { COM } from '../../../../src/wire/command.ts';
import { HEADER_BYTES } from '../../../../src/wire/writer.ts';

/** A COM_QUERY as the planner leaves it. */
function query(text: string, cause: ReasonCode): Command {
  const command = new Command();
  const head = Buffer.from([0, 0, 0, 0, COM.QUERY]);
  command.begin(COM.QUERY, Buffer.concat([head, Buffer.from(text)]), 0);
  command.textAt = HEADER_BYTES + 1;
  command.cause = cause;
  return command;
}

describe('whether what comes back is data', () => {
  it.each<[string, ReasonCode]>([
    ['SELECT v FROM t', 'select'],
    ['SELECT v, @@hostname FROM t', 'server-variable'],
    ['SELECT @@hostname UNION TABLE t', 'server-variable'],
    // The function may read tables.
    ['SELECT @@hostname, newest ()', 'server-variable'],
    [`SELECT '${'x'.repeat(5000)}', @@hostname FROM t`, 'server-variable'],
    ["SELECT LOAD_FILE('/x'), v FROM t", 'server-function'],
    ['SELECT ROW_COUNT(), v FROM t', 'row-count'],
    ['SELECT newest(), FOUND_ROWS()', 'found-rows'],
    ['SELECT @@warning_count, v FROM t', 'diagnostics'],
  ])('it is: %.60s', (text, cause) => {
    expect(query(text, cause).tellsData).toBe(true);
  });

  it.each<[string, ReasonCode]>([
    ['SELECT @@version_comment LIMIT 1', 'server-variable'],
    ['SELECT @@session.auto_increment_increment AS a, @@time_zone AS b', 'server-variable'],
    ["SHOW VARIABLES LIKE '%x%'", 'server-variable'],
    ['SELECT ROW_COUNT(), FOUND_ROWS ()', 'row-count'],
    ['SELECT @@warning_count', 'diagnostics'],
    ['SHOW TABLES FROM app', 'show'],
    ['EXPLAIN SELECT v FROM t', 'explain'],
  ])('it is not: %s', (text, cause) => {
    expect(query(text, cause).tellsData).toBe(false);
  });
});
