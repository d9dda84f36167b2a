import { describe, expect, it } from 'vitest';
import { assignedVariables } from '../../../src/sql/assigned-variables.ts';
import { CHARSET_KIND } from '../../../src/sql/charset-kind.ts';
import { UNKNOWN_CONTEXT } from '../../../src/sql/classification.ts';

const CONTEXT = { ...UNKNOWN_CONTEXT, charsetKind: CHARSET_KIND.UTF8, serverVersion: 90_704 };
const namesIn = (text: string) => {
  const bytes = Buffer.from(text);
  return assignedVariables(bytes, 0, bytes.length, CONTEXT);
};

describe('the system variables that a SET assigns', () => {
  it.each<[string, readonly string[]]>([
    ['SET autocommit = 1', ['autocommit']],
    ["SET Time_Zone='+02:00', optimizer_trace_limit := 5", ['time_zone', 'optimizer_trace_limit']],
    ['SET @@session.`a` = 1, @@b = (SELECT 1, 2), LOCAL c = f(1, 2)', ['a', 'b', 'c']],
    ['SET @x = 1, a = @y, @z := 2', ['a']],
    ['SET GLOBAL a = 1, b = 2, SESSION c = 3, d = 4', ['c', 'd']],
    ['SET @@global.a = 1, b = 2', ['b']],
    ['SET NAMES latin1 COLLATE latin1_bin, a = 1', ['a']],
    ['SET CHARACTER SET utf8mb4, a = 1', ['a']],
    ['SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY', []],
    ['SELECT 1; SET a = 1; SELECT 2; /*!50000 SET b = 2 */', ['a', 'b']],
    ["INSERT INTO t SET a = 'SET b = 1'", []],
    ['SET', []],
  ])('%s', (text, names) => {
    expect(namesIn(text)).toEqual(names);
  });

  it('cannot be told of what cannot be read', () => {
    expect(namesIn("SET a = 'open")).toBeNull();
  });
});
