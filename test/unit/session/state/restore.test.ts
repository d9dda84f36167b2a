import { describe, expect, test } from 'vitest';
import type { StateProfile } from '../../../../src/pool/state-profile.ts';
import { restorationOf } from '../../../../src/session/state/restore.ts';
import { CAP, union } from '../../../../src/wire/capability.ts';
import { COM } from '../../../../src/wire/command.ts';
import { aProfile, vars } from '../../../support/fake-backend.ts';
import { commandsIn } from '../../../support/fake-pool.ts';
import { NEW_CAPS } from '../../../support/replies.ts';

const NONE = aProfile();
const query = (sql: string) => `${COM.QUERY} ${sql}`;
const initDb = (schema: string) => `${COM.INIT_DB} ${schema}`;

/** Command byte and text of each packet that is sent. */
function packets(from: StateProfile | null, to: StateProfile): string[] {
  const { bytes, replies } = restorationOf(from, to, { caps: NEW_CAPS });
  const commands = commandsIn(bytes);
  expect(replies).toBe(commands.length);
  return commands;
}
const withVars = (given: Readonly<Record<string, string>>) => aProfile({ variables: vars(given) });
const assigned = (given: Readonly<Record<string, string>>) => packets(NONE, withVars(given));

describe('what differs is sent, and nothing else', () => {
  test('nothing where nothing differs', () => {
    const profile = aProfile({ schema: 'shop', variables: vars({ time_zone: 'UTC' }) });
    expect(packets(profile, profile)).toEqual([]);
    expect(restorationOf(profile, profile, { caps: NEW_CAPS }).bytes).toHaveLength(0);
  });

  test('the schema where it is another', () => {
    const shop = aProfile({ schema: 'shop' });
    expect(packets(NONE, shop)).toEqual([initDb('shop')]);
    expect(packets(aProfile({ schema: 'other' }), shop)).toEqual([initDb('shop')]);
    // A schema cannot be taken away: such a connection is not chosen.
    expect(packets(shop, NONE)).toEqual([]);
  });

  test('variables of another value, and those that are to be as the server has them', () => {
    const from = withVars({ time_zone: '+01:00', sql_mode: '', wait_timeout: '60' });
    const to = withVars({ time_zone: '+02:00', sql_mode: '', lock_wait_timeout: '5' });
    expect(packets(from, to)).toEqual([
      query("SET SESSION lock_wait_timeout=5, time_zone='+02:00', wait_timeout=DEFAULT"),
    ]);
  });

  test('the option of several statements, both ways', () => {
    const on = aProfile({ multiStatements: true });
    expect(packets(NONE, on)).toEqual([`${COM.SET_OPTION} \0\0`]);
    expect(packets(on, NONE)).toEqual([`${COM.SET_OPTION} \u0001\0`]);
  });

  test('all of it to a connection of which nothing is known', () => {
    const to = aProfile({
      schema: 'shop',
      variables: vars({ names: 'utf8mb4', time_zone: 'UTC' }),
    });
    expect(packets(null, to)).toEqual([
      initDb('shop'),
      query('SET NAMES utf8mb4'),
      query("SET SESSION time_zone='UTC'"),
      `${COM.SET_OPTION} \u0001\0`,
    ]);
  });

  test('in a fixed order: schema, variables, option', () => {
    const to = aProfile({
      schema: 'shop',
      variables: vars({ time_zone: 'UTC' }),
      multiStatements: true,
    });
    expect(packets(NONE, to).map((packet) => Number.parseInt(packet, 10))).toEqual([
      COM.INIT_DB,
      COM.QUERY,
      COM.SET_OPTION,
    ]);
  });
});

describe('a value', () => {
  test.each([
    ['sql_mode', 'ANSI_QUOTES', "'ANSI_QUOTES'"],
    ['sql_mode', '', "''"],
    ['wait_timeout', '60', '60'],
    ['long_query_time', '1.123456', '1.123456'],
    ['long_query_time', '-1', '-1'],
    ['autocommit', 'ON', "'ON'"],
    ['time_zone', '+01:00', "'+01:00'"],
    ['optimizer_switch', 'a=on,b=off', "'a=on,b=off'"],
    ['default_week_format', '0x10', "'0x10'"],
    ['some_text', '1e5', "'1e5'"],
    ['some_text', '.5', "'.5'"],
    ['some_text', '1.', "'1.'"],
    ['some_text', '60\n', '_utf8mb4 0x36300a'],
    ['some_text', "it's", '_utf8mb4 0x69742773'],
    ['some_text', 'a\\b', '_utf8mb4 0x615c62'],
    ['some_text', "\\' OR 1", '_utf8mb4 0x5c27204f522031'],
    ['some_text', 'grün', '_utf8mb4 0x6772c3bc6e'],
    ['some_text', '🐬', '_utf8mb4 0xf09f90ac'],
    ['some_text', 'a\0b', '_utf8mb4 0x610062'],
    ['default_tmp_storage_engine', '', 'NULL'],
  ])('%s = %j is assigned as %s', (name, value, literal) => {
    expect(assigned({ [name]: value })).toEqual([query(`SET SESSION ${name}=${literal}`)]);
  });

  test.each(['x=1; DROP TABLE t; -- ', 'a b', '', '1a', 'a.b.c', 'a`', 'größe'])(
    'of %j, which is no name, is never sent',
    (name) => {
      expect(assigned({ [name]: '1' })).toEqual([]);
    },
  );

  test('of a component’s variable is sent', () => {
    expect(assigned({ 'validate_password.length': '8' })).toEqual([
      query('SET SESSION validate_password.length=8'),
    ]);
  });
});

describe('character sets', () => {
  const DEFAULTS =
    'SET character_set_client=DEFAULT, character_set_results=DEFAULT, collation_connection=DEFAULT';

  test('that SET NAMES set are set by it, with the collation', () => {
    expect(assigned({ names: 'utf8mb4 COLLATE utf8mb4_bin' })).toEqual([
      query('SET NAMES utf8mb4 COLLATE utf8mb4_bin'),
    ]);
    expect(assigned({ names: 'latin1' })).toEqual([query('SET NAMES latin1')]);
  });

  test('that were set one by one behind it are set behind it, charsets before collations', () => {
    expect(
      assigned({
        collation_connection: 'utf8mb4_bin',
        character_set_results: '',
        character_set_connection: 'utf8mb4',
        names: 'latin1',
      }),
    ).toEqual([
      query('SET NAMES latin1'),
      query(
        "SET SESSION character_set_connection='utf8mb4', character_set_results=NULL, collation_connection='utf8mb4_bin'",
      ),
    ]);
  });

  test('that were never set are the server’s own again', () => {
    expect(packets(withVars({ names: 'latin1' }), NONE)).toEqual([query(DEFAULTS)]);
    expect(packets(withVars({ names: 'latin1' }), withVars({ character_set_results: '' }))).toEqual(
      [query(DEFAULTS), query('SET SESSION character_set_results=NULL')],
    );
  });

  test('that differ in one only are all said again: SET NAMES leaves none as it was', () => {
    const from = withVars({ names: 'latin1', character_set_results: 'utf8mb4' });
    const to = withVars({ names: 'latin1', character_set_results: 'gbk' });
    expect(packets(from, to)).toEqual([
      query('SET NAMES latin1'),
      query("SET SESSION character_set_results='gbk'"),
    ]);
  });

  test('that do not differ are not said again', () => {
    const names = { names: 'utf8mb4 COLLATE utf8mb4_bin', collation_connection: 'utf8mb4_bin' };
    expect(packets(withVars(names), withVars({ ...names, time_zone: 'UTC' }))).toEqual([
      query("SET SESSION time_zone='UTC'"),
    ]);
  });

  test.each(["latin1'; DROP TABLE t; -- ", 'latin1 COLLATE', 'a COLLATE b COLLATE c', ''])(
    'of the name %j, which is none, are never said',
    (names) => {
      expect(assigned({ names })).toEqual([query(DEFAULTS)]);
    },
  );
});

describe('a schema whose name is not plain', () => {
  test('is named in UTF-8, whatever the client’s character set is', () => {
    const from = withVars({ names: 'latin1' });
    const to = aProfile({ schema: 'größe', variables: vars({ names: 'latin1' }) });
    expect(packets(from, to)).toEqual([
      query('SET NAMES utf8mb4'),
      initDb('größe'),
      query('SET NAMES latin1'),
    ]);
  });

  test('leaves the server’s own character set where the session has not set one', () => {
    const [first, second, third, ...more] = packets(NONE, aProfile({ schema: "it's" }));
    expect([first, second, more]).toEqual([query('SET NAMES utf8mb4'), initDb("it's"), []]);
    expect(third).toContain('character_set_client=DEFAULT');
  });

  test('that does not change costs nothing', () => {
    const shop = aProfile({ schema: 'größe' });
    const to = aProfile({ schema: 'größe', variables: vars({ time_zone: 'UTC' }) });
    expect(packets(shop, to)).toEqual([query("SET SESSION time_zone='UTC'")]);
  });
});

test('statements are as servers with query attributes read them', () => {
  const caps = union(NEW_CAPS, CAP.QUERY_ATTRIBUTES);
  const { bytes } = restorationOf(NONE, withVars({ time_zone: 'UTC' }), { caps });
  expect(bytes.subarray(4, 7)).toEqual(Buffer.from([COM.QUERY, 0, 1]));
});
