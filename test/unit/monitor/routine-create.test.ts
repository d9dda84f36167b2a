import { describe, expect, test } from 'vitest';
import { bodyOf, isBlurred } from '../../../src/monitor/routine-create.ts';
import { contextOf } from '../../../src/monitor/routine-text.ts';

const CONTEXT = contextOf({ flavor: 'mysql', version: '9.7.4', sqlMode: '' });
const HEAD = "CREATE DEFINER=`root`@`local)host` FUNCTION `f`(a INT, `)` ENUM('x)','y'))";

describe('the body of a routine', () => {
  test.each([
    ['without characteristics', `${HEAD} RETURNS int\n`],
    [
      'with all',
      `${HEAD} RETURNS int\n    READS SQL DATA\n    DETERMINISTIC\n    SQL SECURITY INVOKER\n`,
    ],
    ['with a comment of lines', `${HEAD} RETURNS int\n    COMMENT 'it''s\n    NO SQL\nBEGIN'\n`],
    ['with a type of lines', `${HEAD} RETURNS enum('a\nb')\n    NO SQL\n`],
    ['of a procedure', 'CREATE DEFINER=`a`@`b` PROCEDURE `p`(\n  OUT x INT -- a )\n)\n'],
  ])('is found %s', (_, head) => {
    const body = "BEGIN SET s = 'a\\''; RETURN f(')'); END";
    expect(bodyOf(head + body, "BEGIN SET s = 'a''; RETURN f(')'); END", CONTEXT)).toBe(body);
  });

  test.each([
    ['nothing', ''],
    ['no parameters', 'CREATE FUNCTION f'],
    ['no body', `${HEAD} RETURNS int\n    NO SQL\n`],
    ['no line', `${HEAD} RETURNS int RETURN 'x'`],
    ['another body', `${HEAD} RETURNS int\nBEGIN RETURN 'x'; END`],
    ['an open literal', `${HEAD} RETURNS int\n    COMMENT 'x\nRETURN 'x'`],
  ])('is not found where there is %s', (_, statement) => {
    expect(bodyOf(statement, "RETURN 'x'", CONTEXT)).toBeNull();
  });

  test('is asked for only where the catalogue cannot show it exactly', () => {
    expect(isBlurred('RETURN (SELECT COUNT(*) FROM `t`)')).toBe(false);
    expect(isBlurred("RETURN 'x'")).toBe(true);
    expect(isBlurred('RETURN "x"')).toBe(true);
    expect(isBlurred('RETURN 1 \\ 2')).toBe(true);
  });
});
