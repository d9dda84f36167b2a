import { beforeEach, describe, expect, test } from 'vitest';
import type { SessionState } from '../../../../src/session/state/session-state.ts';
import { CHARSET_KIND } from '../../../../src/sql/charset-kind.ts';
import {
  encodeSessionState,
  type SessionStateEntry,
} from '../../../../src/wire/packets/session-state.ts';
import { STATUS } from '../../../../src/wire/status.ts';
import { aProfile, vars } from '../../../support/fake-backend.ts';
import { aContext, aSessionState } from '../../../support/fake-session.ts';
import { aServer } from '../../../support/snapshots.ts';

const AUTOCOMMIT = STATUS.AUTOCOMMIT;
let state: SessionState;
beforeEach(() => {
  state = aSessionState({ schema: 'shop' });
});

const report = (...entries: SessionStateEntry[]) => state.noteReported(encodeSessionState(entries));
const set = (name: string, value: string) => report({ t: 'system-variable', name, value });

describe('what servers report', () => {
  test('variables and schema are carried: equal states are the same profile', () => {
    expect(state.profile).toBe(aProfile({ schema: 'shop' }));
    set('time_zone', '+01:00');
    expect(state.profile).toBe(
      aProfile({ schema: 'shop', variables: vars({ time_zone: '+01:00' }) }),
    );
    report({ t: 'schema', schema: 'other' });
    state.setMultiStatements(true);
    expect(state.profile).toBe(
      aProfile({
        schema: 'other',
        variables: vars({ time_zone: '+01:00' }),
        multiStatements: true,
      }),
    );
  });

  test('the same again is the same state', () => {
    set('time_zone', '+01:00');
    const { profile } = state;
    set('time_zone', '+01:00');
    report({ t: 'schema', schema: 'shop' });
    expect(state.profile).toBe(profile);
  });

  test('a login’s character set is part of its state', () => {
    const variables = vars({ character_set_client: 'gbk', collation_connection: 'gbk_bin' });
    const gbk = aSessionState({ variables });
    expect([gbk.profile, gbk.clientCharset]).toEqual([aProfile({ variables }), 'gbk']);
  });

  test.each([
    ['transaction_isolation', true],
    ['transaction_read_only', true],
    ['tx_isolation', true],
    ['tx_read_only', true],
    ['time_zone', false],
  ])('%s is a default of transactions: %s', (name, expected) => {
    expect(set(name, '1').transactionDefaults).toBe(expected);
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
    expect([state.profile, state.variables.size]).toEqual([aProfile({ schema: 'shop' }), 0]);
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
    // The charset alone takes the collation along: what it is now is not known.
    set('character_set_connection', 'utf8mb4');
    expect(state.variables.has('collation_connection')).toBe(false);
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
    expect(state.pins.reasons).toEqual(['opaque']);
    expect(state.variables.has('timestamp')).toBe(false);
  });

  test('what `id IS NULL` finds is on the connection that inserted', () => {
    set('sql_auto_is_null', 'OFF');
    expect(state.pins.any).toBe(false);
    set('sql_auto_is_null', 'ON');
    expect(state.pins.reasons).toEqual(['opaque']);
  });

  test('end with a reset, as does what the session knew of its last insert id', () => {
    state.pins.set('user-variable');
    state.savedInsertId = '7';
    state.reset();
    expect([state.pins.any, state.savedInsertId]).toEqual([false, null]);
  });
});

describe('a reset', () => {
  test('leaves the schema and the option, and takes all variables to the servers’ defaults', () => {
    state = aSessionState({
      schema: 'shop',
      variables: vars({ character_set_client: 'latin1' }),
      multiStatements: true,
    });
    set('time_zone', '+01:00');
    report({ t: 'schema', schema: 'other' });
    state.reset();
    expect(state.profile).toBe(aProfile({ schema: 'other', multiStatements: true }));
    expect(state.clientCharset).toBeNull();
  });
});

describe('how statements are to be read', () => {
  const GBK = 28;

  test('follows the session, and its reset', () => {
    const context = aContext(state);
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
    const ansi = aSessionState({ sqlMode: 'ANSI_QUOTES' });
    const context = aContext(ansi, {
      server: aServer({ version: '10.11.19-MariaDB', flavor: 'mariadb' }),
      collationId: GBK,
    });
    expect(context).toMatchObject({ flavor: 'mariadb', serverVersion: 101_119 });
    expect([context.ansiQuotes, context.charsetKind]).toEqual([true, CHARSET_KIND.GBK]);
    ansi.noteReported(encodeSessionState([{ t: 'system-variable', name: 'sql_mode', value: '' }]));
    expect(context.ansiQuotes).toBe(false);
    ansi.reset();
    expect(context.ansiQuotes).toBe(true);
  });

  test('a server whose version is not known yet has none', () => {
    expect(aContext(state, { server: aServer({ version: null }) }).serverVersion).toBe(0);
  });
});
