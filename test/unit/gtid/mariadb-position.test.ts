import { describe, expect, it } from 'vitest';
import * as fc from 'fast-check';
import {
  containsMariadb,
  formatMariadbPosition,
  parseMariadbBinlogState,
  parseMariadbPosition,
} from '../../../src/gtid/mariadb-position.ts';
import { parsePosition, positionContains } from '../../../src/gtid/position.ts';

describe('a MariaDB position', () => {
  it.each([
    ['', ''],
    ['0-1-42', '0-1-42'],
    ['10-3-7, 0-1-42', '0-1-42,10-3-7'],
    ['0-1-42,0-2-40', '0-1-42'],
    ['0-1-40,0-2-42', '0-2-42'],
  ])('reads %j as %j', (text, normal) => {
    expect(formatMariadbPosition(parseMariadbPosition(text))).toBe(normal);
  });

  it.each([
    ['rubbish'],
    ['0-1'],
    ['0-1-'],
    ['0-1-2-3'],
    ['4294967296-1-1'],
    ['0-1-18446744073709551615'],
  ])('refuses %j', (text) => {
    expect(() => parseMariadbPosition(text)).toThrow(/^Malformed MariaDB GTID position: /);
  });

  it.each([
    ['0-1-42', '0-1-42', true],
    ['0-1-42', '0-1-41', true],
    ['0-1-41', '0-1-42', false],
    ['0-2-50', '0-1-42', true],
    ['0-1-42', '', true],
    ['', '0-1-1', false],
    ['0-1-42', '0-1-42,1-1-1', false],
    ['0-1-42,1-1-1', '0-1-42', true],
    ['0-1-42,1-1-1', '0-1-43,1-1-1', false],
  ])('%j contains %j: %s', (whole, part, expected) => {
    expect(containsMariadb(parseMariadbPosition(whole), parseMariadbPosition(part))).toBe(expected);
  });

  it('is ordered: what contains a position contains all that it contains', () => {
    const position = fc
      .array(fc.tuple(fc.nat(2), fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 5 })), {
        maxLength: 4,
      })
      .map((gtids) => parseMariadbPosition(gtids.map((gtid) => gtid.join('-')).join(',')));
    fc.assert(
      fc.property(position, position, position, (a, b, c) => {
        expect(containsMariadb(a, a)).toBe(true);
        if (containsMariadb(a, b) && containsMariadb(b, c))
          expect(containsMariadb(a, c)).toBe(true);
      }),
    );
  });

  it('keeps every server of a binlog state', () => {
    expect(parseMariadbBinlogState('0-1-22,0-2-30')).toEqual([
      { domain: 0, server: 1, sequence: 22 },
      { domain: 0, server: 2, sequence: 30 },
    ]);
  });
});

describe('a position of either flavour', () => {
  it('proves nothing of the other flavour', () => {
    const mysql = parsePosition('mysql', '');
    const mariadb = parsePosition('mariadb', '');
    expect(positionContains(mysql, mariadb)).toBe(false);
    expect(positionContains(mariadb, mysql)).toBe(false);
    expect(positionContains(mysql, mysql)).toBe(true);
    expect(positionContains(mariadb, mariadb)).toBe(true);
  });
});
