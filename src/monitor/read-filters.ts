import { optionalText, type Row } from './rows.ts';

/**
 * Schemas that hold the server's own affairs, or those of a managed service: their filters are
 * everywhere, and no client's data is behind them.
 */
const SYSTEM_SCHEMA =
  /^(mysql|sys|performance_schema|information_schema|innodb_memcache|rds|rds_.*|rdsadmin)$/i;

/** Filters that leave out what they name; columns of the replication status. */
const IGNORES = [
  'Replicate_Ignore_DB',
  'Replicate_Ignore_Table',
  'Replicate_Wild_Ignore_Table',
] as const;

/** Those that leave out what they do not name, or put it elsewhere. */
const OTHERS = [
  'Replicate_Do_DB',
  'Replicate_Do_Table',
  'Replicate_Wild_Do_Table',
  'Replicate_Rewrite_DB',
  'Replicate_Do_Domain_Ids',
  'Replicate_Ignore_Domain_Ids',
] as const;

/** Lists of thousands of tables are no use to anybody in a log line. */
const MAX_CHARS = 200;

/**
 * What the filters of a channel leave out, as options; null for nothing but system schemas. A server
 * that ignores its own number ignores nothing: it has it all.
 * @param row of the replication status
 */
export function channelFilter(row: Row, ownNumber: number): string | null {
  const found = [
    ...IGNORES.flatMap((column) => option(row, column, isSystemOnly)),
    ...OTHERS.flatMap((column) => option(row, column, () => false)),
    ...option(row, 'Replicate_Ignore_Server_Ids', (list) => isOnly(list, `${ownNumber}`)),
  ];
  return joined(found);
}

/**
 * What a server's binary log leaves out, as options; null for nothing but system schemas.
 * @param rows of the binary log's status; none where there is no log
 */
export function binaryLogFilter(rows: readonly Row[]): string | null {
  const [row] = rows;
  if (row === undefined) return null;
  return joined([
    ...option(row, 'Binlog_Ignore_DB', isSystemOnly),
    ...option(row, 'Binlog_Do_DB', () => false),
  ]);
}

function option(row: Row, column: string, isHarmless: (list: string) => boolean): string[] {
  const list = optionalText(row, [column]);
  if (list === null || isHarmless(list)) return [];
  return [`${column.toLowerCase().replaceAll('_', '-')}=${list}`];
}

/** Names of schemas, of tables, or patterns of tables (`mysql.rds\_%`), with commas between. */
function isSystemOnly(list: string): boolean {
  return namesOf(list).every((name) => {
    const [schema = ''] = name.split('.', 1);
    // A pattern's underscore stands for any character, unless it is escaped.
    return SYSTEM_SCHEMA.test(schema.replaceAll('\\_', '_'));
  });
}

function isOnly(list: string, name: string): boolean {
  return namesOf(list).every((each) => each === name);
}

function namesOf(list: string): string[] {
  return list.split(',').map((name) => name.trim());
}

function joined(options: readonly string[]): string | null {
  if (options.length === 0) return null;
  const text = options.join(', ');
  return text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS)}…` : text;
}
