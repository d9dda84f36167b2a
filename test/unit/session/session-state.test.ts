import { beforeEach, describe, expect, test } from 'vitest';
import { ClassifierContext } from '../../../src/session/classifier-context.ts';
import { restorationOf } from '../../../src/session/restore.ts';
import { SessionState } from '../../../src/session/session-state.ts';
import { CHARSET_KIND } from '../../../src/sql/charset-kind.ts';
import { EFFECT } from '../../../src/sql/classification.ts';
import { TRACKER_STATEMENTS } from '../../../src/pool/trackers.ts';
import { COM } from '../../../src/wire/command.ts';
import { Framer } from '../../../src/wire/framer.ts';
import {
  encodeSessionState,
  type SessionStateEntry,
} from '../../../src/wire/packets/session-state.ts';
import { STATUS } from '../../../src/wire/status.ts';
import { fakeBackend } from '../../support/fake-backend.ts';
import { aServer } from '../../support/snapshots.ts';

const AUTOCOMMIT = STATUS.AUTOCOMMIT;
let state: SessionState;
beforeEach(() => {
  state = new SessionState({ schema: 'shop', status: AUTOCOMMIT, sqlMode: '' });
});

const report = (...entries: SessionStateEntry[]) => state.noteReported(encodeSessionState(entries));
const set = (name: string, value: string) => report({ t: 'system-variable', name, value });

describe('what servers report', () => {
  test('variables and schema are carried, and each change is a new version', () => {
    set('time_zone', '+01:00');
    report({ t: 'schema', schema: 'other' });
    expect([state.version, state.schema, [...state.variables]]).toEqual([
      2,
      'other',
      [['time_zone', '+01:00']],
    ]);
  });

  test('the same again is no new version', () => {
    set('time_zone', '+01:00');
    const { version } = state;
    set('time_zone', '+01:00');
    report({ t: 'schema', schema: 'shop' });
    expect(state.version).toBe(version);
  });

  test('an empty schema is none', () => {
    report({ t: 'schema', schema: '' });
    expect(state.schema).toBeNull();
  });

  test('several variables in one entry, as MariaDB has it, all count', () => {
    const one = encodeSessionState([
      { t: 'system-variable', name: 'sql_mode', value: 'ANSI_QUOTES' },
    ]);
    const two = encodeSessionState([{ t: 'system-variable', name: 'time_zone', value: 'UTC' }]);
    // One entry whose data holds both names and values.
    const data = Buffer.concat([one.subarray(2), two.subarray(2)]);
    state.noteReported(Buffer.concat([Buffer.from([0, data.length]), data]));
    expect([...state.variables.keys()]).toEqual(['sql_mode', 'time_zone']);
  });

  test.each([
    'session_track_schema',
    'statement_id',
    'character_set_database',
    'insert_id',
    'last_insert_id',
  ])('%s is not carried to other servers', (name) => {
    set(name, '1');
    expect([state.version, state.variables.size]).toEqual([0, 0]);
  });

  test('a change that nothing explains is told of; one that a variable explains is not', () => {
    const changed: SessionStateEntry = { t: 'state-change', changed: true };
    expect(report(changed).opaqueChange).toBe(true);
    expect(report({ t: 'state-change', changed: false }).opaqueChange).toBe(false);
    const variable: SessionStateEntry = { t: 'system-variable', name: 'sql_mode', value: '' };
    expect(report(variable, changed).opaqueChange).toBe(false);
    expect(report({ t: 'schema', schema: 'x' }, changed).opaqueChange).toBe(false);
  });

  test('a collation that SET NAMES leaves unsaid is unknown, until it is said', () => {
    expect(set('character_set_connection', 'utf8mb4').collationUnknown).toBe(true);
    expect(
      report(
        { t: 'system-variable', name: 'character_set_connection', value: 'utf8mb4' },
        { t: 'system-variable', name: 'collation_connection', value: 'utf8mb4_bin' },
      ).collationUnknown,
    ).toBe(false);
    expect(state.variables.get('collation_connection')).toBe('utf8mb4_bin');
  });

  test('status flags tell of transactions', () => {
    state.noteStatus(STATUS.IN_TRANS | STATUS.IN_TRANS_READONLY);
    expect([state.inTransaction, state.readOnlyTransaction, state.autocommit]).toEqual([
      true,
      true,
      false,
    ]);
    expect(state.status).toBe(STATUS.IN_TRANS);
    state.noteStatus(AUTOCOMMIT | STATUS.NO_BACKSLASH_ESCAPES);
    expect(state.status).toBe(AUTOCOMMIT | STATUS.NO_BACKSLASH_ESCAPES);
    expect(state.inTransaction).toBe(false);
  });

  test.each([
    ['transaction_isolation', 'SERIALIZABLE', true],
    ['tx_isolation', 'SERIALIZABLE', true],
    ['transaction_isolation', 'READ-COMMITTED', false],
  ])('%s=%s: serializable is %s', (name, value, expected) => {
    set(name, value);
    expect(state.serializable).toBe(expected);
  });
});

describe('pins', () => {
  test('a session’s clock cannot be carried: set to DEFAULT it is reported like a fixed time', () => {
    set('timestamp', '1700000000.123456');
    expect(state.pins).not.toBe(0);
    expect(state.variables.has('timestamp')).toBe(false);
  });

  const PINNING = [
    EFFECT.SETS_USER_VARIABLE,
    EFFECT.CREATES_TEMPORARY_TABLE,
    EFFECT.LOCKS_TABLES,
    EFFECT.TAKES_USER_LOCK,
    EFFECT.PREPARES_STATEMENT,
    EFFECT.OPENS_HANDLER,
    EFFECT.XA,
  ];

  test.each(PINNING)('effect %d pins, even where the statement failed', (effect) => {
    state.noteEffects(effect, false);
    expect(state.pins).not.toBe(0);
    state.reset();
    expect(state.pins).toBe(0);
  });

  test.each([
    ['UNLOCK TABLES', EFFECT.LOCKS_TABLES, EFFECT.UNLOCKS_TABLES],
    ['RELEASE_ALL_LOCKS()', EFFECT.TAKES_USER_LOCK, EFFECT.RELEASES_ALL_USER_LOCKS],
  ])('%s ends its pin only if it succeeded, and no other', (_, pins, unpins) => {
    state.noteEffects(pins, true);
    state.noteEffects(unpins, false);
    expect(state.pins).not.toBe(0);
    state.noteEffects(unpins, true);
    expect(state.pins).toBe(0);
    state.noteEffects(pins | EFFECT.SETS_USER_VARIABLE, true);
    state.noteEffects(unpins, true);
    expect(state.pins).not.toBe(0);
  });

  test.each([
    EFFECT.DROPS_TEMPORARY_TABLE,
    EFFECT.DEALLOCATES_STATEMENT,
    EFFECT.RELEASES_USER_LOCK,
  ])('effect %d may leave others behind and ends none', (effect) => {
    for (const pinning of PINNING) state.noteEffects(pinning, true);
    const { pins } = state;
    state.noteEffects(effect, true);
    expect(state.pins).toBe(pins);
  });

  test('what does not pin leaves the session free', () => {
    state.noteEffects(
      EFFECT.STARTS_TRANSACTION | EFFECT.IMPLICIT_COMMIT | EFFECT.CHANGES_SCHEMA,
      true,
    );
    expect(state.pins).toBe(0);
  });
});

describe('how statements are to be read', () => {
  const GBK = 28;
  const UTF8MB4 = 45;

  test('follows the session, and its reset', () => {
    const context = new ClassifierContext(aServer(), UTF8MB4, state);
    set('sql_mode', 'REAL_AS_FLOAT,ANSI_QUOTES');
    state.noteStatus(STATUS.NO_BACKSLASH_ESCAPES);
    set('character_set_client', 'gbk');
    expect([context.ansiQuotes, context.noBackslashEscapes, context.charsetKind]).toEqual([
      true,
      true,
      CHARSET_KIND.GBK,
    ]);
    state.reset();
    expect([context.ansiQuotes, context.noBackslashEscapes, context.charsetKind]).toEqual([
      false,
      false,
      CHARSET_KIND.UTF8,
    ]);
  });

  test('begins with what the server and the login say', () => {
    const ansi = new SessionState({ schema: null, status: AUTOCOMMIT, sqlMode: 'ANSI_QUOTES' });
    const context = new ClassifierContext(
      aServer({ version: '10.11.19-MariaDB', flavor: 'mariadb' }),
      GBK,
      ansi,
    );
    expect(context).toMatchObject({ flavor: 'mariadb', serverVersion: 101_119 });
    expect([context.ansiQuotes, context.charsetKind]).toEqual([true, CHARSET_KIND.GBK]);
    ansi.noteReported(encodeSessionState([{ t: 'system-variable', name: 'sql_mode', value: '' }]));
    expect(context.ansiQuotes).toBe(false);
    ansi.reset();
    expect(context.ansiQuotes).toBe(true);
  });

  test('a server whose version is not known yet has none', () => {
    expect(new ClassifierContext(aServer({ version: null }), UTF8MB4, state).serverVersion).toBe(0);
  });
});

describe('what a connection is sent to take over the state', () => {
  /** Command byte and text of each packet. */
  function restoration(connection = fakeBackend().connection): string[] {
    const { bytes, replies } = restorationOf(state, connection);
    const framer = new Framer(1 << 20);
    framer.push(bytes);
    const packets: string[] = [];
    for (let next = framer.next(); next !== null; next = framer.next()) {
      expect(next.seq).toBe(0);
      packets.push(`${next.payload[0]} ${next.payload.toString('utf8', 1)}`);
    }
    expect(replies).toBe(packets.length);
    return packets;
  }
  const only = () => {
    const { connection } = fakeBackend();
    connection.schema = 'shop';
    return restoration(connection);
  };

  test('nothing where nothing differs', () => {
    expect(only()).toEqual([]);
  });

  test('the schema where it is another', () => {
    expect(restoration()).toEqual([`${COM.INIT_DB} shop`]);
  });

  test.each([
    ['sql_mode', 'ANSI_QUOTES', "'ANSI_QUOTES'"],
    ['sql_mode', '', "''"],
    ['wait_timeout', '60', '60'],
    ['long_query_time', '1.123456', '1.123456'],
    ['long_query_time', '-1', '-1'],
    ['autocommit', 'ON', "'ON'"],
    ['time_zone', "it's", "'it''s'"],
    ['init_connect', 'a\\b', "'a\\\\b'"],
    ['init_connect', "\\' OR 1", "'\\\\'' OR 1'"],
    ['character_set_results', '', 'NULL'],
    ['time_zone', '+01:00', "'+01:00'"],
    ['optimizer_switch', 'a=on,b=off', "'a=on,b=off'"],
    ['default_week_format', '0x10', "'0x10'"],
    ['some_text', '1e5', "'1e5'"],
  ])('%s = %s is assigned as %s', (name, value, literal) => {
    set(name, value);
    expect(only()).toEqual([`${COM.QUERY} SET SESSION ${name}=${literal}`]);
  });

  test('under NO_BACKSLASH_ESCAPES a backslash stands for itself', () => {
    state.noteStatus(STATUS.NO_BACKSLASH_ESCAPES);
    set('init_connect', "a\\b'c");
    expect(only()).toEqual([`${COM.QUERY} SET SESSION init_connect='a\\b''c'`]);
  });

  test('a name that is none never gets into a statement', () => {
    set('x=1; DROP TABLE t; -- ', '1');
    set('a b', '1');
    expect(only()).toEqual([]);
  });

  test('trackers, schema, variables and the option, in that order, after a reset', () => {
    const { connection } = fakeBackend();
    connection.trackersOn = false;
    set('time_zone', 'UTC');
    set('sql_mode', '');
    state.setMultiStatements(false);
    expect(restoration(connection)).toEqual([
      `${COM.QUERY} ${TRACKER_STATEMENTS.mysql}`,
      `${COM.INIT_DB} shop`,
      `${COM.QUERY} SET SESSION time_zone='UTC', sql_mode=''`,
      `${COM.SET_OPTION} \u0001\0`,
    ]);
  });
});
