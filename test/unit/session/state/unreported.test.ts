import { describe, expect, it } from 'vitest';
import { Command } from '../../../../src/session/command/command.ts';
import { setsTrackers, setsUnreported } from '../../../../src/session/state/unreported.ts';
import { EFFECT } from '../../../../src/sql/classification.ts';
import { COM } from '../../../../src/wire/command.ts';
import { HEADER_BYTES } from '../../../../src/wire/writer.ts';
import { aContext, aSessionState } from '../../../support/fake-session.ts';
import { aServer } from '../../../support/snapshots.ts';

const context = aContext(aSessionState());

/** A COM_QUERY with such effects. */
function query(text: string, effects: number = EFFECT.SETS_SESSION_VARIABLE): Command {
  const command = new Command();
  const bytes = Buffer.concat([Buffer.from([0, 0, 0, 0, COM.QUERY]), Buffer.from(text)]);
  command.begin(COM.QUERY, bytes, 0);
  command.textAt = HEADER_BYTES + 1;
  command.effects = effects;
  return command;
}

describe('a SET of several variables', () => {
  it.each([
    ["SET time_zone = '+02:00', sql_mode = 'ANSI,TRADITIONAL'", false],
    ['SET NAMES utf8mb4, autocommit = 1', false],
    ['SET time_zone = DEFAULT, optimizer_trace_limit = 5', true],
    ["SET autocommit = 1, @@session.session_track_gtids = 'OFF'", true],
    ['SET autocommit = 1; SET optimizer_trace_limit = 5', true],
  ])('%s: what is not reported is among them: %s', (text, expected) => {
    expect(setsUnreported(query(text), context)).toBe(expected);
  });

  it('is no matter on MariaDB, which reports all', () => {
    const command = query('SET time_zone = DEFAULT, histogram_size = 5');
    const server = aServer({ flavor: 'mariadb' });
    expect(setsUnreported(command, aContext(aSessionState(), { server }))).toBe(false);
  });
});

describe('a statement that sets what is reported', () => {
  it.each([
    ['SET SESSION session_track_schema = 0', EFFECT.SETS_SESSION_VARIABLE, true],
    ["PREPARE s FROM 'SET session_track_gtids = OFF'", EFFECT.PREPARES_STATEMENT, true],
    ['SET time_zone = DEFAULT', EFFECT.SETS_SESSION_VARIABLE, false],
    ['SELECT @@session_track_schema', 0, false],
  ])('%s', (text, effects, expected) => {
    expect(setsTrackers(query(text, effects))).toBe(expected);
  });
});
