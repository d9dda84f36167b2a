import { onCommonGround } from './common-ground.ts';
import * as fc from 'fast-check';
import type { Flavor } from '../../src/topology/snapshot.ts';
import { reads, textReads } from './reads.ts';
import {
  type Action,
  CLIENT_FLAGS,
  type ClientFlag,
  type ClientSpec,
  type Parameter,
  type Script,
  type Step,
} from './script.ts';
import {
  diagnostics,
  pinning,
  settings,
  severalStatements,
  transactions,
} from './session-statements.ts';
import { any, oneOf, rowId, small, type Sql } from './statement-text.ts';
import { definitions, writes } from './writes.ts';

/** What scripts may be made of. */
export interface ScriptOptions {
  readonly flavor: Flavor;
  /**
   * Clients that may keep a server connection to themselves (transactions, pins, diagnostics); all
   * further ones only do what any server connection can be used for.
   */
  readonly holders: number;
  readonly maxClients: number;
}

/** Any script; the text of its steps is final. */
export function scripts(options: ScriptOptions): fc.Arbitrary<Script> {
  const { flavor, holders, maxClients } = options;
  const byKind = {
    whole: wholeActions(flavor),
    light: lightActions(flavor),
    reader: readerActions(flavor),
  } as const;
  const client = fc.record({
    spec: clientSpec(flavor),
    kind: fc.constantFrom<(keyof typeof byKind)[]>('whole', 'light', 'reader'),
  });
  return fc.array(client, { minLength: 1, maxLength: maxClients }).chain((clients) => {
    const actionsOf = (c: number): Actions => {
      const kind = clients[c]?.kind ?? 'light';
      return byKind[kind === 'whole' && c >= holders ? 'light' : kind];
    };
    const turn = fc
      .nat(clients.length - 1)
      .chain((c) => actionsOf(c).map((actions) => stepsOf(c, actions)));
    return fc
      .array(turn, { minLength: 1, maxLength: 30, size: 'max' })
      .map((turns) =>
        onCommonGround({ clients: clients.map(({ spec }) => spec), steps: turns.flat() }, flavor),
      );
  });
}

function stepsOf(c: number, actions: readonly Action[]): Step[] {
  return actions.map((action) => {
    if ('sql' in action) return { c, ...action, sql: action.sql.replaceAll('#', String(c)) };
    if (action.do === 'fieldList') return { c, ...action, table: `t${c}` };
    return { c, ...action };
  });
}

function clientSpec(flavor: Flavor): fc.Arbitrary<ClientSpec> {
  const utf8 = flavor === 'mysql' ? 255 : 45;
  return fc.record({
    user: fc.constantFrom<('app' | 'other')[]>('app', 'app', 'app', 'other'),
    schema: fc.constantFrom<('$A' | '$B' | null)[]>('$A', '$A', '$A', '$A', '$B', null),
    collation: fc.constantFrom(utf8, utf8, 45, 8, 33),
    flags: fc.oneof(
      { weight: 3, arbitrary: fc.constant<ClientSpec['flags']>(['multi-statements']) },
      {
        weight: 1,
        arbitrary: fc.subarray(CLIENT_FLAGS.filter(isCommon)),
      },
    ),
  });
}

/** What a pin leaves open may have turned trackers on: their reports go to such clients then. */
const isCommon = (flag: ClientFlag): boolean => flag !== 'session-track';

const query = (text: Sql): fc.Arbitrary<Action> => text.map((sql) => ({ do: 'query', sql }));

type Actions = fc.Arbitrary<readonly Action[]>;
const single = (action: fc.Arbitrary<Action>): Actions => action.map((one) => [one]);
const inARow = (...actions: fc.Arbitrary<Action>[]): Actions => fc.tuple(...actions);

function wholeActions(flavor: Flavor): Actions {
  const ask = query(diagnostics());
  const read = query(textReads(flavor));
  const write = query(writes(flavor));
  return fc.oneof(
    { weight: 6, arbitrary: single(read) },
    { weight: 5, arbitrary: single(write) },
    { weight: 4, arbitrary: single(query(transactions())) },
    { weight: 4, arbitrary: single(query(pinning())) },
    { weight: 4, arbitrary: single(query(settings(flavor))) },
    { weight: 2, arbitrary: single(ask) },
    { weight: 2, arbitrary: inARow(write, ask) },
    { weight: 2, arbitrary: inARow(read, ask) },
    { weight: 2, arbitrary: inARow(write, read) },
    { weight: 1, arbitrary: single(query(definitions(flavor))) },
    { weight: 1, arbitrary: inARow(query(definitions(flavor)), read) },
    { weight: 1, arbitrary: single(query(severalStatements())) },
    { weight: 4, arbitrary: prepared(flavor) },
    { weight: 2, arbitrary: single(commands()) },
    { weight: 1, arbitrary: single(infile()) },
  );
}

/** Nothing that would make a server connection one client's own for longer than a statement. */
function lightActions(flavor: Flavor): Actions {
  const read = query(textReads(flavor));
  return fc.oneof(
    { weight: 6, arbitrary: single(read) },
    { weight: 2, arbitrary: single(query(writes(flavor))) },
    { weight: 4, arbitrary: single(query(settings(flavor))) },
    { weight: 1, arbitrary: single(query(definitions(flavor))) },
    { weight: 3, arbitrary: prepared(flavor) },
    { weight: 1, arbitrary: single(commands()) },
  );
}

/** The statement of a client that is always run with a cursor. */
const CURSOR_NAME = 'r';

/** What replicas may serve all the time. */
function readerActions(flavor: Flavor): Actions {
  return fc.oneof(
    { weight: 6, arbitrary: single(query(textReads(flavor))) },
    { weight: 4, arbitrary: single(query(settings(flavor))) },
    { weight: 3, arbitrary: prepared(flavor, preparedReads(flavor)) },
    { weight: 1, arbitrary: single(commands()) },
  );
}

function prepared(flavor: Flavor, text: Sql = preparable(flavor)): Actions {
  const name = fc.constantFrom('p', 'q', CURSOR_NAME);
  const prepare: fc.Arbitrary<Action> = fc
    .tuple(name, text)
    .map(([name, sql]) => ({ do: 'prepare', name, sql }));
  // MySQL answers wrongly to a statement that is run without a cursor after it was run with one.
  const execute: fc.Arbitrary<Action> = fc
    .record({
      do: fc.constant('execute' as const),
      name,
      params: fc.array(parameter(), { minLength: 1, maxLength: 3 }),
      types: fc.boolean(),
    })
    .map((action) => ({ ...action, cursor: action.name === CURSOR_NAME }));
  const rest: fc.Arbitrary<Action> = fc.oneof(
    fc.record({ do: fc.constant('fetch' as const), name, rows: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ do: fc.constant('resetStatement' as const), name }),
    fc.record({ do: fc.constant('closeStatement' as const), name }),
    fc.record({
      do: fc.constant('longData' as const),
      name,
      index: fc.nat(1),
      data: fc.constantFrom('1', '22', 'long é'),
    }),
  );
  return fc.oneof(
    { weight: 3, arbitrary: inARow(prepare, execute) },
    { weight: 2, arbitrary: single(prepare) },
    { weight: 5, arbitrary: single(execute) },
    { weight: 2, arbitrary: single(rest) },
    { weight: 1, arbitrary: inARow(execute, rest, execute) },
  );
}

function preparable(flavor: Flavor): Sql {
  return any(
    oneOf(
      'INSERT INTO t# (v, w) VALUES (?, ?)',
      'UPDATE t# SET v = ? WHERE id = ?',
      'DELETE FROM t# WHERE id = ?',
      'INSERT INTO u# (id, n, ts, x) VALUES (?, 1, ?, ?)',
      'CALL p#(?)',
      'SELECT g#(?)',
      'SET @a = ?',
      // Neither `SELECT ?` nor `SELECT @a`: their types depend on all that the server has seen of both.
      'SELECT id FROM t# WHERE id = ?',
      'DO ?',
    ),
    preparedReads(flavor),
  );
}

function preparedReads(flavor: Flavor): Sql {
  return any(
    oneOf(
      'SELECT id, v, w FROM t# WHERE id = ? OR v > ? ORDER BY id',
      'SELECT id, v FROM t# WHERE id <= ? ORDER BY id',
      'SELECT ? AS p, ? AS q',
      'SELECT CAST(? AS DECIMAL(30, 6)) + 1 AS n',
      'SELECT * FROM t# ORDER BY id',
      'SELECT * FROM u# WHERE id = ?',
      'SELECT id, v FROM s ORDER BY id LIMIT ?',
      'SELECT f#(?)',
      'SELECT DATABASE(), @@sql_mode',
      'SELECT "a" AS a, id AS b FROM t# WHERE id = ?',
      'SELECT nothing FROM t#',
      'SELECT id FROM missing#',
      'SELECT 1; SELECT 2',
      "SHOW TABLES LIKE 't#'",
    ),
    reads(flavor),
  );
}

function parameter(): fc.Arbitrary<Parameter> {
  const number = fc.oneof(rowId, small, fc.integer({ min: -3, max: 300 }));
  const typed = (...types: Parameter[0][]) => fc.constantFrom(...types);
  return fc.oneof<fc.Arbitrary<Parameter>[]>(
    fc.tuple(typed('long', 'longlong', 'tiny', 'unsigned', 'double', 'decimal'), number),
    fc.tuple(typed('long', 'longlong'), rowId),
    fc.tuple(typed('string', 'blob'), fc.constantFrom('1', 'é', '', 'two', '3x')),
    fc.tuple(typed('date', 'datetime'), fc.constantFrom('2024-02-29', '2024-02-29 10:11:12')),
    fc.tuple(typed('long', 'string', 'double'), fc.constant(null)),
  );
}

function commands(): fc.Arbitrary<Action> {
  return fc.oneof<fc.Arbitrary<Action>[]>(
    fc.constant({ do: 'ping' }),
    fc.record({ do: fc.constant('initDb' as const), schema: fc.constantFrom('$A', '$B', 'none') }),
    fc.constant({ do: 'resetConnection' }),
    fc.record({
      do: fc.constant('changeUser' as const),
      user: fc.constantFrom('app' as const, 'other' as const),
      schema: fc.constantFrom('$A' as const, '$B' as const, null),
    }),
    fc.record({ do: fc.constant('setOption' as const), multi: fc.boolean() }),
    fc.constant({ do: 'reconnect' }),
    fc.constant({ do: 'fieldList', table: 't#' }),
    fc.constant({ do: 'settle' }),
    fc.constant({ do: 'settle' }),
  );
}

function infile(): fc.Arbitrary<Action> {
  return fc.record({
    do: fc.constant('infile' as const),
    sql: fc.constantFrom(
      "LOAD DATA LOCAL INFILE 'rows' INTO TABLE t# FIELDS TERMINATED BY ',' (v, w)",
      "LOAD DATA LOCAL INFILE 'rows' IGNORE INTO TABLE u# FIELDS TERMINATED BY ',' (id, n)",
      "LOAD DATA LOCAL INFILE 'rows' INTO TABLE missing#",
    ),
    data: fc.constantFrom('', '1,a\n2,b\n', '7,300\n8,x\n', 'no comma\n'),
  });
}
