import { describe, expect, it } from 'vitest';
import { binaryLogFilter, channelFilter } from '../../../src/monitor/read-filters.ts';

const OWN_NUMBER = 2;
const nothing = {
  Replicate_Do_DB: '',
  Replicate_Ignore_DB: '',
  Replicate_Do_Table: '',
  Replicate_Ignore_Table: '',
  Replicate_Wild_Do_Table: '',
  Replicate_Wild_Ignore_Table: '',
  Replicate_Ignore_Server_Ids: '',
  Replicate_Rewrite_DB: '',
};
const filterOf = (given: object) => channelFilter({ ...nothing, ...given }, OWN_NUMBER);

describe('channelFilter', () => {
  it('is null without filters, and where a server has no such columns', () => {
    expect(filterOf({})).toBeNull();
    expect(channelFilter({}, OWN_NUMBER)).toBeNull();
  });

  it.each([
    ['Replicate_Do_DB', 'app', 'replicate-do-db=app'],
    ['Replicate_Do_DB', 'mysql', 'replicate-do-db=mysql'],
    ['Replicate_Ignore_DB', 'scratch', 'replicate-ignore-db=scratch'],
    ['Replicate_Ignore_DB', 'mysql,scratch', 'replicate-ignore-db=mysql,scratch'],
    ['Replicate_Ignore_DB', 'mysql2', 'replicate-ignore-db=mysql2'],
    ['Replicate_Ignore_DB', 'rdsales', 'replicate-ignore-db=rdsales'],
    ['Replicate_Do_Table', 'app.t', 'replicate-do-table=app.t'],
    ['Replicate_Ignore_Table', 'mysql.plugin,app.t', 'replicate-ignore-table=mysql.plugin,app.t'],
    ['Replicate_Wild_Do_Table', 'app.%', 'replicate-wild-do-table=app.%'],
    ['Replicate_Wild_Ignore_Table', '%.tmp_%', 'replicate-wild-ignore-table=%.tmp_%'],
    ['Replicate_Wild_Ignore_Table', 'my%.%', 'replicate-wild-ignore-table=my%.%'],
    ['Replicate_Rewrite_DB', '(a,b)', 'replicate-rewrite-db=(a,b)'],
    ['Replicate_Ignore_Server_Ids', '2, 7', 'replicate-ignore-server-ids=2, 7'],
    ['Replicate_Do_Domain_Ids', '1', 'replicate-do-domain-ids=1'],
    ['Replicate_Ignore_Domain_Ids', '1', 'replicate-ignore-domain-ids=1'],
  ])('names %s: %s', (column, list, expected) => {
    expect(filterOf({ [column]: list })).toBe(expected);
  });

  it.each([
    ['Replicate_Ignore_DB', 'mysql'],
    ['Replicate_Ignore_DB', 'mysql, sys,performance_schema,information_schema'],
    ['Replicate_Ignore_DB', 'rdsadmin'],
    ['Replicate_Ignore_Table', 'mysql.rds_monitor,innodb_memcache.cache_policies,mysql.plugin'],
    ['Replicate_Wild_Ignore_Table', 'mysql.rds\\_%,innodb\\_memcache.%'],
    ['Replicate_Ignore_Server_Ids', '2'],
  ])('takes %s: %s for harmless', (column, list) => {
    expect(filterOf({ [column]: list })).toBeNull();
  });

  it('names all filters, and cuts what no line has room for', () => {
    expect(filterOf({ Replicate_Ignore_DB: 'a', Replicate_Rewrite_DB: '(a,b)' })).toBe(
      'replicate-ignore-db=a, replicate-rewrite-db=(a,b)',
    );
    const long = filterOf({ Replicate_Ignore_DB: 'x'.repeat(5000) });
    expect(long?.length).toBe(201);
    expect(long).toMatch(/x…$/);
  });
});

describe('binaryLogFilter', () => {
  it.each([
    ['scratch', '', 'binlog-ignore-db=scratch'],
    ['mysql,scratch', '', 'binlog-ignore-db=mysql,scratch'],
    ['', 'app', 'binlog-do-db=app'],
    ['mysql', '', null],
    ['', '', null],
  ])('ignoring "%s", doing "%s"', (ignored, done, expected) => {
    const row = { File: 'binlog.000003', Binlog_Do_DB: done, Binlog_Ignore_DB: ignored };
    expect(binaryLogFilter([row])).toBe(expected);
  });

  it('is null for a server without a binary log, which logs no GTIDs at all', () => {
    expect(binaryLogFilter([])).toBeNull();
  });
});
